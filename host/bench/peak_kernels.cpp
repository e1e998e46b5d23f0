/** @file peak_kernels.cpp
 *  Each loop has as many independent sums as hide the latency of its instruction (4 to 6 cycles on 2 ports), and an
 *  empty asm statement that keeps the compiler from seeing that nobody wants the result.
 */
#include "host/bench/peak_kernels.hpp"

#include "host/base/cpu_features.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vlm::bench {
namespace {

constexpr int kSums = 12;

void scalar_f32(int64_t rounds) {
    float sums[kSums] = {};
    const float a = 1.0f, b = 0.5f;
    for (int64_t i = 0; i < rounds; ++i)
        for (float& sum : sums) {
            sum = sum * b + a;
            asm volatile("" : "+m"(sum));
        }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) void avx2_f32(int64_t rounds) {
    __m256 sums[kSums];
    for (auto& sum : sums) sum = _mm256_setzero_ps();
    __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(0.5f);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+x"(a), "+x"(b));
        for (auto& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
    }
    for (auto& sum : sums) asm volatile("" : : "x"(sum));
}

__attribute__((target("avx512f"))) void avx512_f32(int64_t rounds) {
    __m512 sums[kSums];
    for (auto& sum : sums) sum = _mm512_setzero_ps();
    __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(0.5f);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(a), "+v"(b));
        for (auto& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
    }
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
}

__attribute__((target("avx512f,avx512bf16"))) void avx512_bf16(int64_t rounds) {
    __m512 sums[kSums];
    for (auto& sum : sums) sum = _mm512_setzero_ps();
    __m512i a = _mm512_set1_epi16(0x3f80), b = _mm512_set1_epi16(0x3f00);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(a), "+v"(b));
        for (auto& sum : sums)
            sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
}

__attribute__((target("avx512f,avx512vnni"))) void avx512_int8(int64_t rounds) {
    __m512i sums[kSums];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(a), "+v"(b));
        for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
    }
    for (auto& sum : sums) asm volatile("" : : "v"(sum));
}

/** What `ldtilecfg` reads: all tiles 16 rows of 64 bytes. */
struct alignas(64) TileConfiguration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/** Four sums from two by two tiles of operands: eight tiles are all there are, and with 16 cycles to each product four
 * sums outlast the 52 that one takes. `operand` fills the operands: products of zeros would cost less power than those
 * of a model, and so might run at a higher clock. */
__attribute__((target("amx-tile"))) void begin_tiles(uint32_t operand) {
    const TileConfiguration configuration;
    alignas(64) uint32_t operands[16 * 16];
    for (uint32_t& value : operands) value = operand;
    // g++ 12 moves the stores behind the instructions that read them otherwise.
    asm volatile("" : : "r"(&configuration), "r"(operands) : "memory");
    _tile_loadconfig(&configuration);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, operands, 64);
    _tile_loadd(5, operands, 64);
    _tile_loadd(6, operands, 64);
    _tile_loadd(7, operands, 64);
    asm volatile("" : : "r"(operands) : "memory");
}

__attribute__((target("amx-tile,amx-bf16"))) void amx_bf16(int64_t rounds) {
    begin_tiles(0x3f803f80);
    for (int64_t i = 0; i < rounds; ++i) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}

__attribute__((target("amx-tile,amx-int8"))) void amx_int8(int64_t rounds) {
    begin_tiles(0x01010101);
    for (int64_t i = 0; i < rounds; ++i) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
}

__attribute__((target("avx2"))) uint64_t read_avx2(const std::byte* data, int64_t bytes) {
    __m256i sums[4];
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < bytes; i += 128)
        for (int k = 0; k < 4; ++k)
            sums[k] = _mm256_add_epi64(sums[k], _mm256_load_si256(reinterpret_cast<const __m256i*>(data + i + 32 * k)));
    const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
    return static_cast<uint64_t>(_mm256_extract_epi64(sum, 0)) + static_cast<uint64_t>(_mm256_extract_epi64(sum, 1)) +
           static_cast<uint64_t>(_mm256_extract_epi64(sum, 2)) + static_cast<uint64_t>(_mm256_extract_epi64(sum, 3));
}

#endif

}  // namespace

PeakKernel peak_kernel(PeakType type) {
    return peak_kernel(type, active_isa());
}

PeakKernel peak_kernel(PeakType type, Isa isa) {
#if defined(__x86_64__)
    constexpr double kTileRows = 16, kTileSums = 4;
    if (type == PeakType::bf16 && isa >= Isa::amx)
        return {"bf16, AMX", kTileSums * kTileRows * kTileRows * 32 * 2, amx_bf16};
    if (type == PeakType::int8 && isa >= Isa::amx)
        return {"int8, AMX", kTileSums * kTileRows * kTileRows * 64 * 2, amx_int8};
    if (type == PeakType::bf16 && isa >= Isa::avx512_bf16) return {"bf16, AVX-512", kSums * 64.0, avx512_bf16};
    if (type == PeakType::int8 && active_features().avx512_vnni) return {"int8, AVX-512", kSums * 128.0, avx512_int8};
    if (isa >= Isa::avx512) return {"f32, AVX-512", kSums * 32.0, avx512_f32};
    if (isa >= Isa::avx2) return {"f32, AVX2", kSums * 16.0, avx2_f32};
#else
    (void)type, (void)isa;
#endif
    return {"f32, one at a time", kSums * 2.0, scalar_f32};
}

uint64_t read_memory(const std::byte* data, int64_t bytes) {
#if defined(__x86_64__)
    if (active_isa() >= Isa::avx2) return read_avx2(data, bytes);
#endif
    uint64_t sum = 0;
    const auto* words = reinterpret_cast<const uint64_t*>(data);
    for (int64_t i = 0; i < bytes / 8; ++i) sum += words[i];
    return sum;
}

}  // namespace vlm::bench
