/** @file runtime.hpp
 *  What the operations need of a GPU besides kernels: memory in the order of a stream, copies, dense products.
 *
 *  It is an interface because there are two: `cuda_runtime.cpp` is the GPU; the tests have one that executes everything
 * on the CPU, so that all checks, launches and index arithmetic of this folder run in every build, GPU or not.
 */
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace vlm::cuda {

/** What follows a dense product inside cuBLASLt. GELU is the tanh form there. */
enum class Epilogue { none, relu, gelu_tanh };

/** `y = act(alpha x W^T + bias + residual)`, all of one dtype, sums in f32. */
struct DenseProduct {
    uint32_t dtype = 0;  ///< VLM_DTYPE_F32 or VLM_DTYPE_BF16, of everything.
    int64_t rows = 0, in = 0, out = 0;
    const void* x = nullptr;  ///< `[rows, in]`, rows `x_stride` elements apart.
    int64_t x_stride = 0;
    const void* weight = nullptr;  ///< `[out, in]`, rows `weight_stride` elements apart.
    int64_t weight_stride = 0;
    const void* bias = nullptr;      ///< `[out]` or NULL.
    const void* residual = nullptr;  ///< `[rows, out]` or NULL; may be `y`.
    int64_t residual_stride = 0;
    void* y = nullptr;  ///< `[rows, out]`.
    int64_t y_stride = 0;
    Epilogue epilogue = Epilogue::none;
    float alpha = 1.0f;
};

/** Bytes. */
struct MemoryInfo {
    int64_t free = 0, total = 0;
};

/** One GPU. Streams are `cudaStream_t`, as `void*`. Functions throw vlm::Error; those marked noexcept report nothing,
 * because a failing GPU shows itself at the next call. */
class Runtime {
  public:
    virtual ~Runtime() = default;
    /** "NVIDIA H200, sm_90, 139.8 GiB". */
    virtual std::string name() const = 0;
    /** Makes the GPU the calling thread's. */
    virtual void bind() = 0;
    /** The stream of runs that bring none. */
    virtual void* stream() = 0;
    virtual MemoryInfo memory() = 0;

    /** Memory aligned to at least 256 bytes for work behind this point of the stream; NULL when there is none. */
    virtual void* allocate(int64_t bytes, void* stream) = 0;
    virtual void release(void* memory, void* stream) noexcept = 0;
    /** Memory that the GPU can write and the host can read, zeroed. */
    virtual int32_t* shared_word() = 0;

    /** Host to device. `source` may be changed as soon as this returns. */
    virtual void upload(const void* source, void* target, int64_t bytes, void* stream) = 0;
    /** Device to host; waits. */
    virtual void download(const void* source, void* target, int64_t bytes, void* stream) = 0;
    virtual void copy(const void* source, void* target, int64_t bytes, void* stream) = 0;
    virtual void clear(void* target, int64_t bytes, void* stream) = 0;
    virtual void synchronize(void* stream) = 0;

    /** False, and nothing done, when the library has no way to multiply this shape or to fuse this epilogue. */
    virtual bool multiply(const DenseProduct& product, void* stream) = 0;
};

/** Opens GPU `ordinal`. @throws Error UNAVAILABLE with the reason and what to do. */
std::unique_ptr<Runtime> open_runtime(int ordinal);

}  // namespace vlm::cuda
