/** @file config.cpp
 *  See config.hpp.
 */
#include "config.hpp"

#include <algorithm>

#include "vlm/sdk/ops.hpp"

namespace vlm::dual_encoder {

TextConfig read_config(const sdk::Config& config) {
    constexpr int64_t kMaxWidth = int64_t{1} << 20;
    TextConfig c;
    c.bidirectional =
        config.choice<bool>("model_type", "clip_text_model", {{"clip_text_model", false}, {"siglip_text_model", true}});
    if (c.bidirectional) {
        c.vocab_size = 32000;
        c.hidden_size = 768;
        c.intermediate_size = 3072;
        c.max_positions = 64;
        c.heads = 12;
        c.norm_eps = 1e-6F;
    }
    c.vocab_size = config.integer("vocab_size", c.vocab_size, 1, int64_t{1} << 26);
    c.hidden_size = config.integer("hidden_size", c.hidden_size, 1, kMaxWidth);
    c.intermediate_size = config.integer("intermediate_size", c.intermediate_size, 1, kMaxWidth);
    if (c.bidirectional)
        c.projection_size = config.integer("projection_size", c.hidden_size, 1, kMaxWidth);
    else
        c.projection_size = config.integer("projection_dim", c.projection_size, 1, kMaxWidth);
    c.max_positions = config.integer("max_position_embeddings", c.max_positions, 1, kMaxWidth);
    c.layers = static_cast<int32_t>(config.integer("num_hidden_layers", c.layers, 1, 4096));
    c.heads = static_cast<int32_t>(config.integer("num_attention_heads", c.heads, 1, 4096));
    c.activation = sdk::activation_of(config.get("hidden_act", c.bidirectional ? "gelu_pytorch_tanh" : "quick_gelu"),
                                      config.path("hidden_act"));
    c.norm_eps = config.get("layer_norm_eps", c.norm_eps);
    c.end_token = static_cast<int32_t>(config.integer("eos_token_id", c.end_token, 0, (int64_t{1} << 31) - 1));
    if (c.hidden_size % c.heads != 0)
        throw sdk::invalid_argument(config.path("num_attention_heads") + ": " + std::to_string(c.heads) +
                                    " heads do not divide the width " + std::to_string(c.hidden_size));
    config.expect("is_encoder_decoder", false);
    config.expect("add_cross_attention", false);
    config.expect("is_decoder", false);
    config.ignore({"pruned_heads", "tie_encoder_decoder", "tie_word_embeddings", "cross_attention_hidden_size"});
    config.refuse_unknown();
    return c;
}

int32_t pooled_row(const TextConfig& config, const int32_t* ids, int64_t count) {
    constexpr int32_t kLegacyEndToken = 2;
    if (config.bidirectional) return static_cast<int32_t>(count - 1);
    if (config.end_token == kLegacyEndToken) return static_cast<int32_t>(std::max_element(ids, ids + count) - ids);
    const int32_t* found = std::find(ids, ids + count, config.end_token);
    return found == ids + count ? 0 : static_cast<int32_t>(found - ids);
}

}  // namespace vlm::dual_encoder
