/** @file fuse_epilogue.cpp
 *  See fuse_epilogue in linear_ops.hpp; apart from the rest so that it is tested without a GPU.
 */
#include "host/compute/cuda/linear_ops.hpp"

namespace vlm::cuda {

FusedEpilogue fuse_epilogue(const LinearEpilogue& e, const RowLayout& y) {
    FusedEpilogue fused;
    const bool plain = !e.gated && e.scale == nullptr && y.rows.dims == 1;
    const bool residual = e.residual.data != nullptr;
    if (!plain) return fused;
    if (e.activation == VLM_ACT_NONE && (!residual || e.residual.rows.dims == 1)) {
        fused.complete = true;
        fused.residual = residual;
    } else if (!residual && (e.activation == VLM_ACT_RELU || e.activation == VLM_ACT_GELU_TANH)) {
        fused.complete = true;
        fused.epilogue = e.activation == VLM_ACT_RELU ? Epilogue::relu : Epilogue::gelu_tanh;
    }
    return fused;
}

}  // namespace vlm::cuda
