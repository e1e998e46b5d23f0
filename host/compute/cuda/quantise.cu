/** @file quantise.cu
 *  Weights to codes of 4 or 8 bits and back, and those in e4m3 (fp8.cu) back. The codes are those of the CPU device,
 * bit for bit: the same search for the scale and zero point of least squared error in every group
 * (host/compute/cpu/quant_pack_inl.hpp says why it is done so), one thread per group, without contraction to fused
 * operations (set in cuda.cmake).
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/weight_formats.hpp"

namespace vlm::cuda {

namespace {

constexpr int kGroup = static_cast<int>(kQuantGroup);
/** Adding and subtracting it rounds to nearest even for magnitudes below 2^22. */
constexpr float kRounder = 12582912.0f;

VLM_HD float clamped(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}
VLM_HD float rounded(float x) {
    return (x + kRounder) - kRounder;
}
/** Nearest code of a scale that is not negative. */
VLM_HD int32_t scale_code(float scale, int32_t base) {
    const int32_t code =
        static_cast<int32_t>((bits_of_float(scale) + (1u << (kScaleShift - 1))) >> kScaleShift) - (base << 4);
    return code < 0 ? 0 : code > 255 ? 255 : code;
}
/** Exponent of the smallest scale of an output whose largest is `largest`. */
VLM_HD int32_t scale_base(float largest) {
    const int32_t exponent = static_cast<int32_t>(bits_of_float(largest * 1.0625f) >> 23) - 15;
    return exponent < 1 ? 1 : exponent > 238 ? 238 : exponent;
}
VLM_HD float code4(float weight, float inverse, float zero) {
    return clamped(rounded(weight * inverse + zero), 0.0f, 15.0f);
}

/** Lowest and highest weight of a group, zero included. */
VLM_HD void find_range(const float* w, float* low, float* high) {
    *low = *high = 0.0f;
    VLM_UNROLL
    for (int d = 0; d < kGroup; ++d) {
        *low = w[d] < *low ? w[d] : *low;
        *high = w[d] > *high ? w[d] : *high;
    }
}

/** The weights of group `g` of an output, zeros behind its last. */
VLM_HD void read_group(const float* row, int64_t in, int64_t g, float* w) {
    VLM_UNROLL
    for (int d = 0; d < kGroup; ++d) {
        const int64_t k = g * kGroup + d;
        w[d] = k < in ? row[k] : 0.0f;
    }
}

/** The best scale and zero point so far. */
struct Search {
    int32_t scale = 0, zero = 0;
    float error = 0.0f;
};

/** Tries a scale code and the weight that shall be code 0. */
VLM_HD void try_group(const float* w, int32_t base, int32_t scale, float lowest, Search& best) {
    const float value = scale_value(scale, base), inverse = 1.0f / value;
    const float zero = rounded(clamped(-lowest * inverse * 16.0f, 0.0f, 255.0f)) * 0.0625f;
    float error = 0.0f;
    VLM_UNROLL
    for (int d = 0; d < kGroup; ++d) {
        const float difference = value * (code4(w[d], inverse, zero) - zero) - w[d];
        error += difference * difference;
    }
    if (error < best.error) best = {scale, static_cast<int32_t>(zero * 16.0f), error};
}

/** Least squares for the codes that `best` gives. */
VLM_HD void try_refined(const float* w, int32_t base, Search& best) {
    const float inverse = 1.0f / scale_value(best.scale, base), zero = static_cast<float>(best.zero) * 0.0625f;
    float sum_q = 0.0f, sum_w = 0.0f, sum_qq = 0.0f, sum_qw = 0.0f;
    VLM_UNROLL
    for (int d = 0; d < kGroup; ++d) {
        const float q = code4(w[d], inverse, zero);
        sum_q += q;
        sum_w += w[d];
        sum_qq += q * q;
        sum_qw += q * w[d];
    }
    constexpr float n = kGroup;
    const float spread = n * sum_qq - sum_q * sum_q;
    const float slope = (n * sum_qw - sum_q * sum_w) / (spread > 0.0f ? spread : 1.0f);
    const float fitted = spread > 0.0f && slope > 0.0f ? slope : 0.0f;
    try_group(w, base, scale_code(fitted, base), (sum_w - fitted * sum_q) / n, best);
}

/** Base exponents: one block per output. */
struct FindBases {
    static constexpr int kThreads = 128;
    const float* weights;
    int64_t in;
    WeightMatrix m;
    int32_t* fault;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const float* row = weights + block.index() * in;
        float largest = 0.0f;
        for (int64_t g = block.thread(); g < m.groups; g += block.threads()) {
            float w[kGroup], low, high;
            read_group(row, in, g, w);
            for (int d = 0; d < kGroup; ++d)
                if (!(fabsf(w[d]) <= kQuantLimit)) *fault = static_cast<int32_t>(Fault::quantise);
            find_range(w, &low, &high);
            const float top = high > -low ? high : -low;
            const float scale = m.bits == 4 ? (high - low) * (1.0f / 15.0f) : top * (1.0f / 127.0f);
            largest = scale > largest ? scale : largest;
        }
        largest = block.max(largest);
        if (block.thread() == 0) m.bases[block.index()] = static_cast<uint8_t>(scale_base(largest));
    }
};

struct Quantise4 {
    const float* weights;
    int64_t in;
    WeightMatrix m;

    VLM_HD void operator()(int64_t i) const {
        const int64_t o = i / m.groups, g = i % m.groups;
        float w[kGroup], low, high;
        read_group(weights + o * in, in, g, w);
        const int32_t base = m.bases[o];
        find_range(w, &low, &high);
        Search best;
        best.error = infinity();
        for (int step = 0; step < 8; ++step) {
            const float part = 1.0f - 0.04f * static_cast<float>(step);
            try_group(w, base, scale_code((high - low) * part * (1.0f / 15.0f), base), low * part, best);
        }
        for (int step = 0; step < 2; ++step) try_refined(w, base, best);
        for (int step = -1; step <= 1; step += 2) {
            const float lowest = -static_cast<float>(best.zero) * 0.0625f * scale_value(best.scale, base);
            const int32_t code = best.scale + step;
            try_group(w, base, code < 0 ? 0 : code > 255 ? 255 : code, lowest, best);
        }
        m.scales[i] = static_cast<uint8_t>(best.scale);
        m.zeros[i] = static_cast<uint8_t>(best.zero);
        const float inverse = 1.0f / scale_value(best.scale, base), zero = static_cast<float>(best.zero) * 0.0625f;
        Vector codes;
        VLM_UNROLL
        for (int word = 0; word < 4; ++word) {
            codes.words[word] = 0;
            VLM_UNROLL
            for (int d = 0; d < 8; ++d)
                codes.words[word] |= static_cast<uint32_t>(code4(w[8 * word + d], inverse, zero)) << (4 * d);
        }
        store_vector(static_cast<char*>(m.data) + o * m.stride + g * 16, codes);
    }
};

/** The smallest scale that reaches the largest weight: 8 bits are fine enough to clip nothing. */
struct Quantise8 {
    const float* weights;
    int64_t in;
    WeightMatrix m;

    VLM_HD void operator()(int64_t i) const {
        const int64_t o = i / m.groups, g = i % m.groups;
        float w[kGroup], low, high;
        read_group(weights + o * in, in, g, w);
        const int32_t base = m.bases[o];
        find_range(w, &low, &high);
        const float largest = high > -low ? high : -low, wanted = largest * (1.0f / 127.0f);
        int32_t scale = scale_code(wanted, base);
        scale += scale_value(scale, base) < wanted && scale < 255 ? 1 : 0;
        m.scales[i] = static_cast<uint8_t>(scale);
        const float inverse = 1.0f / scale_value(scale, base);
        VLM_UNROLL
        for (int half = 0; half < 2; ++half) {
            Vector codes;
            VLM_UNROLL
            for (int word = 0; word < 4; ++word) {
                codes.words[word] = 0;
                VLM_UNROLL
                for (int d = 0; d < 4; ++d) {
                    const float code = clamped(rounded(w[16 * half + 4 * word + d] * inverse), -127.0f, 127.0f);
                    codes.words[word] |= static_cast<uint32_t>(static_cast<int32_t>(code) + 128) << (8 * d);
                }
            }
            store_vector(static_cast<char*>(m.data) + o * m.stride + g * 32 + 16 * half, codes);
        }
    }
};

/** One piece of codes back to elements of T. */
template <class T, class Weights>
struct Expand {
    Weights weights;
    T* to;
    int64_t stride, pieces;

    VLM_HD void operator()(int64_t i) const {
        const int64_t o = i / pieces, k = i % pieces * Weights::kPiece;
        const typename Weights::Piece piece = weights.load(o, k);
        VLM_UNROLL
        for (int sub = 0; sub < Weights::kPiece / 8; ++sub) {
            float w[8];
            weights.unpack(piece, sub, w);
            T* target = to + o * stride + k + 8 * sub;
            VLM_UNROLL
            for (int d = 0; d < 8; ++d) from_float(w[d] * weights.out_scale(o), target[d]);
        }
    }
};

template <class T, class Weights>
void expand_codes(const Queue& queue, const WeightMatrix& m, int64_t rows, void* to, int64_t stride) {
    const int64_t pieces = m.depth() / Weights::kPiece;
    launch_items(queue, "linear", rows * pieces, Expand<T, Weights>{Weights(m), static_cast<T*>(to), stride, pieces});
}

template <class T>
void expand_to(const Queue& queue, const WeightMatrix& m, int64_t rows, void* to, int64_t stride) {
    if (m.e4m3()) return expand_codes<T, E4m3Weights>(queue, m, rows, to, stride);
    if (m.bits == 4) return expand_codes<T, QuantWeights<4>>(queue, m, rows, to, stride);
    expand_codes<T, QuantWeights<8>>(queue, m, rows, to, stride);
}

}  // namespace

void launch_quantise(const Queue& queue, const float* weights, int64_t rows, int64_t in, const WeightMatrix& matrix,
                     int32_t* fault) {
    if (matrix.e4m3()) {
        RowLayout x;
        x.data = reinterpret_cast<char*>(const_cast<float*>(weights));
        x.count = x.rows.shape[0] = rows;
        x.columns = x.rows.stride[0] = in;
        x.rows.dims = 1;
        return launch_rows_to_e4m3(queue, "linear_pack", VLM_DTYPE_F32, x, rows,
                                   {static_cast<uint8_t*>(matrix.data), matrix.out_scales, matrix.stride}, fault);
    }
    launch(queue, "linear_pack", {rows}, FindBases{weights, in, matrix, fault});
    if (matrix.bits == 4) {
        launch_items(queue, "linear_pack", rows * matrix.groups, Quantise4{weights, in, matrix});
    } else {
        launch_items(queue, "linear_pack", rows * matrix.groups, Quantise8{weights, in, matrix});
    }
}

void launch_expand(const Queue& queue, const WeightMatrix& matrix, int64_t rows, uint32_t dtype, void* to,
                   int64_t stride) {
    dtype == VLM_DTYPE_BF16 ? expand_to<Bf16>(queue, matrix, rows, to, stride)
                            : expand_to<float>(queue, matrix, rows, to, stride);
}

}  // namespace vlm::cuda
