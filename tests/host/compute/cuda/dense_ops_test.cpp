/** @file dense_ops_test.cpp
 *  Linear layers with every epilogue and number of rows, and products of activations: the CUDA device beside the CPU
 * device.
 */
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using DenseOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, DenseOps, testing::ValuesIn(targets()), target_name);

vlm_epilogue epilogue_of(uint32_t activation, bool gated = false) {
    vlm_epilogue e{};
    e.struct_size = sizeof(e);
    e.abi_version = VLM_ABI_VERSION;
    e.activation = activation;
    e.gated = gated ? 1 : 0;
    return e;
}

/** 1 to 8 rows take own kernels, in bf16 from 3 on that for the tensor cores; depths that are multiples of 8 cuBLASLt,
 * others the way around it. */
constexpr int64_t kRows[] = {1, 2, 3, 8, 9, 20};

TEST_P(DenseOps, RowsAndDepths) {
    for (const int64_t in : {64, 1096, 13})
        for (const int64_t rows : kRows) {
            SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(in));
            const Tensor w = floats({30, in}, 1, 0.2f), b = floats({30}, 2), x = floats({rows, in}, 3);
            compare([&](Side& s) {
                const auto layer = pack_layer(s.table(), {w}, {b});
                const Tensor a = s.act(x), y = s.make({rows, 30});
                s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(), nullptr, y.abi());
                return std::vector<Tensor>{y};
            });
        }
}

TEST_P(DenseOps, EveryEpilogue) {
    const Tensor w = floats({24, 40}, 4, 0.3f), b = floats({24}, 5), each = floats({24}, 6), one = floats({1}, 7);
    for (const int64_t rows : {3, 12})
        for (uint32_t act = VLM_ACT_NONE; act <= VLM_ACT_SIGMOID; ++act)
            for (int variant = 0; variant < 8; ++variant) {
                SCOPED_TRACE(std::to_string(rows) + " rows, activation " + std::to_string(act) + ", variant " +
                             std::to_string(variant));
                const Tensor x = floats({rows, 40}, 8), residual = floats({rows, 24}, 9);
                compare([&](Side& s) {
                    const auto layer =
                        pack_layer(s.table(), {w}, variant >= 4 ? std::vector<Tensor>{b} : std::vector<Tensor>{});
                    const Tensor a = s.act(x), y = s.act(residual), scale = s.put(variant % 4 == 1 ? each : one);
                    vlm_epilogue e = epilogue_of(act);
                    if (variant % 4 == 1 || variant % 4 == 2) e.scale = scale.abi();
                    if (variant % 4 >= 2) e.residual = y.abi();  // the output itself
                    s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(),
                           static_cast<const vlm_epilogue*>(&e), y.abi());
                    return std::vector<Tensor>{y};
                });
            }
}

TEST_P(DenseOps, GatedLayersOfSeveralParts) {
    const Tensor gate = floats({18, 32}, 10, 0.3f), up = floats({18, 32}, 11, 0.3f), b = floats({18}, 12);
    for (const int64_t rows : {1, 5, 11}) {
        const Tensor x = floats({rows, 32}, 13), residual = floats({rows, 18}, 14);
        compare([&](Side& s) {
            const auto layer = pack_layer(s.table(), {gate, up}, {Tensor(), b});
            const Tensor a = s.act(x), y = s.make({rows, 18}), r = s.act(residual);
            vlm_epilogue e = epilogue_of(VLM_ACT_SILU, true);
            e.residual = r.abi();
            s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(),
                   static_cast<const vlm_epilogue*>(&e), y.abi());
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(DenseOps, StridedRowsAndTransposedWeights) {
    const Tensor w = floats({16, 10}, 15, 0.3f), wide = floats({12, 50}, 16);
    for (const int64_t rows : {4, 12}) {
        compare([&](Side& s) {
            const auto layer = pack_layer(s.table(), {w}, {}, VLM_LINEAR_TRANSPOSED);
            const Tensor a = s.act(wide), y = s.make({12, 30});
            s.call(&vlm_compute::fill, y.abi(), 3.0);
            Part x(a, 7, {rows, 16}, {50, 1}), target(y, 11, {rows, 10}, {30, 1});
            s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), x.abi(), nullptr, target.abi());
            // Rows of rows, not a fixed distance apart.
            Part grid(a, 0, {2, 3, 16}, {150, 17, 1}), other(y, 0, {2, 3, 10}, {100, 30, 1});
            s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), grid.abi(), nullptr, other.abi());
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(DenseOps, ConvolutionWeightsAreFlattened) {
    const Tensor w = floats({6, 3, 2, 2}, 17), x = floats({10, 12}, 18);
    compare([&](Side& s) {
        const auto layer = pack_layer(s.table(), {w}, {});
        const Tensor a = s.act(x), y = s.make({10, 6});
        s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(), nullptr, y.abi());
        return std::vector<Tensor>{y};
    });
}

TEST_P(DenseOps, Matmul) {
    const Tensor a = floats({2, 3, 7, 20}, 19), b = floats({2, 3, 20, 9}, 20), bt = floats({2, 3, 9, 20}, 21);
    compare([&](Side& s) {
        const Tensor left = s.act(a), right = s.act(b), turned = s.act(bt);
        std::vector<Tensor> y{s.make({2, 3, 7, 9}), s.make({2, 3, 7, 9}), s.make({7, 7})};
        s.call(&vlm_compute::matmul, left.abi(), right.abi(), 0, 0.5f, y[0].abi());
        s.call(&vlm_compute::matmul, left.abi(), turned.abi(), 1, 1.0f, y[1].abi());
        Part matrix(left, 40, {7, 10}, {20, 2});
        s.call(&vlm_compute::matmul, matrix.abi(), matrix.abi(), 1, 1.0f, y[2].abi());
        return y;
    });
}

TEST_P(DenseOps, WrongLayersAreRefused) {
    const auto layer = pack_layer(gpu_->table(), {floats({5, 8}, 22)}, {});
    const Tensor x = gpu_->act(floats({2, 8}, 23)), y = gpu_->make({2, 5}), narrow = gpu_->make({2, 2});
    const auto* l = static_cast<const vlm_linear*>(layer.get());
    EXPECT_THROW(gpu_->call(&vlm_compute::linear, l, x.abi(), nullptr, narrow.abi()), Error);
    const vlm_epilogue gated = epilogue_of(VLM_ACT_SILU, true);
    EXPECT_THROW(gpu_->call(&vlm_compute::linear, l, x.abi(), static_cast<const vlm_epilogue*>(&gated), narrow.abi()),
                 Error);
    EXPECT_THROW(pack_layer(gpu_->table(), {floats({5, 8}, 24), floats({5, 9}, 25)}, {}), Error);
    EXPECT_NO_THROW(gpu_->call(&vlm_compute::linear, l, x.abi(), nullptr, y.abi()));
}

TEST_P(DenseOps, WeightsAreCountedAndGivenBack) {
    const int64_t before = gpu_->device().counters().weight_bytes;
    {
        const auto layer = pack_layer(gpu_->table(), {floats({100, 64}, 26)}, {});
        EXPECT_GE(gpu_->device().counters().weight_bytes - before, 100 * 64 * 2);
    }
    EXPECT_EQ(gpu_->device().counters().weight_bytes, before);
}

}  // namespace
}  // namespace vlm::test
