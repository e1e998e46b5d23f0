/** @file tensor.h
 *  Tensors: a DLPack view inside a versioned struct.
 *
 *  The members `data … byte_offset` have exactly the layout of `DLTensor` of dlpack.h 1.x, so a pointer to `view` can
 * be handed to NumPy, PyTorch or CuPy as it is. What DLPack lacks (a name, an owner, the stride rule) stands around it.
 *
 *  - Shapes are row-major and written `[rows, columns]` in comments. `strides == NULL` means compact row-major.
 *  - `data + byte_offset` is aligned to at least 64 bytes for every tensor that the host allocates; a *view* of such a
 * tensor may be aligned to its element only.
 *  - Who allocates frees. A tensor that a function receives is borrowed for the call.
 */
#ifndef VLM_TENSOR_H_
#define VLM_TENSOR_H_
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Device kinds (DLDeviceType). */
#define VLM_DEVICE_CPU 1  /**< Host memory. */
#define VLM_DEVICE_CUDA 2 /**< Memory of an NVIDIA GPU. */
/* Type codes (DLDataTypeCode). */
#define VLM_TYPE_INT 0            /**< Signed integer. */
#define VLM_TYPE_UINT 1           /**< Unsigned integer. */
#define VLM_TYPE_FLOAT 2          /**< IEEE float. */
#define VLM_TYPE_BFLOAT 4         /**< bfloat16. */
#define VLM_TYPE_BOOL 6           /**< Truth value in a byte. */
#define VLM_TYPE_FLOAT8_E4M3FN 10 /**< 8-bit float, 4 exponent bits, no infinities. */
#define VLM_TYPE_FLOAT8_E5M2 12   /**< 8-bit float, 5 exponent bits. */
/* Whole element types as one number, `code << 16 | bits`: what functions take where DLPack would pass a struct by
 * value. */
#define VLM_DTYPE_F32 0x20020u     /**< 32-bit float. */
#define VLM_DTYPE_F64 0x20040u     /**< 64-bit float. */
#define VLM_DTYPE_F16 0x20010u     /**< 16-bit float. */
#define VLM_DTYPE_BF16 0x40010u    /**< bfloat16. */
#define VLM_DTYPE_F8_E4M3 0xA0008u /**< 8-bit float e4m3fn. */
#define VLM_DTYPE_F8_E5M2 0xC0008u /**< 8-bit float e5m2. */
#define VLM_DTYPE_I8 0x00008u      /**< 8-bit integer. */
#define VLM_DTYPE_I16 0x00010u     /**< 16-bit integer. */
#define VLM_DTYPE_I32 0x00020u     /**< 32-bit integer. */
#define VLM_DTYPE_I64 0x00040u     /**< 64-bit integer. */
#define VLM_DTYPE_U8 0x10008u      /**< Byte. */
#define VLM_DTYPE_BOOL 0x60008u    /**< Truth value in a byte. */
/** Most dimensions that any tensor of this ABI has. */
#define VLM_MAX_DIMS 8

/** Where memory is (DLDevice). */
typedef struct vlm_device {
    int32_t device_type; /**< VLM_DEVICE_*. */
    int32_t device_id;   /**< Ordinal; 0 on the CPU. */
} vlm_device;

/** Element type (DLDataType). */
typedef struct vlm_data_type {
    uint8_t code;   /**< VLM_TYPE_*. */
    uint8_t bits;   /**< Bits of one lane. */
    uint16_t lanes; /**< Always 1 here. */
} vlm_data_type;

/** Layout-compatible with `DLTensor` of DLPack 1.x. */
typedef struct vlm_tensor_view {
    void* data;           /**< Base address on `device`; NULL only when the tensor has no elements. */
    vlm_device device;    /**< Where `data` lives. */
    int32_t ndim;         /**< Number of dimensions, 0 to VLM_MAX_DIMS. */
    vlm_data_type dtype;  /**< Element type. */
    int64_t* shape;       /**< `ndim` sizes. */
    int64_t* strides;     /**< `ndim` strides in elements, or NULL: compact row-major. */
    uint64_t byte_offset; /**< Added to `data`. */
} vlm_tensor_view;

/** A tensor of this ABI. Plain data: code on either side may build one on the stack around memory that it owns. */
typedef struct vlm_tensor {
    uint32_t struct_size; /**< sizeof(vlm_tensor) of the writer. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the writer. */
    vlm_tensor_view view; /**< The DLPack view. */
    const char* name;     /**< For messages; may be NULL. */
    void* owner;          /**< Private to the allocator; NULL for a borrowed view. */
} vlm_tensor;

#ifdef __cplusplus
}
#endif

#endif /* VLM_TENSOR_H_ */
