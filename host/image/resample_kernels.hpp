/** @file resample_kernels.hpp
 *  Coefficient tables and the inner loops of resize(); internal to host/image.
 *
 *  Apart from resize.cpp so that the AVX2 loops can be compared with the plain ones in a test, and so that only one
 * file holds intrinsics. All loops compute the same integer sums, so which one runs can never be seen in the result.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vlm::resample {

/** Fraction bits of a coefficient: 32 bits less 8 for the pixel and 2 for overshoot of filters with negative lobes. */
constexpr int kPrecisionBits = 32 - 8 - 2;

/** Contributions of source samples to each output sample along one axis. */
struct Coefficients {
    int taps = 0;                 ///< Row length of `weights`.
    std::vector<int> first;       ///< [out] index of the first source sample
    std::vector<int> count;       ///< [out] number of source samples
    std::vector<double> weights;  ///< [out, taps], each row sums to one; zero beyond `count`
};

/** `weights` as fixed point with kPrecisionBits fraction bits, rounded half away from zero. */
std::vector<int32_t> to_fixed_point(const std::vector<double>& weights);

/** One axis of an 8-bit pass. */
struct Axis {
    const int* first = nullptr;        ///< [out]
    const int* count = nullptr;        ///< [out]
    const int32_t* weights = nullptr;  ///< [out, taps]
    int taps = 0;
    int out = 0;
};

/** dst[y, x, c] = clip8(sum over t of src[y, first[x] + t, c] * weights[x, t]) for `rows` rows.
 *  @param src first source row; `src_size` bytes may be read from it on, rows lie `src_stride` apart
 *  @param dst packed rows of axis.out * channels bytes */
void horizontal_scalar(const uint8_t* src, size_t src_size, size_t src_stride, int rows, int channels, const Axis& axis,
                       uint8_t* dst);
void horizontal_avx2(const uint8_t* src, size_t src_size, size_t src_stride, int rows, int channels, const Axis& axis,
                     uint8_t* dst);

/** dst[y, i] = clip8(sum over t of src[first[y] + t, i] * weights[y, t]) for rows of `row_bytes` bytes, packed on both
 * sides. */
void vertical_scalar(const uint8_t* src, size_t row_bytes, const Axis& axis, uint8_t* dst);
void vertical_avx2(const uint8_t* src, size_t row_bytes, const Axis& axis, uint8_t* dst);

/** Whether this processor runs the _avx2 loops. */
bool has_avx2();

/** A sum with kPrecisionBits fraction bits as a byte. The half for rounding is already in the sum. */
inline uint8_t clip8(int32_t sum) {
    const int32_t value = sum >> kPrecisionBits;
    return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace vlm::resample
