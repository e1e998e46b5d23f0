/** @file encoder_layer.hpp
 *  The layer that most encoders are made of: norm, attention with q, k and v in one product, residual; norm, two-layer
 * MLP, residual (Vaswani et al. 2017, arXiv 1706.03762, with the norms in front as in arXiv 2002.04745). Checkpoints
 * call its weights by different names, so an encoder lists its own.
 */
#pragma once
#include <cmath>
#include <string>
#include <vlm/sdk/ops.hpp>
#include <vlm/sdk/weights.hpp>

namespace vlm::sdk {

/** Names below the layer's prefix; norms and products have ".weight" and ".bias" behind them. */
struct EncoderLayerNames {
    std::string norm1;  ///< In front of attention.
    std::string q;      ///< Queries.
    std::string k;      ///< Keys.
    std::string v;      ///< Values.
    std::string out;    ///< Behind attention.
    std::string norm2;  ///< In front of the MLP.
    std::string up;     ///< First layer of the MLP.
    std::string down;   ///< Second layer of the MLP.
};

/** What all layers of an encoder have in common. */
struct EncoderLayerConfig {
    int64_t hidden_size = 0;        ///< Width of a row.
    int64_t intermediate_size = 0;  ///< Width inside the MLP.
    int64_t heads = 1;              ///< Divides hidden_size.
    float norm_eps = 1e-5F;         ///< Of both norms.
    uint32_t activation = 0;        ///< VLM_ACT_*.
};

/** One layer. */
struct EncoderLayer {
    Kept norm1;       ///< `[hidden_size]`
    Kept norm1_bias;  ///< `[hidden_size]`
    Kept norm2;       ///< `[hidden_size]`
    Kept norm2_bias;  ///< `[hidden_size]`
    Linear qkv;       ///< Queries, keys and values behind one another.
    Linear out;       ///< Behind attention.
    Linear up;        ///< First layer of the MLP.
    Linear down;      ///< Second layer of the MLP.

    /** Reads the weights below `w`'s prefix. INVALID_ARGUMENT when they have other widths than `config` says. */
    static EncoderLayer load(const Weights& w, const EncoderLayerNames& names, const EncoderLayerConfig& config) {
        const int64_t d = config.hidden_size;
        EncoderLayer layer;
        layer.norm1 = w.vector(names.norm1 + ".weight", d);
        layer.norm1_bias = w.vector(names.norm1 + ".bias", d);
        layer.norm2 = w.vector(names.norm2 + ".weight", d);
        layer.norm2_bias = w.vector(names.norm2 + ".bias", d);
        layer.qkv = w.linear({names.q, names.k, names.v});
        layer.out = w.linear(names.out, d, d);
        layer.up = w.linear(names.up, config.intermediate_size, d);
        layer.down = w.linear(names.down, d, config.intermediate_size);
        if (layer.qkv.in() != d || layer.qkv.out() != 3 * d)
            throw invalid_argument("weight '" + w.prefix() + names.q + "': has " + std::to_string(layer.qkv.out()) +
                                   " outputs of " + std::to_string(layer.qkv.in()) +
                                   " columns together with keys and values, the configuration says " +
                                   std::to_string(3 * d) + " of " + std::to_string(d));
        return layer;
    }

    /** `x` `[rows, hidden_size]` becomes the layer's output; row i sees the keys `begins[i]` to `ends[i]` - 1 (both
     * `[rows]` i32). */
    void forward(const Ops& ops, const EncoderLayerConfig& config, const Tensor& begins, const Tensor& ends,
                 Tensor x) const {
        const int64_t d = config.hidden_size, head_dim = d / config.heads;
        const auto split = [&](const Tensor& part) { return part.split_last(config.heads); };
        const Scratch projected = ops.linear(qkv, ops.layer_norm(x, norm1, norm1_bias, config.norm_eps));
        Attention attention;
        attention.q = split(projected.columns(0, d));
        attention.k = split(projected.columns(d, d));
        attention.v = split(projected.columns(2 * d, d));
        attention.scale = 1.F / std::sqrt(static_cast<float>(head_dim));
        attention.mask_rule = VLM_MASK_RANGES;
        attention.key_begin = begins;
        attention.key_end = ends;
        const Scratch mixed = ops.like(x);
        ops.attention(attention, split(mixed));
        ops.linear(out, mixed, {.residual = x}, x);
        const Scratch inside =
            ops.linear(up, ops.layer_norm(x, norm2, norm2_bias, config.norm_eps), {.activation = config.activation});
        ops.linear(down, inside, {.residual = x}, x);
    }
};

}  // namespace vlm::sdk
