/** @file weight_formats.hpp
 *  How packed weights lie on the GPU, and how a thread takes a piece of them: 16 bytes (32 for f32) of one output,
 * which it turns into floats eight at a time.
 *
 *  Quantised weights mean what they mean on the CPU (host/compute/cpu/quant.hpp): groups of 32 inputs, codes of 4 or 8
 * bits, a scale of 8 bits below a power of two of the output, for 4 bits a zero point in sixteenths: `w = scale * (code
 * - zero)`. Only the order differs: codes of one output lie side by side, since here a warp reads one output.
 *
 *  Weights in fp8 are codes in e4m3 with one f32 scale per output. Both sides are padded to what products in fp8 want
 * (fp8_products.cpp), with codes that are 0.
 */
#pragma once
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

/** Inputs that share a scale. */
inline constexpr int64_t kQuantGroup = 32;
/** Bits of a float's exponent and mantissa that a scale code leaves out. */
inline constexpr int kScaleShift = 19;
/** Largest magnitude that can be quantised: squares of differences still fit a float. */
inline constexpr float kQuantLimit = 1152921504606846976.0f;  // 2^60

/** Elements to which both sides of matrices in fp8 are padded. */
inline constexpr int64_t kE4m3Step = 16;

/** The weights of one layer, `[out, in]`. */
struct WeightMatrix {
    uint32_t dtype = 0;         ///< VLM_DTYPE_F32, _BF16, _F16 or _F8_E4M3; not for int8 and int4.
    int32_t bits = 0;           ///< 4 or 8 for int4 and int8.
    void* data = nullptr;       ///< Elements or codes.
    int64_t stride = 0;         ///< Between outputs: elements (a multiple of 8, zeros behind `in`), or bytes of codes.
    int64_t groups = 0;         ///< Of one output.
    uint8_t* scales = nullptr;  ///< `[out, groups]`.
    uint8_t* zeros = nullptr;   ///< `[out, groups]`, for 4 bits.
    uint8_t* bases = nullptr;   ///< `[out]`, the exponent that scales count from.
    float* out_scales = nullptr;  ///< `[out]`, for fp8.

    bool e4m3() const { return dtype == VLM_DTYPE_F8_E4M3; }
    /** Whether elements mean nothing without their scales. */
    bool coded() const { return bits != 0 || e4m3(); }
    /** Elements of an output, padding included. */
    int64_t depth() const { return bits != 0 ? groups * kQuantGroup : stride; }

    /** The same from output `first` on. */
    WeightMatrix from(int64_t first) const {
        WeightMatrix part = *this;
        const int64_t element = bits != 0 ? 1 : (dtype & 0xFFFFu) / 8;
        part.data = static_cast<char*>(data) + first * stride * element;
        if (bits != 0) part.scales += first * groups;
        if (bits == 4) part.zeros += first * groups;
        if (bits != 0) part.bases += first;
        if (e4m3()) part.out_scales += first;
        return part;
    }
};

/** Value of a scale code. */
VLM_HD float scale_value(int32_t code, int32_t base) {
    return float_from_bits(static_cast<uint32_t>(code + (base << 4)) << kScaleShift);
}

/** f32, bf16, f16. */
template <class E>
struct PlainWeights {
    static constexpr int kPiece = 8;
    struct Piece {
        Vector vectors[kVectorsOf8<E>];
    };
    const char* data;
    int64_t stride;

    explicit PlainWeights(const WeightMatrix& m) : data(static_cast<const char*>(m.data)), stride(m.stride) {}
    VLM_HD int64_t depth() const { return stride; }
    VLM_HD Piece load(int64_t output, int64_t k) const {
        const char* from = data + (output * stride + k) * static_cast<int64_t>(sizeof(E));
        Piece piece;
        VLM_UNROLL
        for (int i = 0; i < kVectorsOf8<E>; ++i) piece.vectors[i] = load_once(from + 16 * i);
        return piece;
    }
    VLM_HD void unpack(const Piece& piece, int, float* to) const { expand(piece.vectors, to, E{}); }
    VLM_HD float out_scale(int64_t) const { return 1.0f; }
};

/** e4m3; what is unpacked has to be multiplied by `out_scale`, best when it has been summed. */
struct E4m3Weights {
    static constexpr int kPiece = 16;
    struct Piece {
        Vector codes;
    };
    const char* codes;
    const float* scales;
    int64_t stride;

    explicit E4m3Weights(const WeightMatrix& m)
        : codes(static_cast<const char*>(m.data)), scales(m.out_scales), stride(m.stride) {}
    VLM_HD int64_t depth() const { return stride; }
    VLM_HD Piece load(int64_t output, int64_t k) const { return {load_once(codes + output * stride + k)}; }
    /** The code's bits become the upper ones of a float whose exponent is 120 too small, denormal codes those of a
     * denormal float. NaN, which is never stored, would become 480. */
    VLM_HD void unpack(const Piece& piece, int sub, float* to) const {
        VLM_UNROLL
        for (int i = 0; i < 8; ++i) {
            const uint32_t code_on_top = piece.codes.words[2 * sub + i / 4] << (24 - 8 * (i % 4));
            const auto spread = static_cast<uint32_t>(static_cast<int32_t>(code_on_top) >> 4);
            to[i] = float_from_bits(spread & 0x87F00000u) * 1.329227995784915872903807e36f;  // 2^120
        }
    }
    VLM_HD float out_scale(int64_t output) const { return scales[output]; }
};

/** 4 or 8 bits: a piece is 16 bytes of codes with what belongs to them. */
template <int kBits>
struct QuantWeights {
    static constexpr int kPiece = 128 / kBits;
    struct Piece {
        Vector codes;
        float scale, zero;
    };
    const uint8_t* codes;
    const uint8_t* scales;
    const uint8_t* zeros;
    const uint8_t* bases;
    int64_t stride, groups;

    explicit QuantWeights(const WeightMatrix& m)
        : codes(static_cast<const uint8_t*>(m.data)),
          scales(m.scales),
          zeros(m.zeros),
          bases(m.bases),
          stride(m.stride),
          groups(m.groups) {}
    VLM_HD int64_t depth() const { return groups * kQuantGroup; }
    VLM_HD Piece load(int64_t output, int64_t k) const {
        const int64_t group = output * groups + k / kQuantGroup;
        Piece piece;
        piece.codes = load_once(codes + output * stride + k * kBits / 8);
        piece.scale = scale_value(scales[group], bases[output]);
        piece.zero = kBits == 4 ? static_cast<float>(zeros[group]) * 0.0625f : 128.0f;
        return piece;
    }
    /** Weights 8 * sub … 8 * sub + 7 of the piece. */
    VLM_HD void unpack(const Piece& piece, int sub, float* to) const {
        VLM_UNROLL
        for (int i = 0; i < 8; ++i) {
            const uint32_t word = kBits == 4 ? piece.codes.words[sub] : piece.codes.words[2 * sub + i / 4];
            const uint32_t code = kBits == 4 ? word >> (4 * i) & 15u : word >> (8 * (i % 4)) & 255u;
            to[i] = piece.scale * (static_cast<float>(code) - piece.zero);
        }
    }
    VLM_HD float out_scale(int64_t) const { return 1.0f; }
};

}  // namespace vlm::cuda
