/** @file resample_kernels.cpp
 *  The plain loops: the definition of the arithmetic, and what runs on processors without AVX2.
 *
 *  Source: Pillow, src/libImaging/Resample.c (ImagingResampleHorizontal_8bpc, ImagingResampleVertical_8bpc).
 */
#include "host/image/resample_kernels.hpp"

#include <algorithm>

namespace vlm::resample {

namespace {

constexpr int32_t kHalf = int32_t{1} << (kPrecisionBits - 1);

}  // namespace

bool has_avx2() {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

std::vector<int32_t> to_fixed_point(const std::vector<double>& weights) {
    std::vector<int32_t> fixed(weights.size());
    std::transform(weights.begin(), weights.end(), fixed.begin(),
                   [](double w) { return static_cast<int32_t>((w < 0 ? -0.5 : 0.5) + w * (1 << kPrecisionBits)); });
    return fixed;
}

void horizontal_scalar(const uint8_t* src, size_t /*src_size*/, size_t src_stride, int rows, int channels,
                       const Axis& axis, uint8_t* dst) {
    for (int y = 0; y < rows; ++y, src += src_stride) {
        for (int x = 0; x < axis.out; ++x) {
            const int32_t* k = axis.weights + static_cast<size_t>(x) * static_cast<size_t>(axis.taps);
            const uint8_t* first = src + static_cast<size_t>(axis.first[x]) * static_cast<size_t>(channels);
            for (int c = 0; c < channels; ++c) {
                int32_t sum = kHalf;
                for (int t = 0; t < axis.count[x]; ++t) sum += first[t * channels + c] * k[t];
                *dst++ = clip8(sum);
            }
        }
    }
}

void vertical_scalar(const uint8_t* src, size_t row_bytes, const Axis& axis, uint8_t* dst) {
    std::vector<int32_t> sums(row_bytes);
    for (int y = 0; y < axis.out; ++y) {
        const int32_t* k = axis.weights + static_cast<size_t>(y) * static_cast<size_t>(axis.taps);
        std::fill(sums.begin(), sums.end(), kHalf);
        for (int t = 0; t < axis.count[y]; ++t) {
            const uint8_t* row = src + static_cast<size_t>(axis.first[y] + t) * row_bytes;
            for (size_t i = 0; i < row_bytes; ++i) sums[i] += row[i] * k[t];
        }
        for (size_t i = 0; i < row_bytes; ++i) *dst++ = clip8(sums[i]);
    }
}

}  // namespace vlm::resample
