/** @file quant_pack_inl.hpp
 *  Floats to codes and back. Plain loops over the 32 outputs of a panel, one lane each, which compilers turn into the
 * vectors of the instruction set that the including file is compiled for; without contraction to fused operations
 * (set in host/CMakeLists.txt), so that every instruction set finds the same codes.
 *
 *  Rounding to 4 bits decides how much quality is lost, so scale and zero point of every group are searched for the
 * least squared error: from the full range inwards (clipping the extremes serves the many others), then by least
 * squares for the codes found so far (a step of Lloyd's algorithm), then the neighbouring scales.
 */

namespace {

constexpr int kLanes = static_cast<int>(kPanel);
constexpr int kDepths = static_cast<int>(kQuantGroup);
/** Adding and subtracting it rounds to nearest even for magnitudes below 2^22. */
constexpr float kRounder = 12582912.0f;
constexpr uint32_t kInfinity = 0x7F800000u;
/** A scale is this many bits of its float shifted away: 4 bits of mantissa stay. */
constexpr int kScaleShift = 19;

inline uint32_t bits_of(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof(bits));
    return bits;
}
inline float float_of(uint32_t bits) {
    float x;
    __builtin_memcpy(&x, &bits, sizeof(x));
    return x;
}
inline float clamped(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}
inline float rounded(float x) {
    return (x + kRounder) - kRounder;
}

/** Nearest code of a scale that is not negative. */
inline int32_t scale_code(float scale, int32_t base) {
    const auto code = static_cast<int32_t>((bits_of(scale) + (1u << (kScaleShift - 1))) >> kScaleShift) - (base << 4);
    return code < 0 ? 0 : code > 255 ? 255 : code;
}
inline float scale_value(int32_t code, int32_t base) {
    return float_of(static_cast<uint32_t>(code + (base << 4)) << kScaleShift);
}
/** Exponent of the smallest scale of an output whose largest is `largest`; a little room is left above. */
inline uint8_t scale_base(float largest) {
    const auto exponent = static_cast<int32_t>(bits_of(largest * 1.0625f) >> 23) - 15;
    return static_cast<uint8_t>(exponent < 1 ? 1 : exponent > 238 ? 238 : exponent);
}

/** Scale and zero point of a group, per output, with the squared error that they leave. */
struct Search {
    int32_t scale[kLanes];
    int32_t zero[kLanes];
    float error[kLanes];
};

/** The codes for `scale` and `zero` of `weights[32][32]` as floats. */
inline float code4(float weight, float inverse, float zero) {
    return clamped(rounded(weight * inverse + zero), 0.0f, 15.0f);
}

/** Tries scale codes and the weight that shall be code 0; keeps what is better. */
void try_group(const float* weights, const int32_t* base, const int32_t* scale, const float* lowest, Search& best) {
    float value[kLanes], inverse[kLanes], zero[kLanes], error[kLanes];
    for (int o = 0; o < kLanes; ++o) {
        value[o] = scale_value(scale[o], base[o]);
        inverse[o] = 1.0f / value[o];
        zero[o] = rounded(clamped(-lowest[o] * inverse[o] * 16.0f, 0.0f, 255.0f)) * 0.0625f;
        error[o] = 0.0f;
    }
    for (int d = 0; d < kDepths; ++d) {
        const float* w = weights + d * kLanes;
        for (int o = 0; o < kLanes; ++o) {
            const float difference = value[o] * (code4(w[o], inverse[o], zero[o]) - zero[o]) - w[o];
            error[o] += difference * difference;
        }
    }
    for (int o = 0; o < kLanes; ++o) {
        const bool better = error[o] < best.error[o];
        best.scale[o] = better ? scale[o] : best.scale[o];
        best.zero[o] = better ? static_cast<int32_t>(zero[o] * 16.0f) : best.zero[o];
        best.error[o] = better ? error[o] : best.error[o];
    }
}

/** Least squares for the codes that `best` gives: scale and lowest weight that fit them best. */
void try_refined(const float* weights, const int32_t* base, Search& best) {
    float inverse[kLanes], zero[kLanes], sum_q[kLanes], sum_w[kLanes], sum_qq[kLanes], sum_qw[kLanes];
    for (int o = 0; o < kLanes; ++o) {
        inverse[o] = 1.0f / scale_value(best.scale[o], base[o]);
        zero[o] = static_cast<float>(best.zero[o]) * 0.0625f;
        sum_q[o] = sum_w[o] = sum_qq[o] = sum_qw[o] = 0.0f;
    }
    for (int d = 0; d < kDepths; ++d) {
        const float* w = weights + d * kLanes;
        for (int o = 0; o < kLanes; ++o) {
            const float q = code4(w[o], inverse[o], zero[o]);
            sum_q[o] += q;
            sum_w[o] += w[o];
            sum_qq[o] += q * q;
            sum_qw[o] += q * w[o];
        }
    }
    constexpr float n = kDepths;
    float lowest[kLanes];
    int32_t scale[kLanes];
    for (int o = 0; o < kLanes; ++o) {
        const float spread = n * sum_qq[o] - sum_q[o] * sum_q[o];
        const float slope = (n * sum_qw[o] - sum_q[o] * sum_w[o]) / (spread > 0.0f ? spread : 1.0f);
        const float fitted = spread > 0.0f && slope > 0.0f ? slope : 0.0f;
        lowest[o] = (sum_w[o] - fitted * sum_q[o]) / n;
        scale[o] = scale_code(fitted, base[o]);
    }
    try_group(weights, base, scale, lowest, best);
}

/** Lowest and highest weight of a group, zero included. */
void find_range(const float* weights, float* low, float* high) {
    for (int o = 0; o < kLanes; ++o) low[o] = high[o] = 0.0f;
    for (int d = 0; d < kDepths; ++d)
        for (int o = 0; o < kLanes; ++o) {
            const float w = weights[d * kLanes + o];
            low[o] = w < low[o] ? w : low[o];
            high[o] = w > high[o] ? w : high[o];
        }
}

void quantise_group4(const float* weights, const int32_t* base, uint8_t* scales, uint8_t* zeros, uint8_t* codes) {
    float low[kLanes], high[kLanes], lowest[kLanes];
    int32_t scale[kLanes];
    find_range(weights, low, high);
    Search best;
    for (int o = 0; o < kLanes; ++o) {
        best.scale[o] = best.zero[o] = 0;
        best.error[o] = float_of(kInfinity);
    }
    for (int step = 0; step < 8; ++step) {
        const float part = 1.0f - 0.04f * static_cast<float>(step);
        for (int o = 0; o < kLanes; ++o) {
            scale[o] = scale_code((high[o] - low[o]) * part * (1.0f / 15.0f), base[o]);
            lowest[o] = low[o] * part;
        }
        try_group(weights, base, scale, lowest, best);
    }
    for (int step = 0; step < 2; ++step) try_refined(weights, base, best);
    for (const int step : {-1, 1}) {
        for (int o = 0; o < kLanes; ++o) {
            lowest[o] = -static_cast<float>(best.zero[o]) * 0.0625f * scale_value(best.scale[o], base[o]);
            const int32_t code = best.scale[o] + step;
            scale[o] = code < 0 ? 0 : code > 255 ? 255 : code;
        }
        try_group(weights, base, scale, lowest, best);
    }
    float inverse[kLanes], zero[kLanes];
    for (int o = 0; o < kLanes; ++o) {
        scales[o] = static_cast<uint8_t>(best.scale[o]);
        zeros[o] = static_cast<uint8_t>(best.zero[o]);
        inverse[o] = 1.0f / scale_value(best.scale[o], base[o]);
        zero[o] = static_cast<float>(best.zero[o]) * 0.0625f;
    }
    for (int d = 0; d < kDepths; ++d) {
        uint8_t* target = codes + d / 8 * 4 * kLanes + d % 4;
        const int shift = d % 8 < 4 ? 0 : 4;
        for (int o = 0; o < kLanes; ++o) {
            const auto code = static_cast<int32_t>(code4(weights[d * kLanes + o], inverse[o], zero[o]));
            target[4 * o] = static_cast<uint8_t>((shift == 0 ? 0 : target[4 * o]) | code << shift);
        }
    }
}

/** The smallest scale that reaches the largest weight: 8 bits are fine enough to clip nothing. */
void quantise_group8(const float* weights, const int32_t* base, uint8_t* scales, uint8_t* codes) {
    float low[kLanes], high[kLanes], inverse[kLanes];
    find_range(weights, low, high);
    for (int o = 0; o < kLanes; ++o) {
        const float largest = high[o] > -low[o] ? high[o] : -low[o];
        const float wanted = largest * (1.0f / 127.0f);
        int32_t code = scale_code(wanted, base[o]);
        code += scale_value(code, base[o]) < wanted && code < 255 ? 1 : 0;
        scales[o] = static_cast<uint8_t>(code);
        inverse[o] = 1.0f / scale_value(code, base[o]);
    }
    for (int d = 0; d < kDepths; ++d) {
        uint8_t* target = codes + d / 4 * 4 * kLanes + d % 4;
        for (int o = 0; o < kLanes; ++o) {
            const float code = clamped(rounded(weights[d * kLanes + o] * inverse[o]), -127.0f, 127.0f);
            target[4 * o] = static_cast<uint8_t>(static_cast<int32_t>(code) + 128);
        }
    }
}

bool quantise_panel(const float* weights, const QuantLayout& layout, std::byte* panel) {
    auto* bytes = reinterpret_cast<uint8_t*>(panel);
    float largest[kLanes] = {}, low[kLanes], high[kLanes];
    uint32_t worst = 0;
    for (int64_t i = 0; i < layout.depth() * kPanel; ++i) {
        const uint32_t magnitude = bits_of(weights[i]) & 0x7FFFFFFFu;
        worst = magnitude > worst ? magnitude : worst;
    }
    if (worst > bits_of(kQuantLimit)) return false;
    for (int64_t g = 0; g < layout.groups; ++g) {
        find_range(weights + g * kDepths * kLanes, low, high);
        for (int o = 0; o < kLanes; ++o) {
            const float top = high[o] > -low[o] ? high[o] : -low[o];
            const float scale = layout.bits == 4 ? (high[o] - low[o]) * (1.0f / 15.0f) : top * (1.0f / 127.0f);
            largest[o] = scale > largest[o] ? scale : largest[o];
        }
    }
    int32_t base[kLanes];
    for (int o = 0; o < kLanes; ++o) {
        bytes[o] = scale_base(largest[o]);
        bytes[kLanes + o] = 0;
        base[o] = bytes[o];
    }
    for (int64_t g = 0; g < layout.groups; ++g) {
        const float* group = weights + g * kDepths * kLanes;
        uint8_t* scales = bytes + layout.scales(g);
        uint8_t* codes = bytes + layout.codes(g);
        if (layout.bits == 4)
            quantise_group4(group, base, scales, bytes + layout.zeros(g), codes);
        else
            quantise_group8(group, base, scales, codes);
    }
    return true;
}

void dequantise(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, float* out) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
    const bool four = layout.bits == 4;
    for (int64_t k = begin; k < begin + depth; ++k, out += kPanel) {
        const int64_t g = k / kQuantGroup;
        const uint8_t* scales = bytes + layout.scales(g);
        const uint8_t* zeros = bytes + layout.zeros(g);
        const uint8_t* codes = bytes + layout.codes(g) + k % kQuantGroup / (four ? 8 : 4) * 4 * kPanel + k % 4;
        const int shift = four && k % 8 >= 4 ? 4 : 0;
        const int mask = four ? 15 : 255;
        for (int o = 0; o < kLanes; ++o) {
            const auto code = static_cast<float>(codes[4 * o] >> shift & mask);
            const float zero = four ? static_cast<float>(zeros[o]) * 0.0625f : 128.0f;
            out[o] = scale_value(scales[o], bytes[o]) * (code - zero);
        }
    }
}

void unpack(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, int8_t* codes,
            float* scales, float* zeros) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
    const bool four = layout.bits == 4;
    for (int64_t g = begin / kQuantGroup; g < (begin + depth) / kQuantGroup; ++g, scales += kPanel, zeros += kPanel) {
        for (int o = 0; o < kLanes; ++o) {
            scales[o] = scale_value(bytes[layout.scales(g) + o], bytes[o]);
            // A row's offset is -128 times the sum of its codes, and zero points are sixteenths.
            zeros[o] = four ? static_cast<float>(bytes[layout.zeros(g) + o]) * 0x1p-11f : 0.0f;
        }
        const uint8_t* from = bytes + layout.codes(g);
        constexpr int kLine = 4 * kLanes;
        for (int64_t line = 0; line < layout.group_bytes() / kLine; ++line, from += kLine) {
            for (int i = 0; i < kLine; ++i) codes[i] = static_cast<int8_t>(four ? from[i] & 15 : from[i] ^ 128);
            codes += kLine;
            if (!four) continue;
            for (int i = 0; i < kLine; ++i) codes[i] = static_cast<int8_t>(from[i] >> 4);
            codes += kLine;
        }
    }
}

/** One group of activations, all of them. */
template <int Group>
void quantise_activations(const float* x, int8_t* codes, float& scale, int32_t& offset) {
    uint32_t top = 0;
    for (int i = 0; i < Group; ++i) {
        const uint32_t magnitude = bits_of(x[i]) & 0x7FFFFFFFu;
        top = magnitude > top ? magnitude : top;
    }
    constexpr float smallest = 0x1p-100f;  // below it the inverse would not be finite
    const float largest = float_of(top);
    const bool finite = top < kInfinity;
    scale = finite ? (largest < smallest ? 0.0f : largest * (1.0f / 127.0f)) : float_of(kInfinity | 0x400000u);
    offset = 0;
    if (!finite || largest < smallest) {
        for (int i = 0; i < Group; ++i) codes[i] = 0;
        return;
    }
    const float inverse = 127.0f / largest;
    int32_t total = 0;
    for (int i = 0; i < Group; ++i) {
        const auto code = static_cast<int32_t>(rounded(x[i] * inverse));
        codes[i] = static_cast<int8_t>(code);
        total += code;
    }
    offset = -128 * total;
}

/** A row in groups of `Group`; the last may reach beyond `depth`, which is a multiple of kQuantDepth. */
template <int Group>
void quantise_groups(const float* x, int64_t n, int64_t depth, std::byte* row) {
    auto* codes = reinterpret_cast<int8_t*>(row);
    auto* scales = reinterpret_cast<float*>(row + depth);
    auto* offsets = reinterpret_cast<int32_t*>(scales + (depth + Group - 1) / Group);
    for (int64_t k = 0, g = 0; k < depth; k += Group, ++g) {
        if (k + Group <= n) {
            quantise_activations<Group>(x + k, codes + k, scales[g], offsets[g]);
            continue;
        }
        float last[Group] = {};
        int8_t last_codes[Group];
        for (int64_t i = k; i < n; ++i) last[i - k] = x[i];
        quantise_activations<Group>(last, last_codes, scales[g], offsets[g]);
        __builtin_memcpy(codes + k, last_codes, static_cast<size_t>(depth - k < Group ? depth - k : Group));
    }
}

void quantise_row(const float* x, int64_t n, int64_t depth, std::byte* row) {
    quantise_groups<kDepths>(x, n, depth, row);
}

}  // namespace
