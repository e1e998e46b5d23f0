/** @file tensor_test.cpp
 *  Views share memory, mend their pointers when copied, and refuse what would reach outside.
 */
#include "vlm/sdk/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "vlm/sdk/weights.hpp"

namespace {

using namespace vlm::sdk;

HostTensor<float> counting(const Shape& shape) {
    HostTensor<float> t(shape);
    std::iota(t.data().begin(), t.data().end(), 0.F);
    return t;
}

float first(const Tensor& t) {
    return *reinterpret_cast<const float*>(static_cast<const char*>(t.get()->view.data) + t.get()->view.byte_offset);
}

TEST(Tensor, CopiesPointAtTheirOwnShape) {
    auto host = counting({2, 6});
    const Tensor a = host.view();
    Tensor b = a;
    EXPECT_EQ(b.get()->view.shape, b.shape().data());
    EXPECT_NE(a.get()->view.shape, b.get()->view.shape);
    b = b.rows(1, 1);
    EXPECT_EQ(a.size(0), 2);
    EXPECT_EQ(first(b), 6.F);
}

TEST(Tensor, SlicesAndHeadsAreStridedViews) {
    auto host = counting({2, 12});
    const Tensor k = host.view().columns(4, 4).split_last(2);
    EXPECT_EQ(to_string(k.shape()), "[2, 2, 2]");
    EXPECT_EQ(k.stride(0), 12);
    EXPECT_EQ(k.stride(1), 2);
    EXPECT_EQ(first(k), 4.F);
    EXPECT_FALSE(k.compact());
    EXPECT_THROW(k.span<float>(), Error);
    EXPECT_THROW(k.reshape({8}), Error);
    EXPECT_EQ(first(k.slice(1, 1, 1).rows(1, 1)), 18.F);
}

TEST(Tensor, RefusesWhatLiesOutside) {
    auto host = counting({2, 6});
    EXPECT_THROW(host.view().rows(1, 2), Error);
    EXPECT_THROW(host.view().rows(-1, 1), Error);
    EXPECT_THROW(host.view().slice(0, INT64_MAX, 1), Error);
    EXPECT_THROW(host.view().split_last(4), Error);
    EXPECT_THROW(host.view().size(2), Error);
    EXPECT_THROW(element_count(Shape{INT64_MAX, 2}), Error);
    EXPECT_THROW(host.view().expect_shape({2, 5}, "x"), Error);
    host.view().expect_shape({-1, 6}, "x");
}

TEST(Tensor, RefusesMalformedTensorsOfTheOtherSide) {
    EXPECT_THROW(Tensor(nullptr, "t"), Error);
    auto t = make_struct<vlm_tensor>();
    t.view.ndim = 9;
    EXPECT_THROW(Tensor(&t, "t"), Error);
    t.view.ndim = 1;
    EXPECT_THROW(Tensor(&t, "t"), Error);  // no shape
    t.struct_size = 0;
    EXPECT_THROW(Tensor(&t, "t"), Error);
}

TEST(Tensor, ReadsEveryFloatType) {
    std::vector<uint16_t> half = {0x3C00, 0xC000, 0x0001, 0x7C00}, brain = {0x3F80, 0xC000, 0x0000, 0x7F80};
    const Shape shape = {4};
    EXPECT_EQ(to_floats(Tensor(half.data(), VLM_DTYPE_F16, shape)),
              (std::vector<float>{1.F, -2.F, 0x1p-24F, INFINITY}));
    EXPECT_EQ(to_floats(Tensor(brain.data(), VLM_DTYPE_BF16, shape)), (std::vector<float>{1.F, -2.F, 0.F, INFINITY}));
    EXPECT_THROW(to_floats(Tensor(half.data(), VLM_DTYPE_I16, shape)), Error);
}

}  // namespace
