/** @file cpu_features_test.cpp
 *  The ladder is checked against the compiler's own detection, which is independent of ours as far as it goes; the cap
 * by lowering it; the environment variable in a child process, because it is read once.
 */
#include "host/base/cpu_features.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "host/base/error.hpp"

namespace vlm {
namespace {

constexpr Isa kAll[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx};

#if defined(__x86_64__)
TEST(CpuFeatures, AgreesWithTheCompilersDetection) {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    EXPECT_EQ(detected_isa() >= Isa::avx2, avx2);
    EXPECT_EQ(detected_isa() >= Isa::avx512, avx512);
    EXPECT_TRUE(detected_isa() < Isa::avx512_bf16 || __builtin_cpu_supports("avx512vnni"));
}
#endif

TEST(CpuFeatures, NamesAreReadBack) {
    for (const Isa isa : kAll) EXPECT_EQ(parse_isa(isa_name(isa)), isa);
    EXPECT_EQ(parse_isa("AVX2"), std::nullopt);
    EXPECT_EQ(parse_isa(""), std::nullopt);
}

TEST(CpuFeatures, CapLowersAndNeverRaises) {
    const Isa before = active_isa();
    for (const Isa cap : kAll) {
        const ScopedIsaCap scope(cap);
        EXPECT_EQ(active_isa(), std::min(cap, before));
        EXPECT_EQ(max_isa(), cap);
    }
    EXPECT_EQ(active_isa(), before);
    EXPECT_EQ(max_isa(), std::nullopt);
}

TEST(CpuFeatures, ExtrasGoWithTheirLevel) {
    const ScopedIsaCap scope(Isa::scalar);
    const CpuFeatures none = active_features();
    EXPECT_FALSE(none.avx_vnni || none.avx512_vnni || none.avx512_vbmi || none.avx512_fp16);
    set_max_isa(Isa::avx2);
    EXPECT_FALSE(active_features().avx512_vnni);
}

/** Runs `check` in a fresh process image of this test so that the variable is read anew. */
int exit_code_with(const char* value, const char* mode) {
    const pid_t child = fork();
    if (child == 0) {
        setenv("VLM_MAX_ISA", value, 1);
        setenv("VLM_TEST_ISA_CHILD", mode, 1);
        execl("/proc/self/exe", "cpu_features_child", "--gtest_filter=CpuFeaturesChild.*", static_cast<char*>(nullptr));
        _exit(99);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(CpuFeaturesChild, ReportsWhatItSees) {
    const char* mode = std::getenv("VLM_TEST_ISA_CHILD");
    if (mode == nullptr) GTEST_SKIP() << "runs only as the child of CpuFeatures.EnvironmentCaps";
    try {
        _exit(10 + static_cast<int>(active_isa()));
    } catch (const Error& error) {
        const bool named = std::string(error.what()).find("VLM_MAX_ISA") != std::string::npos;
        _exit(error.code() == VLM_STATUS_INVALID_ARGUMENT && named ? 42 : 43);
    }
}

TEST(CpuFeatures, EnvironmentCaps) {
    EXPECT_EQ(exit_code_with("scalar", "1"), 10);
    EXPECT_EQ(exit_code_with("avx2", "1"), 10 + static_cast<int>(std::min(detected_isa(), Isa::avx2)));
    EXPECT_EQ(exit_code_with("", "1"), 10 + static_cast<int>(detected_isa()));
    EXPECT_EQ(exit_code_with("sse9", "1"), 42);
}

TEST(CpuFeatures, CountsProcessors) {
    EXPECT_GE(available_cpus(), 1);
    EXPECT_LE(available_cpus(), static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)));
}

}  // namespace
}  // namespace vlm
