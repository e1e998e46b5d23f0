/** @file memory_test.cpp
 *  Scratch and kept tensors, conversions, limits, and what a careless plugin may do with them.
 */
#include <limits>

#include "host/compute/cpu/convert.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

TEST(Memory, ScratchIsAlignedReusedAndFreedWithItsRun) {
    Device device;
    const auto t = device.table();
    const int64_t shape[] = {100, 30};
    vlm_tensor *a = nullptr, *b = nullptr;
    EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 2, shape, &a));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a->view.data) % 64, 0u);
    EXPECT_EQ(a->view.shape[1], 30);
    void* first = a->view.data;
    t->destroy(t, device.run(), a);
    EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 2, shape, &b));
    EXPECT_EQ(b->view.data, first);
    EXPECT_GT(device.compute().statistics().scratch_bytes, 0);
    device.compute().end_run(device.run());
    EXPECT_EQ(device.compute().statistics().scratch_bytes, 0);
    EXPECT_GE(device.compute().statistics().peak_scratch_bytes, 12000);
}

TEST(Memory, LimitIsAnErrorAndNotTheEnd) {
    CpuOptions options;
    options.scratch_limit = 1 << 20;
    Device device(options);
    const auto t = device.table();
    const int64_t small[] = {100000}, large[] = {300000};
    vlm_tensor *a = nullptr, *b = nullptr;
    EXPECT_EQ(t->create(t, device.run(), VLM_DTYPE_F32, 1, large, &a), VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_EQ(a, nullptr);
    EXPECT_NE(device.error.find("limit 1048576"), std::string::npos) << device.error;
    for (int i = 0; i < 20; ++i) {
        EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 1, small, &a));
        EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 1, small, &b));
        t->destroy(t, device.run(), a);
        t->destroy(t, device.run(), b);
    }
}

TEST(Memory, RefusesAbsurdShapes) {
    Device device;
    const auto t = device.table();
    vlm_tensor* a = nullptr;
    const int64_t negative[] = {-1}, huge[] = {int64_t{1} << 40, int64_t{1} << 40}, empty[] = {0, 5};
    EXPECT_EQ(t->create(t, device.run(), VLM_DTYPE_F32, 1, negative, &a), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->create(t, device.run(), VLM_DTYPE_F32, 2, huge, &a), VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_EQ(t->create(t, device.run(), VLM_DTYPE_F32, 9, huge, &a), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->create(t, device.run(), 12345, 2, empty, &a), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 2, empty, &a));
    EXPECT_NE(a->view.data, nullptr);
    device.compute().end_run(device.run());
}

TEST(Memory, DestroysOnlyItsOwn) {
    Device device;
    const auto t = device.table();
    const int64_t shape[] = {4};
    vlm_tensor* a = nullptr;
    EXPECT_OK(device, t->create(t, device.run(), VLM_DTYPE_F32, 1, shape, &a));
    vlm_run_context other = *device.run();
    int key = 0;
    other.host = &key;
    other.error = nullptr;
    t->destroy(t, &other, a);  // not made by that run
    EXPECT_GT(device.compute().statistics().scratch_bytes, 0);
    Floats foreign({4});
    t->destroy(t, device.run(), foreign.abi());
    EXPECT_NE(device.error.find("destroy"), std::string::npos);
    t->destroy(t, device.run(), nullptr);
    t->destroy(t, device.run(), a);
    EXPECT_EQ(device.compute().statistics().scratch_bytes, 0);
}

TEST(Memory, KeepConvertsAndReleaseFrees) {
    Device device;
    const auto t = device.table();
    Array<uint16_t> source({3}, {cpu::float_to_bf16(1.5f), cpu::float_to_bf16(-2), cpu::float_to_bf16(0)});
    vlm_tensor* kept = nullptr;
    EXPECT_EQ(t->keep(t, source.abi(), VLM_DTYPE_F32, &kept), VLM_STATUS_OK) << CpuCompute::load_error();
    EXPECT_EQ(static_cast<float*>(kept->view.data)[0], 1.5f);
    EXPECT_EQ(static_cast<float*>(kept->view.data)[1], -2.0f);
    EXPECT_GT(device.compute().statistics().kept_bytes, 0);
    t->release(t, kept);
    EXPECT_EQ(device.compute().statistics().kept_bytes, 0);
    t->release(t, nullptr);
    EXPECT_EQ(t->keep(t, nullptr, VLM_DTYPE_F32, &kept), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Memory, CopiesStridesAndTypes) {
    Device device;
    const auto t = device.table();
    Floats x = random_floats({7, 9}, 1), y({9, 7});
    ViewOf<float> transposed(x, 0, {9, 7}, {1, 9});
    EXPECT_OK(device, t->copy(t, device.run(), transposed.abi(), y.abi()));
    for (int64_t i = 0; i < 9; ++i)
        for (int64_t j = 0; j < 7; ++j) EXPECT_EQ(y[i * 7 + j], x[j * 9 + i]);
    Floats numbers({4}, {-3.7f, 300.0f, NAN, 1e20f});
    Bytes bytes({4});
    Ints integers({4});
    EXPECT_OK(device, t->copy(t, device.run(), numbers.abi(), bytes.abi()));
    EXPECT_EQ(bytes.values, (std::vector<uint8_t>{0, 255, 0, 255}));
    EXPECT_OK(device, t->copy(t, device.run(), numbers.abi(), integers.abi()));
    EXPECT_EQ(integers.values, (std::vector<int32_t>{-3, 300, 0, std::numeric_limits<int32_t>::max()}));
    Floats wrong({5});
    EXPECT_EQ(t->copy(t, device.run(), numbers.abi(), wrong.abi()), VLM_STATUS_INVALID_ARGUMENT);
    Floats many = random_floats({100003}, 2), again({100003});
    Array<uint16_t> narrow({100003});
    EXPECT_OK(device, t->copy(t, device.run(), many.abi(), narrow.abi()));
    EXPECT_OK(device, t->copy(t, device.run(), narrow.abi(), again.abi()));
    for (int64_t i = 0; i < many.size(); ++i) ASSERT_EQ(again[i], cpu::bf16_to_float(cpu::float_to_bf16(many[i])));
}

TEST(Memory, FillsViewsOnly) {
    Device device;
    const auto t = device.table();
    Ints x({4, 4});
    ViewOf<int32_t> inner(x, 5, {2, 2}, {4, 1});
    EXPECT_OK(device, t->fill(t, device.run(), inner.abi(), 3.0));
    EXPECT_EQ(x.values, (std::vector<int32_t>{0, 0, 0, 0, 0, 3, 3, 0, 0, 3, 3, 0, 0, 0, 0, 0}));
}

TEST(Convert, HalfPrecisionRoundTripsAndRounds) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const float value = cpu::f16_to_float(half);
        if (std::isnan(value)) continue;
        ASSERT_EQ(cpu::float_to_f16(value), half) << bits;
    }
    EXPECT_EQ(cpu::float_to_f16(65519.0f), 0x7BFF);
    EXPECT_EQ(cpu::float_to_f16(65520.0f), 0x7C00);
    EXPECT_EQ(cpu::float_to_f16(1.0f + 1.0f / 2048), 0x3C00);  // a tie goes to even
    EXPECT_EQ(cpu::float_to_f16(1.0f + 3.0f / 2048), 0x3C02);
    EXPECT_EQ(cpu::float_to_bf16(1.0f + 1.0f / 256), 0x3F80);
    EXPECT_EQ(cpu::float_to_bf16(1.0f + 3.0f / 256), 0x3F82);
    EXPECT_TRUE(std::isnan(cpu::bf16_to_float(cpu::float_to_bf16(NAN))));
    EXPECT_EQ(cpu::to_float(cpu::F8E4M3{0x7E}), 448.0f);
    EXPECT_EQ(cpu::to_float(cpu::F8E4M3{0x01}), 0x1p-9f);
    EXPECT_EQ(cpu::to_float(cpu::F8E5M2{0x7B}), 57344.0f);
}

TEST(Edge, NullTableAndTruncatedTensorsAreRefused) {
    Device device;
    const auto t = device.table();
    Floats x({4});
    vlm_tensor* tensor = x.abi();
    EXPECT_EQ(t->fill(nullptr, device.run(), tensor, 0), VLM_STATUS_INVALID_ARGUMENT);
    tensor->struct_size = 8;
    EXPECT_EQ(t->fill(t, device.run(), tensor, 0), VLM_STATUS_INVALID_ARGUMENT);
    tensor = x.abi();
    tensor->view.data = nullptr;
    EXPECT_EQ(t->fill(t, device.run(), tensor, 0), VLM_STATUS_INVALID_ARGUMENT);
    tensor = x.abi();
    tensor->view.device.device_type = VLM_DEVICE_CUDA;
    EXPECT_EQ(t->fill(t, device.run(), tensor, 0), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->fill(t, nullptr, tensor, 0), VLM_STATUS_INVALID_ARGUMENT);  // no sink, no crash
}

TEST(Edge, EverySlotOfTheTableIsFilled) {
    CpuCompute compute;
    const auto* begin = reinterpret_cast<const void* const*>(&compute.table()->create);
    const auto* end = reinterpret_cast<const void* const*>(compute.table() + 1);
    for (const auto* slot = begin; slot < end; ++slot) EXPECT_NE(*slot, nullptr) << slot - begin;
}

TEST(Edge, DeviceOptionsAreReadOrRefused) {
    EXPECT_THROW(open_cpu_device({.dtype = "f17", .weights = "auto", .threads = 0}), std::exception);
    EXPECT_THROW(open_cpu_device({.dtype = "f32", .weights = "int3", .threads = 0}), std::exception);
    EXPECT_NE(open_cpu_device({.dtype = "bf16", .weights = "auto", .threads = 0})->description().find("bf16 weights"),
              std::string::npos);
}

TEST(Edge, MemoryThatIsLeftIsTheMachines) {
    const CpuCompute compute;
    const MemoryLimit left = compute.memory_left(), machine = available_memory();
    EXPECT_EQ(left.source, machine.source);
    EXPECT_GT(left.bytes, machine.bytes / 2);
    EXPECT_LT(left.bytes / 2, machine.bytes);
}

}  // namespace
}  // namespace vlm::test
