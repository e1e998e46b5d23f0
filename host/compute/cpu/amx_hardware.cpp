/** @file amx_hardware.cpp
 *  The tile kernels in AMX instructions.
 */
#include "host/compute/cpu/amx.hpp"

#if defined(__x86_64__)
#include <cstddef>

namespace vlm::cpu {

namespace {

/** Memory of ldtilecfg (Intel SDM volume 1, 18.3): every tile 16 rows of 64 bytes. */
struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

/** Written as assembly and not as intrinsics: those of g++ take tile numbers as literals only, and do not tell the
 * compiler that memory is read or written. */
struct Hardware {
    static void begin() {
        static constexpr TileConfig config{};
        // The clobber also keeps g++ 12 from moving stores that fill a configuration behind its load.
        __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
    }
    static void end() { __asm__ volatile("tilerelease" : : : "memory"); }
    template <int T>
    static void zero() {
        __asm__ volatile("tilezero %%tmm%c0" : : "i"(T));
    }
    template <int T>
    static void load(const void* memory, int64_t stride) {
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(memory), "r"(stride), "i"(T) : "memory");
    }
    template <int T>
    static void store(void* memory, int64_t stride) {
        __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(memory), "r"(stride), "i"(T) : "memory");
    }
    template <int C, int A, int B>
    static void bf16() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
    template <int C, int A, int B>
    static void int8() {
        __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
};

}  // namespace

#include "host/compute/cpu/amx_kernels_inl.hpp"

const AmxKernels* hardware_amx_kernels() {
    static constexpr AmxKernels table = make_amx_kernels<Hardware>("AMX");
    return &table;
}

}  // namespace vlm::cpu

#else

namespace vlm::cpu {

const AmxKernels* hardware_amx_kernels() {
    return nullptr;
}

}  // namespace vlm::cpu

#endif
