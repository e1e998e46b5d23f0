/** @file logic_test.cpp
 *  What of the CUDA device is host logic: names of devices, reasons why there is none, the library's edge, memory
 * accounting, the cache of heuristics, the choice of epilogues.
 */
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "host/compute/cuda/driver_errors.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string error_of(const std::function<void()>& fn, vlm_status code) {
    try {
        fn();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

TEST(CudaNames, AreReadOrRefused) {
    EXPECT_EQ(cuda_ordinal("cuda"), 0);
    EXPECT_EQ(cuda_ordinal("cuda:0"), 0);
    EXPECT_EQ(cuda_ordinal("cuda:17"), 17);
    EXPECT_FALSE(cuda_ordinal("cpu"));
    EXPECT_FALSE(cuda_ordinal("cudax"));
    for (const char* wrong : {"cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:256", "cuda:99999999999"})
        EXPECT_THAT(error_of([&] { cuda_ordinal(wrong); }, VLM_STATUS_INVALID_ARGUMENT), HasSubstr("number of a GPU"));
    EXPECT_THAT(error_of([&] { open_device("gpu", {}); }, VLM_STATUS_INVALID_ARGUMENT), HasSubstr("cuda:N"));
}

TEST(CudaLibrary, ThatIsMissingOrForeignIsNamed) {
    const std::string missing = error_of(
        [] {
            open_cuda_device(1, {}, {"/nowhere/a.so", "/nowhere/b.so"});
        },
        VLM_STATUS_UNAVAILABLE);
    EXPECT_THAT(missing, HasSubstr("device 'cuda:1'"));
    EXPECT_THAT(missing, HasSubstr("/nowhere/b.so"));
    EXPECT_THAT(missing, HasSubstr("\"cpu\""));
    const fs::path text = fs::path(testing::TempDir()) / "no_library.so";
    std::ofstream(text) << "not a library";
    EXPECT_THAT(error_of([&] { open_cuda_device(0, {}, {text}); }, VLM_STATUS_UNAVAILABLE),
                HasSubstr("cannot be loaded"));
}

TEST(CudaLibrary, SaysWhatItCannotDo) {
    const std::vector<fs::path> emulated = {VLM_EMULATED_CUDA};
    EXPECT_THAT(error_of([&] { open_cuda_device(3, {}, emulated); }, VLM_STATUS_UNAVAILABLE), HasSubstr("no GPU 3"));
    EXPECT_THAT(error_of(
                    [&] {
                        open_cuda_device(0, {"f8", "auto"}, emulated);
                    },
                    VLM_STATUS_INVALID_ARGUMENT),
                HasSubstr("known are auto, f32, bf16"));
    EXPECT_THAT(error_of(
                    [&] {
                        open_cuda_device(0, {"auto", "int3"}, emulated);
                    },
                    VLM_STATUS_INVALID_ARGUMENT),
                HasSubstr("int3"));
    EXPECT_THAT(error_of(
                    [&] {
                        open_cuda_device(0, {"bf16", "auto", 0, "f32"}, emulated);
                    },
                    VLM_STATUS_INVALID_ARGUMENT),
                HasSubstr("leave it at auto"));
}

TEST(CudaDriver, EveryReasonHasItsWords) {
    using cuda::DriverReport;
    using cuda::why_unavailable;
    DriverReport none;
    none.runtime_version = 13000;
    EXPECT_THAT(why_unavailable(none, 0), HasSubstr("no NVIDIA driver"));
    DriverReport old = none;
    old.driver_version = 12040;
    EXPECT_THAT(why_unavailable(old, 0), HasSubstr("serves CUDA 12.4, this library was built with CUDA 13.0"));
    DriverReport empty = none;
    empty.driver_version = 13010;
    empty.no_device = true;
    empty.error = "cudaErrorNoDevice: no CUDA-capable device is detected";
    EXPECT_THAT(why_unavailable(empty, 0), HasSubstr("CUDA_VISIBLE_DEVICES"));
    DriverReport broken = empty;
    broken.no_device = false;
    broken.error = "cudaErrorUnknown: unknown error";
    EXPECT_THAT(why_unavailable(broken, 0), HasSubstr("unknown error"));
    DriverReport two = empty;
    two.no_device = false;
    two.error.clear();
    two.devices = 2;
    EXPECT_THAT(why_unavailable(two, 2), HasSubstr("no GPU 2: this machine has 2"));
    EXPECT_EQ(why_unavailable(two, 1), "");
}

TEST(CudaDriver, KnownCausesComeWithTheirRemedy) {
    cuda::DriverReport report;
    report.driver_version = report.runtime_version = 13000;
    const std::pair<const char*, const char*> cases[] = {
        {"cudaErrorSystemDriverMismatch: system has unsupported display driver", "different versions"},
        {"cudaErrorSystemNotReady: system not yet initialized", "nvidia-fabricmanager"},
        {"cudaErrorCompatNotSupportedOnDevice: forward compatibility", "cuda-compat"},
        {"cudaErrorStubLibrary: CUDA driver is a stub library", "stubs"},
        {"cudaErrorOperatingSystem: OS call failed", "--gpus"},
    };
    for (const auto& [error, remedy] : cases) {
        report.error = error;
        EXPECT_THAT(cuda::why_unavailable(report, 0),
                    testing::AllOf(HasSubstr(error), HasSubstr(remedy), HasSubstr("the device \"cpu\"")));
    }
    report.error = "cudaErrorStubLibraryOfAnotherKind: unknown";
    EXPECT_THAT(cuda::why_unavailable(report, 0), HasSubstr("repair that"));
    EXPECT_THAT(cuda::why_not_opened("H200", "cudaErrorDevicesUnavailable: busy"),
                testing::AllOf(HasSubstr("H200 cannot be opened"), HasSubstr("another process"), HasSubstr("busy")));
    EXPECT_THAT(cuda::why_not_opened("H200", "cudaErrorMemoryAllocation: out of memory"), HasSubstr("nvidia-smi"));
    EXPECT_THAT(cuda::why_not_opened("H200", "cudaErrorUnknown: unknown error"), HasSubstr("dmesg"));
}

TEST(CudaDriver, GpusThatCannotRunTheKernelsAreNamed) {
    using cuda::why_unusable;
    EXPECT_EQ(why_unusable({"H200", 9, 0, true, ""}), "");
    EXPECT_THAT(why_unusable({"T4", 7, 5, true, ""}), HasSubstr("T4 (compute capability 7.5) is too old"));
    EXPECT_THAT(why_unusable({"A16-2Q", 8, 6, false, ""}), HasSubstr("memory pools"));
    EXPECT_THAT(why_unusable({"B200", 10, 0, true, "cudaErrorNoKernelImageForDevice"}),
                testing::AllOf(HasSubstr("cudaErrorNoKernelImageForDevice"), HasSubstr("ARCHITECTURES=100")));
}

TEST(CudaMemory, ExhaustionSaysWhoHasIt) {
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    setenv("VLM_EMULATED_MEMORY", "8388608", 1);
    Side gpu(open_cuda_device(0, {"f32", "f32"}, {VLM_EMULATED_CUDA}));
    unsetenv("VLM_EMULATED_MEMORY");
    const Tensor held = gpu.make(VLM_DTYPE_F32, {1 << 20});
    const std::string host = error_of([&] { gpu.make(VLM_DTYPE_F32, {2 << 20}); }, VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_THAT(host, HasSubstr("8.0 MiB more"));
    EXPECT_THAT(host, HasSubstr("4.0 MiB of 8.0 MiB are free"));
    EXPECT_THAT(host, HasSubstr("tensors of the host 4.0 MiB"));
    vlm_tensor* tensor = nullptr;
    const int64_t shape[] = {3 << 20};
    const std::string scratch =
        error_of([&] { gpu.call(&vlm_compute::create, VLM_DTYPE_F32, 1, static_cast<const int64_t*>(shape), &tensor); },
                 VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_THAT(scratch, HasSubstr("scratch 0.0 MiB"));
    EXPECT_GE(gpu.device().counters().synchronizations, 2);  // it waited for what was being freed, each time
}

TEST(CudaMemory, CacheBytesOfAPositionAreKnownBeforehand) {
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    vlm_kv_spec spec{sizeof(spec), VLM_ABI_VERSION, 5, 3, 24, 0, 100};
    for (const auto& [dtype, bytes] : {std::pair{"f32", 4}, {"bf16", 2}}) {
        const auto device = open_cuda_device(0, {dtype, "auto"}, {VLM_EMULATED_CUDA});
        const vlm_compute* table = device->compute();
        ASSERT_NE(table->kv_token_bytes, nullptr);
        spec.head_dim = 24;
        EXPECT_EQ(table->kv_token_bytes(table, &spec), 5 * 3 * 2 * 24 * bytes);
        spec.head_dim = 257;
        EXPECT_EQ(table->kv_token_bytes(table, &spec), -1);
    }
}

TEST(CudaTable, HasEverySlotOfThisVersion) {
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    const auto device = open_cuda_device(0, {"f32", "f32"}, {VLM_EMULATED_CUDA});
    const auto* slots = reinterpret_cast<const char*>(device->compute());
    for (size_t at = offsetof(vlm_compute, create); at < sizeof(vlm_compute); at += sizeof(void*)) {
        void* slot = nullptr;
        std::memcpy(&slot, slots + at, sizeof(slot));
        EXPECT_NE(slot, nullptr) << "slot at byte " << at;
    }
}

TEST(CudaMemory, TensorsOutliveTheDevice) {
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    auto device = open_cuda_device(0, {"f32", "f32"}, {VLM_EMULATED_CUDA});
    const Tensor tensor(VLM_DTYPE_F32, {100}, device->allocator());
    device.reset();
    EXPECT_EQ(tensor.elements(), 100);
}

TEST(CudaStreams, WithoutAStreamEveryOperationIsFinished) {
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    const auto device = open_cuda_device(0, {"f32", "f32"}, {VLM_EMULATED_CUDA});
    vlm::Run waiting(device->compute(), nullptr), flowing(device->compute(), nullptr, nullptr, device->stream());
    const Tensor x(VLM_DTYPE_F32, {4, 4}, device->allocator());
    const int64_t before = device->counters().synchronizations;
    const auto* table = device->compute();
    EXPECT_EQ(table->softmax(table, flowing.context(VLM_ABI_VERSION), x.abi(), writable(x.abi())), VLM_STATUS_OK);
    EXPECT_EQ(device->counters().synchronizations, before);
    EXPECT_EQ(table->softmax(table, waiting.context(VLM_ABI_VERSION), x.abi(), writable(x.abi())), VLM_STATUS_OK);
    EXPECT_EQ(device->counters().synchronizations, before + 1);
}

}  // namespace
}  // namespace vlm::test
