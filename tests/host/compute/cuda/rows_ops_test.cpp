/** @file rows_ops_test.cpp
 *  Norms, softmax, element-wise operations, selection: the CUDA device beside the CPU device.
 */
#include <limits>

#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using RowOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, RowOps, testing::ValuesIn(targets()), target_name);

TEST_P(RowOps, Norms) {
    for (const int64_t columns : {1, 7, 64, 300, 520}) {
        SCOPED_TRACE(columns);
        const Tensor x = floats({5, columns}, 1), gamma = floats({columns}, 2), beta = floats({columns}, 3);
        compare([&](Side& s) {
            const Tensor a = s.act(x), g = s.put(gamma), b = s.put(beta);
            std::vector<Tensor> y;
            for (int i = 0; i < 5; ++i) y.push_back(s.make({5, columns}));
            s.call(&vlm_compute::layer_norm, a.abi(), g.abi(), b.abi(), 1e-5f, y[0].abi());
            s.call(&vlm_compute::layer_norm, a.abi(), nullptr, nullptr, 1e-2f, y[1].abi());
            s.call(&vlm_compute::rms_norm, a.abi(), g.abi(), 1e-6f, 1.0f, y[2].abi());
            s.call(&vlm_compute::rms_norm, a.abi(), nullptr, 1e-6f, 0.0f, y[3].abi());
            s.call(&vlm_compute::l2_normalize, a.abi(), 1e-12f, y[4].abi());
            return y;
        });
    }
}

TEST_P(RowOps, NormsOfHeadsInsideAFusedProjectionAndInPlace) {
    const Tensor qkv = floats({3, 2 * 16 + 8}, 4);
    // What lies between heads of 5 and of 13 must stay as it is.
    for (const int64_t dim : {8, 5, 13}) {
        SCOPED_TRACE(dim);
        const Tensor gamma = floats({dim}, 5);
        compare([&](Side& s) {
            const Tensor a = s.act(qkv), g = s.put(gamma);
            Part heads(a, 8, {3, 2, dim}, {40, 16, 1});
            s.call(&vlm_compute::rms_norm, heads.abi(), g.abi(), 1e-6f, 0.0f, heads.abi());
            s.call(&vlm_compute::layer_norm, heads.abi(), g.abi(), nullptr, 1e-6f, heads.abi());
            return std::vector<Tensor>{a};
        });
    }
}

TEST_P(RowOps, SoftmaxAndActivations) {
    Tensor x = floats({4, 130}, 6, 3.0f);
    x.data<float>()[5] = -std::numeric_limits<float>::infinity();
    compare([&](Side& s) {
        const Tensor a = s.act(x);
        std::vector<Tensor> y{s.make({4, 130})};
        s.call(&vlm_compute::softmax, a.abi(), y[0].abi());
        return y;
    });
    x.data<float>()[5] = 0.5f;
    for (uint32_t kind = VLM_ACT_NONE; kind <= VLM_ACT_SIGMOID; ++kind) {
        SCOPED_TRACE(kind);
        compare([&](Side& s) {
            const Tensor a = s.act(x);
            s.call(&vlm_compute::activation, a.abi(), kind, a.abi());
            return std::vector<Tensor>{a};
        });
    }
}

/** As scores of tokens are, whatever the activations. */
TEST_P(RowOps, SumsAndProductsOfF32) {
    const Tensor a = floats({3, 20}, 12), b = floats({20}, 13);
    compare([&](Side& s) {
        const Tensor left = s.put(a), right = s.put(b);
        std::vector<Tensor> y{s.make(VLM_DTYPE_F32, {3, 20}), s.make(VLM_DTYPE_F32, {3, 20})};
        s.call(&vlm_compute::add, left.abi(), right.abi(), 0.5f, y[0].abi());
        s.call(&vlm_compute::multiply, left.abi(), right.abi(), y[1].abi());
        return y;
    });
}

TEST_P(RowOps, SumsAndProductsWithBroadcast) {
    const Tensor a = floats({2, 3, 20}, 7), b = floats({3, 20}, 8), row = floats({20}, 9), one = floats({1, 20}, 10);
    for (const Tensor* right : {&a, &b, &row, &one}) {
        compare([&](Side& s) {
            const Tensor left = s.act(a), other = s.act(*right);
            std::vector<Tensor> y{s.make({2, 3, 20}), s.make({2, 3, 20})};
            s.call(&vlm_compute::add, left.abi(), other.abi(), -0.5f, y[0].abi());
            s.call(&vlm_compute::multiply, left.abi(), other.abi(), y[1].abi());
            return y;
        });
    }
    const Tensor left = gpu_->act(a), wrong = gpu_->act(floats({2, 20}, 11));
    EXPECT_THROW(gpu_->call(&vlm_compute::add, left.abi(), wrong.abi(), 1.0f, left.abi()), Error);
}

TEST_P(RowOps, Selection) {
    // Few different values, so that ties decide; one row has a NaN.
    Tensor x(VLM_DTYPE_F32, {3, 200});
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(i * 37 % 11);
    x.data<float>()[450] = std::numeric_limits<float>::quiet_NaN();
    for (const int32_t k : {1, 5, 200}) {
        SCOPED_TRACE(k);
        compare([&](Side& s) {
            const Tensor a = s.act(x);
            std::vector<Tensor> y{s.make(VLM_DTYPE_F32, {3, k}), s.make(VLM_DTYPE_I32, {3, k}),
                                  s.make(VLM_DTYPE_F32, {3}), s.make(VLM_DTYPE_I32, {3})};
            s.call(&vlm_compute::top_k, a.abi(), k, y[0].abi(), y[1].abi());
            s.call(&vlm_compute::argmax, a.abi(), y[2].abi(), y[3].abi());
            return y;
        });
    }
}

TEST_P(RowOps, SelectionFromAVocabulary) {
    Tensor x(VLM_DTYPE_F32, {1, 9000});
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(i * 7919 % 251);
    compare([&](Side& s) {
        const Tensor a = s.act(x);
        std::vector<Tensor> y{s.make(VLM_DTYPE_F32, {1, 40}), s.make(VLM_DTYPE_I32, {1, 40})};
        s.call(&vlm_compute::top_k, a.abi(), 40, y[0].abi(), y[1].abi());
        return y;
    });
}

TEST_P(RowOps, WrongArgumentsAreRefused) {
    const Tensor x = gpu_->act(floats({2, 8}, 12)), y = gpu_->make({2, 7}), host = floats({2, 8}, 13);
    EXPECT_THROW(gpu_->call(&vlm_compute::softmax, x.abi(), y.abi()), Error);
    EXPECT_THROW(gpu_->call(&vlm_compute::activation, x.abi(), 99u, x.abi()), Error);
    EXPECT_THROW(gpu_->call(&vlm_compute::top_k, x.abi(), 9, nullptr, nullptr), Error);
    try {
        gpu_->call(&vlm_compute::softmax, host.abi(), x.abi());
        FAIL() << "a tensor of the host was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_NE(std::string(error.what()).find("copy it there first"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace vlm::test
