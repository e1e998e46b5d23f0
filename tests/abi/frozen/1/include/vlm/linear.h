/** @file linear.h
 *  Packed weights of a linear layer, and what can be fused behind the product.
 *
 *  A layer is packed once, when the model loads, into whatever layout its device multiplies fastest (and quantised
 * there when the user asked for int8 or int4). A plugin sees only the handle. Several matrices that read the same input
 * (q, k, v; gate, up) are packed as *parts* of one layer, so that the input is read once.
 */
#ifndef VLM_LINEAR_H_
#define VLM_LINEAR_H_
#include <stdint.h>

#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Activation functions. GELU is the exact erf form, GELU_TANH the tanh form, QUICK_GELU is `x * sigmoid(1.702 x)`,
 * RELU2 is `max(x, 0)^2` (Persimmon). */
#define VLM_ACT_NONE 0       /**< `x`. */
#define VLM_ACT_RELU 1       /**< `max(x, 0)`. */
#define VLM_ACT_GELU 2       /**< `x * Phi(x)`, by erf. */
#define VLM_ACT_GELU_TANH 3  /**< GELU by its tanh approximation. */
#define VLM_ACT_QUICK_GELU 4 /**< `x * sigmoid(1.702 x)`. */
#define VLM_ACT_SILU 5       /**< `x * sigmoid(x)`. */
#define VLM_ACT_RELU2 6      /**< `max(x, 0)^2`. */
#define VLM_ACT_TANH 7       /**< `tanh(x)`. */
#define VLM_ACT_SIGMOID 8    /**< `1 / (1 + exp(-x))`. */
/** Keep more bits of this layer than of others when the model is quantised (routers, heads). */
#define VLM_LINEAR_KEEP_PRECISION 1u
/** The weight is `[in, out]` (Conv1D, a text projection used as `x @ W`) and not `[out, in]`. */
#define VLM_LINEAR_TRANSPOSED 2u

/** A packed layer; belongs to the model and is shared by all sessions. */
typedef struct vlm_linear vlm_linear;

/** What to pack. Weights are CPU tensors of any float dtype as the weights service gives them; the memory is not kept.
 */
typedef struct vlm_linear_spec {
    uint32_t struct_size; /**< sizeof(vlm_linear_spec) of the writer. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the writer. */
    uint32_t part_count;  /**< Number of weights stacked along the output dimension, at least 1. */
    uint32_t flags;       /**< VLM_LINEAR_*. */
    const vlm_tensor* const*
        weights; /**< `part_count` matrices `[out_i, in]` (dimensions behind the second are flattened). */
    const vlm_tensor* const*
        biases;       /**< `part_count` vectors `[out_i]`, each may be NULL; or NULL: no biases at all. */
    const char* name; /**< For messages, the cache of packed weights and quality reports; may be NULL. */
} vlm_linear_spec;

/** What happens to `x W^T + b` before it is stored: `y = residual + scale * act(x W^T + b)`, each step only when asked
 * for. With `gated`, the layer has two equal halves of outputs (gate first, then up) and `y = act(gate) * up`. */
typedef struct vlm_epilogue {
    uint32_t struct_size;       /**< sizeof(vlm_epilogue) of the writer. */
    uint32_t abi_version;       /**< VLM_ABI_VERSION of the writer. */
    uint32_t activation;        /**< VLM_ACT_*. */
    uint32_t gated;             /**< 1: gate and up halves, output `[rows, out / 2]`. */
    const vlm_tensor* residual; /**< `[rows, out]` added last; may be the output tensor itself; NULL: none. */
    const vlm_tensor* scale;    /**< `[out]` f32 (layer scale), or `[1]` (a gate); NULL: 1. */
} vlm_epilogue;

#ifdef __cplusplus
}
#endif

#endif /* VLM_LINEAR_H_ */
