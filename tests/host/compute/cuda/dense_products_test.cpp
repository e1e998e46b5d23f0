/** @file dense_products_test.cpp
 *  What dense_products.cpp tells cuBLASLt, by an emulated library (cublaslt/) that does what it is told: rows and
 * columns, strides, what is fused, fp8, and the choice of algorithms.
 */
#include "host/compute/cuda/dense_products.hpp"

#include <gtest/gtest.h>
#include <vlm/tensor.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "host/compute/cuda/element.hpp"

namespace vlm::cuda {
namespace {

/** Numbers in memory of a dtype that is aligned to 256 bytes. */
class Numbers {
  public:
    Numbers(uint32_t dtype, int64_t count, uint32_t seed)
        : dtype_(dtype), memory_(static_cast<size_t>(count) / 32 + 2) {
        std::mt19937 generator(seed);
        std::normal_distribution<float> normal;
        for (int64_t i = 0; i < count; ++i) {
            if (dtype == VLM_DTYPE_F8_E4M3)
                static_cast<uint8_t*>(data())[i] = e4m3_from_float(100.0f * normal(generator));
            else
                store_number(dtype, data(), i, static_cast<double>(normal(generator)));
        }
    }
    void* data() { return memory_.data(); }
    double at(int64_t i) { return load_number(dtype_, data(), i); }

  private:
    struct alignas(256) Block {
        std::byte bytes[256];
    };
    uint32_t dtype_;
    std::vector<Block> memory_;
};

class DenseProductsTest : public testing::Test {
  protected:
    void SetUp() override {
        // Tests run beside each other, each as a process of its own.
        const auto* test = testing::UnitTest::GetInstance()->current_test_info();
        folder_ = std::filesystem::path(testing::TempDir()) / (std::string("dense_products_") + test->name());
        std::filesystem::remove_all(folder_);
        setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
        emulated_library() = {};
    }
    void TearDown() override {
        unsetenv("XDG_CACHE_HOME");
        std::filesystem::remove_all(folder_);
    }
    bool multiply(DenseProducts& products, const DenseProduct& p) {
        return products.multiply(p, nullptr, [&](int64_t bytes) -> void* {
            workspace_.resize(static_cast<size_t>(bytes));
            return workspace_.data();
        });
    }
    /** One product of 6 rows with strides of their own, and what it should be. */
    void expect_right(DenseProducts& products, uint32_t dtype, bool e4m3, Epilogue epilogue, bool bias, bool residual) {
        constexpr int64_t kRows = 6, kIn = 48, kOut = 32, kX = 64, kW = 80, kY = 40, kR = 56;
        const uint32_t factors = e4m3 ? VLM_DTYPE_F8_E4M3 : dtype;
        Numbers x(factors, kRows * kX, 1), w(factors, kOut * kW, 2), y(dtype, kRows * kY, 3);
        Numbers b(e4m3 ? VLM_DTYPE_BF16 : dtype, kOut, 4), r(dtype, kRows * kR, 5);
        DenseProduct p;
        p.dtype = dtype;
        p.e4m3 = e4m3;
        p.rows = kRows;
        p.in = kIn;
        p.out = kOut;
        p.x = x.data();
        p.x_stride = kX;
        p.weight = w.data();
        p.weight_stride = kW;
        p.y = y.data();
        p.y_stride = kY;
        p.epilogue = epilogue;
        p.alpha = 0.5f;
        if (bias) p.bias = b.data();
        if (residual) p.residual = r.data();
        if (residual) p.residual_stride = kR;
        ASSERT_TRUE(multiply(products, p)) << emulated_library().refusal;
        for (int64_t row = 0; row < kRows; ++row)
            for (int64_t out = 0; out < kOut; ++out) {
                double sum = 0.0;
                for (int64_t k = 0; k < kIn; ++k) sum += x.at(row * kX + k) * w.at(out * kW + k);
                sum = 0.5 * sum + (residual ? r.at(row * kR + out) : 0.0) + (bias ? b.at(out) : 0.0);
                if (epilogue == Epilogue::relu) sum = std::max(sum, 0.0);
                const double tolerance = (dtype == VLM_DTYPE_F32 ? 1e-5 : 5e-3) * (1.0 + std::abs(sum));
                EXPECT_NEAR(y.at(row * kY + out), sum, tolerance) << row << " " << out;
            }
    }
    std::filesystem::path folder_;
    std::vector<std::byte> workspace_;
};

TEST_F(DenseProductsTest, RowsColumnsAndWhatIsFused) {
    DenseProducts products("test", 9);
    for (const uint32_t dtype : {VLM_DTYPE_F32, VLM_DTYPE_BF16}) {
        expect_right(products, dtype, false, Epilogue::none, false, false);
        expect_right(products, dtype, false, Epilogue::relu, true, false);
        expect_right(products, dtype, false, Epilogue::none, true, true);
    }
}

TEST_F(DenseProductsTest, CodesInE4m3) {
    DenseProducts products("test", 9);
    for (const uint32_t dtype : {VLM_DTYPE_F32, VLM_DTYPE_BF16})
        expect_right(products, dtype, true, Epilogue::none, false, false);
    EXPECT_EQ(emulated_library().multiplied, 2);
}

/** A product in fp8 that breaks one rule each. */
TEST_F(DenseProductsTest, WhatTheLibraryRefusesIsNotDone) {
    DenseProducts products("test", 9);
    Numbers x(VLM_DTYPE_F8_E4M3, 64 * 64, 1), w(VLM_DTYPE_F8_E4M3, 64 * 64, 2), y(VLM_DTYPE_BF16, 64 * 64, 3);
    DenseProduct right;
    right.dtype = VLM_DTYPE_BF16;
    right.e4m3 = true;
    right.rows = right.in = right.out = 32;
    right.x = x.data();
    right.weight = w.data();
    right.y = y.data();
    right.x_stride = right.weight_stride = right.y_stride = 64;
    EXPECT_TRUE(multiply(products, right));
    const auto refused = [&](const char* why, auto change) {
        DenseProduct p = right;
        change(p);
        EXPECT_FALSE(multiply(products, p)) << why;
        EXPECT_NE(std::string(emulated_library().refusal).find(why), std::string::npos) << emulated_library().refusal;
    };
    refused("depth", [](DenseProduct& p) { p.in = 24; });
    refused("column of D", [](DenseProduct& p) { p.out = 20; });
    refused("leading dimensions of A or B", [](DenseProduct& p) { p.x_stride = 40; });
    refused("leading dimensions of A or B", [](DenseProduct& p) { p.weight_stride = 40; });
    refused("leading dimensions of C or D", [](DenseProduct& p) { p.y_stride = 36; });
    refused("does not begin", [&](DenseProduct& p) { p.x = static_cast<std::byte*>(x.data()) + 8; });
    refused("does not begin", [&](DenseProduct& p) { p.weight = static_cast<std::byte*>(w.data()) + 4; });
    emulated_library().capability = 80;
    refused("8.9", [](DenseProduct& p) { p.rows = 16; });
    emulated_library().capability = 90;
    emulated_library().offers_fp8 = false;
    refused("no algorithm", [](DenseProduct& p) { p.rows = 48; });
    EXPECT_EQ(emulated_library().multiplied, 1);
}

TEST_F(DenseProductsTest, AlgorithmsAreAskedForOnceAndKept) {
    for (int round = 0; round < 2; ++round) {
        emulated_library() = {};
        DenseProducts products("kept", 9);
        for (int time = 0; time < 3; ++time) {
            expect_right(products, VLM_DTYPE_BF16, false, Epilogue::none, false, false);
            // The same sides and strides, but another product.
            expect_right(products, VLM_DTYPE_BF16, true, Epilogue::none, false, false);
        }
        EXPECT_EQ(emulated_library().asked, round == 0 ? 2 : 0);
        EXPECT_EQ(emulated_library().checked, round == 0 ? 0 : 2);
        EXPECT_EQ(emulated_library().multiplied, 6);
    }
}

}  // namespace
}  // namespace vlm::cuda
