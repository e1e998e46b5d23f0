/** @file elements_ops_test.cpp
 *  Copies, gathers, positions, patches, means, interpolation: the CUDA device beside the CPU device.
 */
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using ElementOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, ElementOps, testing::ValuesIn(targets()), target_name);

constexpr uint32_t kDtypes[] = {VLM_DTYPE_F32, VLM_DTYPE_F64, VLM_DTYPE_F16, VLM_DTYPE_BF16, VLM_DTYPE_I8,
                                VLM_DTYPE_I16, VLM_DTYPE_I32, VLM_DTYPE_I64, VLM_DTYPE_U8,   VLM_DTYPE_BOOL};

TEST_P(ElementOps, CopiesBetweenAllDtypes) {
    Tensor x = floats({5, 12}, 1, 40.0f);
    x.data<float>()[0] = 1e6f;
    x.data<float>()[1] = -1e6f;
    x.data<float>()[2] = 0.0f;
    x.data<float>()[3] = 3e-7f;
    for (const uint32_t from : kDtypes)
        for (const uint32_t to : kDtypes) {
            SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to));
            compare([&](Side& s) {
                const Tensor a = s.put(x, from), b = s.make(to, {5, 12});
                s.call(&vlm_compute::copy, a.abi(), b.abi());
                // Back to the host in its own dtype, bytes as they are.
                Tensor host(to, {5, 12});
                s.call(&vlm_compute::copy, b.abi(), host.abi());
                Tensor raw(VLM_DTYPE_U8, {host.elements() * dtype_bytes(to)});
                std::memcpy(raw.data<char>(), host.data<char>(), static_cast<size_t>(raw.elements()));
                return std::vector<Tensor>{s.put(raw)};
            });
        }
}

TEST_P(ElementOps, StridedCopiesInEveryDirection) {
    const Tensor x = floats({4, 6, 5}, 2);
    compare([&](Side& s) {
        const Tensor a = s.put(x);
        std::vector<Tensor> y;
        Part columns(a, 1, {4, 6, 3}, {30, 5, 1});
        y.push_back(s.make(VLM_DTYPE_F32, {4, 18}));
        s.call(&vlm_compute::copy, columns.abi(), y.back().abi());
        // From and to strided host memory, with a cast.
        Part host(x, 2, {4, 6, 2}, {30, 5, 1});
        y.push_back(s.make(VLM_DTYPE_BF16, {48}));
        s.call(&vlm_compute::copy, host.abi(), y.back().abi());
        Tensor back(VLM_DTYPE_F32, {4, 6, 5});
        Part target(back, 3, {4, 6, 1}, {30, 5, 1});
        Part source(a, 0, {6, 4}, {5, 30});
        s.call(&vlm_compute::copy, source.abi(), target.abi());
        y.push_back(s.put(back));
        // Into a strided target on the device.
        const Tensor wide = s.make(VLM_DTYPE_F32, {4, 40});
        s.call(&vlm_compute::fill, wide.abi(), 7.0);
        Part middle(wide, 4, {4, 30}, {40, 1});
        s.call(&vlm_compute::copy, x.abi(), middle.abi());
        y.push_back(wide);
        return y;
    });
}

TEST_P(ElementOps, KeepConverts) {
    const Tensor x = floats({3, 9}, 3);
    for (const uint32_t dtype : {VLM_DTYPE_F32, VLM_DTYPE_BF16, VLM_DTYPE_F16}) {
        compare([&](Side& s) {
            vlm_tensor* kept = nullptr;
            EXPECT_EQ(s.table()->keep(s.table(), x.abi(), dtype, &kept), VLM_STATUS_OK);
            const Tensor y = s.make(VLM_DTYPE_F32, {3, 9});
            s.call(&vlm_compute::copy, kept, y.abi());
            s.table()->release(s.table(), kept);
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(ElementOps, Gather) {
    const Tensor rows = ints({5, 0, -1, 0, 2});
    for (const int64_t size : {5, 8})
        for (const uint32_t dtype : {VLM_DTYPE_F32, VLM_DTYPE_BF16, VLM_DTYPE_F16, VLM_DTYPE_F64}) {
            const Tensor x = floats({6, 3, size}, 4);
            compare([&](Side& s) {
                const Tensor a = s.put(x, dtype), r = s.put(rows), y = s.make({5, 3, size});
                s.call(&vlm_compute::gather, a.abi(), r.abi(), y.abi());
                return std::vector<Tensor>{y};
            });
        }
}

TEST_P(ElementOps, AnIndexOutsideIsReportedWhenTheHostWaits) {
    for (const int64_t size : {8, 7}) {
        const Tensor a = gpu_->act(floats({4, size}, 5)), rows = gpu_->put(ints({1, 4})), y = gpu_->make({2, size});
        gpu_->call(&vlm_compute::gather, a.abi(), rows.abi(), y.abi());
        try {
            gpu_->get(y);
            FAIL() << "row 4 of 4 was taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_OUT_OF_RANGE);
            EXPECT_NE(std::string(error.what()).find("gather"), std::string::npos) << error.what();
        }
        const Tensor values = gpu_->get(y);  // once is enough
        EXPECT_EQ(values.data<float>()[size], 0.0f);
    }
}

TEST_P(ElementOps, PermuteOfEverySize) {
    const Tensor x = floats({2, 3, 4, 5}, 6);
    for (const uint32_t dtype : {VLM_DTYPE_F32, VLM_DTYPE_U8, VLM_DTYPE_BF16, VLM_DTYPE_I64}) {
        compare([&](Side& s) {
            const Tensor a = s.put(x, dtype), y = s.make(dtype, {4, 2, 5, 3});
            const int32_t axes[] = {2, 0, 3, 1};
            s.call(&vlm_compute::permute, a.abi(), static_cast<const int32_t*>(axes), y.abi());
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(ElementOps, PatchesInBothOrders) {
    const Tensor pixels = floats({2, 3, 9, 13}, 7);
    for (const int32_t order : {VLM_PATCH_CHANNEL_FIRST, VLM_PATCH_CHANNEL_LAST}) {
        compare([&](Side& s) {
            const Tensor p = s.put(pixels), y = s.make({2 * 2 * 4, 3 * 4 * 3});
            s.call(&vlm_compute::patches, p.abi(), 4, 3, order, y.abi());
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(ElementOps, MeanOverEveryAxis) {
    const Tensor x = floats({4, 6, 5}, 8);
    for (int32_t axis = 0; axis < 3; ++axis) {
        std::vector<int64_t> shape = {4, 6, 5};
        shape.erase(shape.begin() + axis);
        compare([&](Side& s) {
            const Tensor a = s.act(x), y = s.make(shape);
            s.call(&vlm_compute::mean, a.abi(), axis, y.abi());
            return std::vector<Tensor>{y};
        });
    }
}

TEST_P(ElementOps, RotaryTablesAndRotation) {
    const Tensor x = floats({5, 3, 16}, 9);
    const Tensor positions = ints({0, 3, 700, 9, 2, 1, 1, 1, 5, 8, 4, 3, 2, 1, 0});
    const float frequencies[] = {1.0f, 0.3f, 0.05f, 0.9f, 0.01f, 0.002f};
    const int32_t axis[] = {0, 1, 2, 0, 1, 2};
    for (const int32_t axes : {1, 3})
        for (const int32_t interleaved : {0, 1}) {
            compare([&](Side& s) {
                vlm_rope_spec spec{};
                spec.struct_size = sizeof(spec);
                spec.abi_version = VLM_ABI_VERSION;
                spec.frequencies = 6;
                spec.axes = axes;
                spec.inv_freq = frequencies;
                spec.axis = axes == 3 ? axis : nullptr;
                spec.attention_scaling = 1.25f;
                const Tensor all = s.put(positions), a = s.act(x);
                Part p(all, 0, {axes, 5}, {5, 1});
                const Tensor cos = s.make(VLM_DTYPE_F32, {5, 6}), sin = s.make(VLM_DTYPE_F32, {5, 6});
                s.call(&vlm_compute::rope_table, &spec, p.abi(), cos.abi(), sin.abi());
                s.call(&vlm_compute::rope, a.abi(), cos.abi(), sin.abi(), interleaved);
                return std::vector<Tensor>{cos, sin, a};
            });
        }
}

/** Eights of pairs, where heads, the row before them and the tables lie so; else pairs. */
TEST_P(ElementOps, RotationOfHeadsInsideAFusedProjection) {
    const Tensor x = floats({5, 3 * 40 + 8}, 10), angles = floats({5, 16}, 11), other = floats({5, 16}, 12);
    for (const int64_t offset : {8, 3})
        for (const int64_t frequencies : {16, 8, 5}) {
            SCOPED_TRACE(std::to_string(frequencies) + " frequencies at " + std::to_string(offset));
            compare([&](Side& s) {
                const Tensor a = s.act(x), cos = s.put(angles), sin = s.put(other);
                const Tensor c = s.make(VLM_DTYPE_F32, {5, frequencies}), t = s.make(VLM_DTYPE_F32, {5, frequencies});
                Part c_of(cos, 0, {5, frequencies}, {16, 1}), t_of(sin, 0, {5, frequencies}, {16, 1});
                s.call(&vlm_compute::copy, c_of.abi(), c.abi());
                s.call(&vlm_compute::copy, t_of.abi(), t.abi());
                Part heads(a, offset, {5, 3, 40}, {128, 40, 1});
                s.call(&vlm_compute::rope, heads.abi(), c.abi(), t.abi(), 0);
                return std::vector<Tensor>{a};
            });
        }
}

TEST_P(ElementOps, Interpolation) {
    const Tensor grid = floats({5, 7, 6}, 10);
    for (const int32_t mode : {VLM_INTERPOLATE_BILINEAR, VLM_INTERPOLATE_BICUBIC})
        for (const int32_t corners : {0, 1})
            for (const int32_t antialias : {0, 1}) {
                compare([&](Side& s) {
                    const Tensor a = s.put(grid), y = s.make(VLM_DTYPE_F32, {8, 3, 6});
                    s.call(&vlm_compute::interpolate, a.abi(), mode, corners, antialias, y.abi());
                    return std::vector<Tensor>{y};
                });
            }
}

TEST_P(ElementOps, WhatARunLeavesBehindIsFreed) {
    const int64_t shape[] = {100, 10};
    vlm_tensor* tensor = nullptr;
    gpu_->call(&vlm_compute::create, VLM_DTYPE_F32, 2, static_cast<const int64_t*>(shape), &tensor);
    gpu_->device().end_run(gpu_->context());
    vlm_tensor* other = nullptr;
    gpu_->call(&vlm_compute::create, VLM_DTYPE_F32, 2, static_cast<const int64_t*>(shape), &other);
    gpu_->table()->destroy(gpu_->table(), gpu_->context(), other);
    const int64_t absurd[] = {int64_t{1} << 40, int64_t{1} << 40};
    EXPECT_THROW(gpu_->call(&vlm_compute::create, VLM_DTYPE_F32, 2, static_cast<const int64_t*>(absurd), &tensor),
                 Error);
}

}  // namespace
}  // namespace vlm::test
