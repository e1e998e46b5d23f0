/** @file cpu_features.cpp
 *  CPUID is asked directly instead of through `__builtin_cpu_supports`: the builtin of the oldest compiler that we
 * support knows neither AMX nor AVX-VNNI, and says nothing about the tile permission that Linux gives only on request.
 *  Bit positions: Intel SDM volume 2A (CPUID), volume 1 chapter 13 (XCR0), chapter 18 (AMX).
 */
#include "host/base/cpu_features.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "host/base/error.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vlm {
namespace {

constexpr std::array<const char*, 5> kIsaNames = {"scalar", "avx2", "avx512", "avx512_bf16", "amx"};
constexpr int kNoCap = static_cast<int>(kIsaNames.size());

struct Machine {
    Isa isa = Isa::scalar;
    CpuFeatures features;
};

#if defined(__x86_64__)

constexpr bool bit(uint32_t word, int index) {
    return ((word >> index) & 1U) != 0;
}

/** XCR0: which register files the operating system saves. Inline assembly because `_xgetbv` needs a target flag. */
uint64_t read_xcr0() {
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<uint64_t>(high) << 32) | low;
}

/** Tile data is 8 KB per thread, so Linux (5.16 and later) reserves it only for processes that ask; threads inherit it.
 */
bool request_amx_permission() {
    constexpr long kArchReqXcompPerm = 0x1023;
    constexpr long kXfeatureXtileData = 18;
    return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtileData) == 0;
}

Machine detect() {
    struct Registers {
        uint32_t a = 0, b = 0, c = 0, d = 0;
    };
    const auto leaf = [](uint32_t number, uint32_t sub) {
        Registers r;
        if (__get_cpuid_count(number, sub, &r.a, &r.b, &r.c, &r.d) == 0) r = {};
        return r;
    };
    Machine machine;
    const Registers l1 = leaf(1, 0);
    const Registers l7 = leaf(7, 0);
    const Registers l71 = l7.a >= 1 ? leaf(7, 1) : Registers{};
    if (!bit(l1.c, 27)) return machine;  // OSXSAVE: without it xgetbv is an illegal instruction
    const uint64_t xcr0 = read_xcr0();

    const bool ymm_saved = (xcr0 & 0x6) == 0x6;
    const bool avx2 = ymm_saved && bit(l1.c, 28) && bit(l1.c, 12) && bit(l1.c, 29) && bit(l7.b, 5) && bit(l7.b, 8);
    if (!avx2) return machine;
    machine.isa = Isa::avx2;
    machine.features.avx_vnni = bit(l71.a, 4);

    const bool zmm_saved = (xcr0 & 0xe6) == 0xe6;
    const bool avx512 = zmm_saved && bit(l7.b, 16) && bit(l7.b, 17) && bit(l7.b, 30) && bit(l7.b, 31);
    if (!avx512) return machine;
    machine.isa = Isa::avx512;
    machine.features.avx512_vbmi = bit(l7.c, 1);
    machine.features.avx512_vnni = bit(l7.c, 11);

    if (!machine.features.avx512_vnni || !bit(l71.a, 5)) return machine;
    machine.isa = Isa::avx512_bf16;
    machine.features.avx512_fp16 = bit(l7.d, 23);

    const bool tiles_saved = (xcr0 & 0x60000) == 0x60000;
    const bool amx = tiles_saved && bit(l7.d, 24) && bit(l7.d, 22) && bit(l7.d, 25);
    if (amx && request_amx_permission()) machine.isa = Isa::amx;
    return machine;
}

#else

Machine detect() {
    return {};
}

#endif

const Machine& machine() noexcept {
    static const Machine instance = detect();
    return instance;
}

Isa read_environment_cap() {
    const char* text = std::getenv("VLM_MAX_ISA");
    if (text == nullptr || *text == '\0') return Isa::amx;
    if (const auto isa = parse_isa(text)) return *isa;
    throw invalid_argument(std::string("environment variable VLM_MAX_ISA: unknown instruction set \"") + text +
                           "\"; expected scalar, avx2, avx512, avx512_bf16 or amx, or leave it unset");
}

std::atomic<int> g_cap{kNoCap};

/** ceil(quota / period) of this process's cgroup (v2, as containers mount it); 0 when there is no limit. */
int cgroup_cpu_quota() {
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    std::string quota;
    int64_t period = 0;
    if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
    const int64_t microseconds = std::strtoll(quota.c_str(), nullptr, 10);
    return microseconds <= 0 ? 0 : static_cast<int>(std::min<int64_t>((microseconds + period - 1) / period, 1 << 16));
}

}  // namespace

Isa detected_isa() noexcept {
    return machine().isa;
}

Isa active_isa() {
    static const Isa environment = std::min(machine().isa, read_environment_cap());
    return static_cast<Isa>(std::min(static_cast<int>(environment), g_cap.load(std::memory_order_relaxed)));
}

CpuFeatures active_features() {
    const Isa isa = active_isa();
    CpuFeatures features = machine().features;
    features.avx_vnni &= isa >= Isa::avx2;
    features.avx512_vnni &= isa >= Isa::avx512;
    features.avx512_vbmi &= isa >= Isa::avx512;
    features.avx512_fp16 &= isa >= Isa::avx512_bf16;
    return features;
}

void set_max_isa(std::optional<Isa> cap) noexcept {
    g_cap.store(cap ? static_cast<int>(*cap) : kNoCap, std::memory_order_relaxed);
}

std::optional<Isa> max_isa() noexcept {
    const int cap = g_cap.load(std::memory_order_relaxed);
    return cap == kNoCap ? std::nullopt : std::optional<Isa>(static_cast<Isa>(cap));
}

const char* isa_name(Isa isa) noexcept {
    return kIsaNames[static_cast<size_t>(isa)];
}

std::optional<Isa> parse_isa(std::string_view name) noexcept {
    const auto found = std::find(kIsaNames.begin(), kIsaNames.end(), name);
    if (found == kIsaNames.end()) return std::nullopt;
    return static_cast<Isa>(found - kIsaNames.begin());
}

int available_cpus() noexcept {
    int count = 1;
    // The kernel may have more processors than cpu_set_t can name; then the call fails and one set of 8192 does.
    constexpr int kMaxCpus = 8192;
    if (cpu_set_t* set = CPU_ALLOC(kMaxCpus)) {
        const size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
        CPU_ZERO_S(bytes, set);
        if (sched_getaffinity(0, bytes, set) == 0) count = std::max(1, CPU_COUNT_S(bytes, set));
        CPU_FREE(set);
    }
    try {
        if (const int quota = cgroup_cpu_quota(); quota > 0) count = std::min(count, quota);
    } catch (...) {
        // Reading the quota can only fail for want of memory; the affinity count then stands.
    }
    return count;
}

}  // namespace vlm
