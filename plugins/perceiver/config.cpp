/** @file config.cpp
 *  See config.hpp. One function per style: its names, its switches, its keys and their defaults.
 */
#include "config.hpp"

namespace vlm::perceiver {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 20;
constexpr int64_t kMaxCount = 65536;

int64_t size_of(const sdk::Config& config, const char* key, int64_t fallback) {
    return config.integer(key, fallback, 1, kMaxSize);
}
int32_t count_of(const sdk::Config& config, const char* key, int32_t fallback) {
    return static_cast<int32_t>(config.integer(key, fallback, 1, kMaxCount));
}

/** Keys that Idefics and Idefics2 share. */
void read_resampler(const sdk::Config& config, int32_t depth, PerceiverConfig& c) {
    c.latents = count_of(config, "resampler_n_latents", 64);
    c.depth = count_of(config, "resampler_depth", depth);
    c.heads = count_of(config, "resampler_n_heads", 16);
    c.head_dim = count_of(config, "resampler_head_dim", 96);
    c.kv_heads = c.heads;
}

/** `IdeficsPerceiverResampler`: memory for gated cross-attention. */
PerceiverConfig idefics(const sdk::Config& config) {
    PerceiverConfig c;
    Names& n = c.names;
    n.block = "blocks.";
    n.context_norm = "0.context_layer_norm";
    n.latents_norm = "0.latents_layer_norm";
    n.q = "0.q_proj";
    n.k = "0.k_proj";
    n.v = "0.v_proj";
    n.out = "0.output_proj";
    n.q_norm = "0.q_layer_norm";
    n.k_norm = "0.k_layer_norm";
    n.mlp_norm = "1.ln";
    n.mlp_up = "1.fc";
    n.mlp_down = "1.c_proj";
    n.final_norm = "layer_norm";
    read_resampler(config, 6, c);
    c.input = c.hidden = size_of(config, "input_size", 768);
    c.mlp = 4 * c.hidden;
    c.mlp_act = VLM_ACT_RELU;
    c.qk_norm = config.get("qk_layer_norms_perceiver", false);
    // The switch that counts is the one of the whole model, which the recipe hands on as `resample`.
    config.ignore({"use_resampler"});
    c.resample = config.get("resample", true);
    c.delivery = VLM_DELIVERY_CROSS_ATTENTION;
    return c;
}

/** `Idefics2Connector`. */
PerceiverConfig idefics2(const sdk::Config& config) {
    PerceiverConfig c;
    Names& n = c.names;
    n.latents = "perceiver_resampler.latents";
    n.gate = "modality_projection.gate_proj";
    n.up = "modality_projection.up_proj";
    n.down = "modality_projection.down_proj";
    n.block = "perceiver_resampler.layers.";
    n.context_norm = "input_context_norm";
    n.latents_norm = "input_latents_norm";
    n.q = "self_attn.q_proj";
    n.k = "self_attn.k_proj";
    n.v = "self_attn.v_proj";
    n.out = "self_attn.o_proj";
    n.mlp_norm = "post_attention_layernorm";
    n.mlp_gate = "mlp.gate_proj";
    n.mlp_up = "mlp.up_proj";
    n.mlp_down = "mlp.down_proj";
    n.final_norm = "perceiver_resampler.norm";
    read_resampler(config, 3, c);
    c.kv_heads = count_of(config, "num_key_value_heads", 4);
    c.input = size_of(config, "input_size", 768);
    c.hidden = size_of(config, "hidden_size", 4096);
    if (size_of(config, "output_size", c.hidden) != c.hidden)
        throw sdk::invalid_argument(config.path("hidden_size") + ": the resampler is " + std::to_string(c.hidden) +
                                    " wide, the language model " +
                                    std::to_string(config.get<int64_t>("output_size", 0)));
    c.projection = size_of(config, "projection_size", 14336);
    c.projection_act = sdk::activation_of(config.get("projection_act", "silu"), config.path("projection_act"));
    c.mlp = 4 * c.hidden;
    c.mlp_act = sdk::activation_of(config.get("hidden_act", "silu"), config.path("hidden_act"));
    c.rms = true;
    c.norm_eps = config.get("rms_norm_eps", 1e-6F);
    config.expect("qk_layer_norms_perceiver", false);
    return c;
}

/** `Kosmos2ImageToTextProjection`, with the final norm of the tower in front of it. */
PerceiverConfig kosmos2(const sdk::Config& config) {
    PerceiverConfig c;
    Names& n = c.names;
    n.latents = "latent_query";
    n.input_norm = "post_layernorm";
    n.dense = "dense";
    n.q = "x_attn.q_proj";
    n.k = "x_attn.k_proj";
    n.v = "x_attn.v_proj";
    n.out = "x_attn.out_proj";
    c.input = size_of(config, "input_size", 1024);
    c.hidden = size_of(config, "output_size", 2048);
    c.latents = count_of(config, "latent_query_num", 64);
    c.heads = c.kv_heads = count_of(config, "attention_heads", 32);
    if (c.hidden % c.heads != 0)
        throw sdk::invalid_argument(config.path("output_size") + ": " + std::to_string(c.hidden) +
                                    " is no multiple of " + std::to_string(c.heads) + " heads");
    c.head_dim = static_cast<int32_t>(c.hidden / c.heads);
    c.l2_normalize = true;
    c.residual = false;
    c.norm_eps = config.get("norm_eps", 1e-5F);
    return c;
}

/** `PerceiverResampler` of open_flamingo (arXiv 2308.01390). */
PerceiverConfig flamingo(const sdk::Config& config) {
    PerceiverConfig c;
    Names& n = c.names;
    n.block = "layers.";
    n.context_norm = "0.norm_media";
    n.latents_norm = "0.norm_latents";
    n.q = "0.to_q";
    n.kv = "0.to_kv";
    n.out = "0.to_out";
    n.mlp_norm = "1.0";
    n.mlp_up = "1.1";
    n.mlp_down = "1.3";
    n.final_norm = "norm";
    c.input = c.hidden = size_of(config, "input_size", 1024);
    c.latents = count_of(config, "num_latents", 64);
    c.depth = count_of(config, "depth", 6);
    c.heads = c.kv_heads = count_of(config, "heads", 8);
    c.head_dim = count_of(config, "dim_head", 64);
    c.mlp = c.hidden * count_of(config, "ff_mult", 4);
    c.mlp_act = VLM_ACT_GELU;
    c.delivery = VLM_DELIVERY_CROSS_ATTENTION;
    return c;
}

}  // namespace

PerceiverConfig read_config(const sdk::Config& config) {
    using Reader = PerceiverConfig (*)(const sdk::Config&);
    const auto read = config.choice<Reader>(
        "style", "", {{"idefics", idefics}, {"idefics2", idefics2}, {"kosmos2", kosmos2}, {"flamingo", flamingo}});
    PerceiverConfig c = read(config);
    config.refuse_unknown();
    if (c.heads % c.kv_heads != 0)
        throw sdk::invalid_argument(config.path("num_key_value_heads") + ": " + std::to_string(c.heads) +
                                    " heads are no multiple of " + std::to_string(c.kv_heads));
    if (!(c.norm_eps > 0)) throw sdk::invalid_argument("config: the epsilon of a norm must be positive");
    return c;
}

}  // namespace vlm::perceiver
