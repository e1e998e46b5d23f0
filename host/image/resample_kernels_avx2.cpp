/** @file resample_kernels_avx2.cpp
 *  The loops of resize() for AVX2, chosen at run time.
 *
 *  A product of an 8-bit pixel and a 24-bit coefficient does not fit the fast 16-bit multiply-add, and the 32-bit
 * multiply is slow on many processors. So each coefficient is split as k = high * 2^12 + low, both 16-bit, and two
 * `vpmaddwd` per pair of taps give sum(p * high) and sum(p * low). The total (sum_high << 12) + sum_low equals the
 * plain sum modulo 2^32, and the plain sum fits 32 bits, so the result is equal bit for bit, however many taps there
 * are.
 */
#include "host/image/resample_kernels.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#define VLM_AVX2 __attribute__((target("avx2")))

namespace vlm::resample {

namespace {

constexpr int kSplitBits = 12;
constexpr int kRowsAtOnce = 4;
constexpr int32_t kHalf = int32_t{1} << (kPrecisionBits - 1);

int16_t high_part(int32_t k) {
    return static_cast<int16_t>(k >> kSplitBits);
}
int16_t low_part(int32_t k) {
    return static_cast<int16_t>(k & ((1 << kSplitBits) - 1));
}

/** The rows of one step, with their bytes readable up to the reach of the vector loads. */
class RowWindow {
  public:
    RowWindow(const uint8_t* src, size_t src_size, size_t src_stride, size_t reach)
        : src_(src), src_size_(src_size), src_stride_(src_stride), reach_(reach), scratch_(kRowsAtOnce * reach) {}

    /** Pointer to row `y`; a copy with zeros behind when the loads would leave the source. */
    const uint8_t* row(int y, int slot) {
        const size_t offset = static_cast<size_t>(y) * src_stride_;
        if (offset + reach_ <= src_size_) return src_ + offset;
        uint8_t* copy = scratch_.data() + static_cast<size_t>(slot) * reach_;
        std::memcpy(copy, src_ + offset, std::min(reach_, src_size_ - offset));
        return copy;
    }

  private:
    const uint8_t* src_;
    size_t src_size_;
    size_t src_stride_;
    size_t reach_;
    std::vector<uint8_t> scratch_;
};

/** Coefficients of a horizontal pass, `lanes` taps to a group: per group all high parts, then all low parts. */
struct PackedTaps {
    std::vector<int16_t> values;
    std::vector<size_t> begin;  ///< [out + 1] first value of each output sample
    size_t reach = 0;           ///< bytes from the row's start that the loads touch
};

PackedTaps pack_taps(const Axis& axis, int lanes, int channels, size_t load_bytes) {
    PackedTaps packed;
    packed.begin.resize(static_cast<size_t>(axis.out) + 1, 0);
    for (int x = 0; x < axis.out; ++x) {
        const int groups = (axis.count[x] + lanes - 1) / lanes;
        const int32_t* k = axis.weights + static_cast<size_t>(x) * static_cast<size_t>(axis.taps);
        for (int g = 0; g < groups; ++g) {
            for (int part = 0; part < 2; ++part) {
                for (int t = g * lanes; t < (g + 1) * lanes; ++t) {
                    const int32_t weight = t < axis.count[x] ? k[t] : 0;
                    packed.values.push_back(part == 0 ? high_part(weight) : low_part(weight));
                }
            }
        }
        packed.begin[static_cast<size_t>(x) + 1] = packed.values.size();
        if (groups > 0) {
            const size_t last =
                static_cast<size_t>(axis.first[x] + (groups - 1) * lanes) * static_cast<size_t>(channels);
            packed.reach = std::max(packed.reach, last + load_bytes);
        }
    }
    return packed;
}

VLM_AVX2 __m128i add_halves(__m256i v) {
    return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/** Three or four interleaved channels: four taps a step, taps 0 and 1 in the low half, 2 and 3 in the high half. */
VLM_AVX2 void horizontal_pixels(RowWindow& window, int rows, int channels, const Axis& axis, const PackedTaps& taps,
                                uint8_t* dst) {
    alignas(32) std::array<uint8_t, 32> order;
    for (int lane = 0; lane < 2; ++lane) {
        for (int c = 0; c < 4; ++c) {
            const size_t at = static_cast<size_t>(lane) * 16 + static_cast<size_t>(c) * 4;
            const bool used = c < channels;
            order[at] = used ? static_cast<uint8_t>(lane * 2 * channels + c) : 0x80;
            order[at + 2] = used ? static_cast<uint8_t>((lane * 2 + 1) * channels + c) : 0x80;
            order[at + 1] = order[at + 3] = 0x80;
        }
    }
    const __m256i shuffle = _mm256_load_si256(reinterpret_cast<const __m256i*>(order.data()));
    const __m256i pick_high = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m256i pick_low = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
    const size_t dst_stride = static_cast<size_t>(axis.out) * static_cast<size_t>(channels);
    const size_t pixel_bytes = static_cast<size_t>(channels);

    for (int y = 0; y < rows; y += kRowsAtOnce) {
        const uint8_t* row[kRowsAtOnce];
        uint8_t* out[kRowsAtOnce];
        for (int r = 0; r < kRowsAtOnce; ++r) {
            const int line = std::min(y + r, rows - 1);  // the last rows are written twice rather than treated apart
            row[r] = window.row(line, r);
            out[r] = dst + static_cast<size_t>(line) * dst_stride;
        }
        for (int x = 0; x < axis.out; ++x) {
            __m256i high[kRowsAtOnce];
            __m256i low[kRowsAtOnce];
            for (int r = 0; r < kRowsAtOnce; ++r) high[r] = low[r] = _mm256_setzero_si256();
            size_t at = static_cast<size_t>(axis.first[x]) * pixel_bytes;
            for (size_t i = taps.begin[size_t(x)]; i < taps.begin[size_t(x) + 1]; i += 8, at += 4 * pixel_bytes) {
                const __m256i k =
                    _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(taps.values.data() + i)));
                const __m256i k_high = _mm256_permutevar8x32_epi32(k, pick_high);
                const __m256i k_low = _mm256_permutevar8x32_epi32(k, pick_low);
                for (int r = 0; r < kRowsAtOnce; ++r) {
                    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + at));
                    const __m256i pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), shuffle);
                    high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pixels, k_high));
                    low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pixels, k_low));
                }
            }
            for (int r = 0; r < kRowsAtOnce; ++r) {
                __m128i sum = add_halves(_mm256_add_epi32(_mm256_slli_epi32(high[r], kSplitBits), low[r]));
                sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kHalf)), kPrecisionBits);
                const __m128i words = _mm_packs_epi32(sum, sum);
                const int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
                std::memcpy(out[r] + static_cast<size_t>(x) * pixel_bytes, &pixel, pixel_bytes);
            }
        }
    }
}

/** One channel: sixteen taps a step. */
VLM_AVX2 void horizontal_gray(RowWindow& window, int rows, const Axis& axis, const PackedTaps& taps, uint8_t* dst) {
    for (int y = 0; y < rows; y += kRowsAtOnce) {
        const uint8_t* row[kRowsAtOnce];
        uint8_t* out[kRowsAtOnce];
        for (int r = 0; r < kRowsAtOnce; ++r) {
            const int line = std::min(y + r, rows - 1);
            row[r] = window.row(line, r);
            out[r] = dst + static_cast<size_t>(line) * static_cast<size_t>(axis.out);
        }
        for (int x = 0; x < axis.out; ++x) {
            __m256i high[kRowsAtOnce];
            __m256i low[kRowsAtOnce];
            for (int r = 0; r < kRowsAtOnce; ++r) high[r] = low[r] = _mm256_setzero_si256();
            size_t at = static_cast<size_t>(axis.first[x]);
            for (size_t i = taps.begin[size_t(x)]; i < taps.begin[size_t(x) + 1]; i += 32, at += 16) {
                const auto* k = reinterpret_cast<const __m256i*>(taps.values.data() + i);
                const __m256i k_high = _mm256_loadu_si256(k);
                const __m256i k_low = _mm256_loadu_si256(k + 1);
                for (int r = 0; r < kRowsAtOnce; ++r) {
                    const __m256i pixels =
                        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + at)));
                    high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pixels, k_high));
                    low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pixels, k_low));
                }
            }
            for (int r = 0; r < kRowsAtOnce; ++r) {
                __m128i sum = add_halves(_mm256_add_epi32(_mm256_slli_epi32(high[r], kSplitBits), low[r]));
                sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
                sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
                out[r][x] = clip8(_mm_cvtsi128_si32(sum) + kHalf);
            }
        }
    }
}

/** 32 bytes of one output row: column sums over `pairs` pairs of source rows. */
VLM_AVX2 void vertical_block(const uint8_t* src, size_t row_bytes, int count, const int32_t* pairs, uint8_t* dst) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i high[4] = {zero, zero, zero, zero};
    __m256i low[4] = {zero, zero, zero, zero};
    for (int t = 0; t < count; t += 2, pairs += 2, src += 2 * row_bytes) {
        const __m256i k_high = _mm256_set1_epi32(pairs[0]);
        const __m256i k_low = _mm256_set1_epi32(pairs[1]);
        const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
        // An odd last row is paired with itself; its second coefficient is zero.
        const size_t next = t + 1 < count ? row_bytes : 0;
        const __m256i lower = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + next));
        const __m256i left = _mm256_unpacklo_epi8(upper, lower);
        const __m256i right = _mm256_unpackhi_epi8(upper, lower);
        const __m256i words[4] = {_mm256_unpacklo_epi8(left, zero), _mm256_unpackhi_epi8(left, zero),
                                  _mm256_unpacklo_epi8(right, zero), _mm256_unpackhi_epi8(right, zero)};
        for (int i = 0; i < 4; ++i) {
            high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(words[i], k_high));
            low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(words[i], k_low));
        }
    }
    const __m256i half = _mm256_set1_epi32(kHalf);
    __m256i sums[4];
    for (int i = 0; i < 4; ++i) {
        const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high[i], kSplitBits), low[i]);
        sums[i] = _mm256_srai_epi32(_mm256_add_epi32(sum, half), kPrecisionBits);
    }
    const __m256i bytes =
        _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]), _mm256_packs_epi32(sums[2], sums[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), bytes);
}

int32_t pair_of(int16_t first, int16_t second) {
    return static_cast<int32_t>(uint32_t(uint16_t(first)) | (uint32_t(uint16_t(second)) << 16));
}

}  // namespace

void horizontal_avx2(const uint8_t* src, size_t src_size, size_t src_stride, int rows, int channels, const Axis& axis,
                     uint8_t* dst) {
    const PackedTaps taps = pack_taps(axis, channels == 1 ? 16 : 4, channels, 16);
    RowWindow window(src, src_size, src_stride, taps.reach);
    if (channels == 1) {
        horizontal_gray(window, rows, axis, taps, dst);
    } else {
        horizontal_pixels(window, rows, channels, axis, taps, dst);
    }
}

void vertical_avx2(const uint8_t* src, size_t row_bytes, const Axis& axis, uint8_t* dst) {
    constexpr size_t kBlock = 32;
    if (row_bytes < kBlock) return vertical_scalar(src, row_bytes, axis, dst);
    std::vector<int32_t> pairs;
    for (int y = 0; y < axis.out; ++y, dst += row_bytes) {
        const int32_t* k = axis.weights + static_cast<size_t>(y) * static_cast<size_t>(axis.taps);
        const int count = axis.count[y];
        pairs.clear();
        for (int t = 0; t < count; t += 2) {
            const int32_t second = t + 1 < count ? k[t + 1] : 0;
            pairs.push_back(pair_of(high_part(k[t]), high_part(second)));
            pairs.push_back(pair_of(low_part(k[t]), low_part(second)));
        }
        const uint8_t* first = src + static_cast<size_t>(axis.first[y]) * row_bytes;
        size_t at = 0;
        for (; at + kBlock <= row_bytes; at += kBlock)
            vertical_block(first + at, row_bytes, count, pairs.data(), dst + at);
        // The last block overlaps the one before instead of leaving a remainder.
        if (at < row_bytes) {
            at = row_bytes - kBlock;
            vertical_block(first + at, row_bytes, count, pairs.data(), dst + at);
        }
    }
}

}  // namespace vlm::resample

#else  // never called: has_avx2() is false

namespace vlm::resample {

void horizontal_avx2(const uint8_t* src, size_t src_size, size_t src_stride, int rows, int channels, const Axis& axis,
                     uint8_t* dst) {
    horizontal_scalar(src, src_size, src_stride, rows, channels, axis, dst);
}

void vertical_avx2(const uint8_t* src, size_t row_bytes, const Axis& axis, uint8_t* dst) {
    vertical_scalar(src, row_bytes, axis, dst);
}

}  // namespace vlm::resample

#endif
