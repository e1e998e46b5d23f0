/** @file fuse_epilogue_test.cpp
 *  What cuBLASLt is asked to do behind a product, and what it is not: its order is bias and residual first, activation
 * last, and it knows no scale and no gate.
 */
#include <gtest/gtest.h>

#include "host/compute/cuda/linear_ops.hpp"

namespace vlm::cuda {
namespace {

RowLayout rows(int32_t dims) {
    static char memory[1];
    RowLayout layout;
    layout.data = memory;
    layout.rows.dims = dims;
    return layout;
}

TEST(FuseEpilogue, PlainProductsAndResiduals) {
    LinearEpilogue e;
    EXPECT_TRUE(fuse_epilogue(e, rows(1)).complete);
    EXPECT_FALSE(fuse_epilogue(e, rows(1)).residual);
    e.residual = rows(1);
    EXPECT_TRUE(fuse_epilogue(e, rows(1)).complete);
    EXPECT_TRUE(fuse_epilogue(e, rows(1)).residual);
    e.residual = rows(2);
    EXPECT_FALSE(fuse_epilogue(e, rows(1)).complete);
}

TEST(FuseEpilogue, TheTwoActivationsThatAreTheSame) {
    LinearEpilogue e;
    for (uint32_t act = VLM_ACT_RELU; act <= VLM_ACT_SIGMOID; ++act) {
        e.activation = act;
        const FusedEpilogue fused = fuse_epilogue(e, rows(1));
        EXPECT_EQ(fused.complete, act == VLM_ACT_RELU || act == VLM_ACT_GELU_TANH) << act;
        const Epilogue expected = act == VLM_ACT_RELU        ? Epilogue::relu
                                  : act == VLM_ACT_GELU_TANH ? Epilogue::gelu_tanh
                                                             : Epilogue::none;
        EXPECT_EQ(fused.epilogue, expected) << act;
    }
    e.activation = VLM_ACT_RELU;
    e.residual = rows(1);
    EXPECT_FALSE(fuse_epilogue(e, rows(1)).complete) << "the residual would go through the activation";
}

TEST(FuseEpilogue, ScalesGatesAndRowsOfRowsNeedThePass) {
    const float one = 1.0f;
    LinearEpilogue scaled, gated, plain;
    scaled.scale = &one;
    gated.gated = true;
    EXPECT_FALSE(fuse_epilogue(scaled, rows(1)).complete);
    EXPECT_FALSE(fuse_epilogue(gated, rows(1)).complete);
    EXPECT_FALSE(fuse_epilogue(plain, rows(2)).complete);
}

}  // namespace
}  // namespace vlm::cuda
