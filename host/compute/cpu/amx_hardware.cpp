/** @file amx_hardware.cpp
 *  The tile kernels in AMX instructions, and AVX-512, which every processor with AMX has. See the note on linkage in
 * kernels_avx2.cpp.
 */
#include "host/compute/cpu/amx.hpp"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined operand of its own AVX-512 intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstddef>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f")
#endif

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
    /** The factors of the outputs stay in registers, and the rest are pointers that go on: loads are what is scarce.
     * (No arrays: g++ 12 would keep them in memory.) */
    template <bool Zeros>
    class Scaler {
      public:
        inline __attribute__((always_inline)) void begin(const GroupSums& waiting) {
            left_scales_ = _mm512_loadu_ps(waiting.scales);
            right_scales_ = _mm512_loadu_ps(waiting.scales + 16);
            if constexpr (Zeros) {
                left_zeros_ = _mm512_loadu_ps(waiting.zeros);
                right_zeros_ = _mm512_loadu_ps(waiting.zeros + 16);
            }
            sums_ = waiting.sums;
            factors_ = waiting.factors;
            c_ = waiting.c;
            ldc_ = waiting.ldc;
            rest_ = waiting.count;
        }
        inline __attribute__((always_inline)) void advance(int64_t count) {
            const int64_t end = rest_ > count ? rest_ - count : 0;
            for (; rest_ > end; --rest_, sums_ += kPanel, ++factors_, c_ += ldc_) {
                __m512 row_scale = _mm512_set1_ps(factors_[0]);
                __asm__("" : "+v"(row_scale));  // loaded once, not again by each product
                half(sums_, row_scale, left_scales_, left_zeros_, c_);
                half(sums_ + 16, row_scale, right_scales_, right_zeros_, c_ + 16);
            }
        }

      private:
        inline __attribute__((always_inline)) void half(const int32_t* sums, __m512 row_scale, __m512 scales,
                                                        __m512 zeros, float* c) {
            __m512 exact = _mm512_cvtepi32_ps(_mm512_load_si512(sums));
            if constexpr (Zeros) exact = _mm512_fmadd_ps(zeros, _mm512_set1_ps(factors_[2 * kTileRows]), exact);
            const __m512 scale = _mm512_mul_ps(scales, row_scale);
            _mm512_storeu_ps(c, _mm512_fmadd_ps(exact, scale, _mm512_loadu_ps(c)));
        }

        __m512 left_scales_{}, right_scales_{}, left_zeros_{}, right_zeros_{};
        const int32_t* sums_ = nullptr;
        const float* factors_ = nullptr;
        float* c_ = nullptr;
        int64_t ldc_ = 0, rest_ = 0;
    };
};

}  // namespace

#include "host/compute/cpu/amx_kernels_inl.hpp"

const AmxKernels* hardware_amx_kernels() {
    static constexpr AmxKernels table = make_amx_kernels<Hardware>("AMX");
    return &table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else

namespace vlm::cpu {

const AmxKernels* hardware_amx_kernels() {
    return nullptr;
}

}  // namespace vlm::cpu

#endif
