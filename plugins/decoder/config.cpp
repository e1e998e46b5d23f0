/** @file config.cpp
 *  From config.json to DecoderConfig, in the order: class defaults, the section's keys, options of the recipe, checks.
 */
#include "config.hpp"

#include <cmath>
#include <limits>
#include <vlm/sdk/config.hpp>
#include <vlm/sdk/ops.hpp>

#include "ignored_keys.hpp"
#include "presets.hpp"
#include "rope.hpp"

namespace vlm::decoder {
namespace {

/** A section that tells null ("none") from absent ("the class default"). */
class Section : public sdk::Config {
  public:
    explicit Section(const sdk::Config& config) : sdk::Config(config) {}
    bool is_null(const std::string& key) const {
        auto it = json().find(key);
        return it != json().end() && it->is_null();
    }
};

[[noreturn]] void fail(const sdk::Config& s, const std::string& key, const std::string& expected) {
    const nlohmann::json* found = s.find(key);
    throw sdk::invalid_argument(s.path(key) + ": expected " + expected + ", found " +
                                (found == nullptr ? "nothing" : found->dump().substr(0, 80)) + ".");
}

constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxVocab = int64_t{1} << 26;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxPositions = std::numeric_limits<int32_t>::max();

bool is_gemma(const DecoderConfig& c) {
    return c.model_type == "gemma" || c.model_type == "gemma2";
}
bool is_qwen_vl(const DecoderConfig& c) {
    return !preset(c.model_type).rope.mrope_section.empty();
}

uint32_t read_activation(const Section& s, const std::string& key, uint32_t fallback) {
    return s.has(key) ? sdk::activation_of(s.require<std::string>(key), s.path(key)) : fallback;
}

std::vector<double> read_factors(const sdk::Config& s, const std::string& key) {
    std::vector<double> numbers = s.list<double>(key, {});
    for (double number : numbers) {
        if (!(number > 0.0)) fail(s, key, "a list of positive numbers");
    }
    return numbers;
}

/** One object of rotary settings: `rope_scaling` of 4.x files or `rope_parameters` of 5.x files. */
void read_rope_object(const sdk::Config& outer, const std::string& key, DecoderConfig& c) {
    if (!outer.has(key)) return;
    sdk::Config s = outer.section(key);
    RopeConfig& rope = c.rope;
    std::string kind = s.get<std::string>("rope_type", s.get<std::string>("type", "default"));
    s.ignore({"type"});
    using Kind = RopeConfig::Kind;
    if (kind == "default" || kind == "mrope") {
        rope.kind = Kind::standard;
    } else if (kind == "linear") {
        rope.kind = Kind::linear;
    } else if (kind == "dynamic") {
        rope.kind = Kind::dynamic;
    } else if (kind == "llama3") {
        rope.kind = Kind::llama3;
    } else if (kind == "yarn") {
        rope.kind = Kind::yarn;
    } else if (kind == "longrope" || kind == "su") {
        rope.kind = Kind::longrope;
    } else {
        fail(s, s.has("rope_type") ? "rope_type" : "type", "default, linear, dynamic, llama3, yarn, longrope or mrope");
    }
    rope.theta = s.get<double>("rope_theta", rope.theta);
    rope.partial = s.get<double>("partial_rotary_factor", rope.partial);
    rope.original_max_positions =
        s.integer("original_max_position_embeddings", rope.original_max_positions, 1, kMaxPositions);
    bool by_ratio = rope.kind == Kind::yarn || rope.kind == Kind::longrope;
    double ratio = static_cast<double>(rope.max_positions) / static_cast<double>(rope.original_max_positions);
    bool scaled = rope.kind != Kind::standard;
    if (scaled && !by_ratio && !s.has("factor")) fail(s, "factor", "a number, as \"" + kind + "\" needs one");
    rope.factor = s.get<double>("factor", scaled && by_ratio ? ratio : 1.0);
    if (!(rope.factor > 0.0)) fail(s, "factor", "a positive number");
    if (s.has("attention_factor")) rope.attention_factor = s.get<double>("attention_factor", 1.0);
    rope.low_frequency_factor = s.get<double>("low_freq_factor", rope.low_frequency_factor);
    rope.high_frequency_factor = s.get<double>("high_freq_factor", rope.high_frequency_factor);
    rope.beta_fast = s.get<double>("beta_fast", rope.beta_fast);
    rope.beta_slow = s.get<double>("beta_slow", rope.beta_slow);
    rope.mscale = s.get<double>("mscale", 0.0);
    rope.mscale_all_dim = s.get<double>("mscale_all_dim", 0.0);
    rope.truncate = s.get<bool>("truncate", true);
    rope.short_factor = read_factors(s, "short_factor");
    rope.long_factor = read_factors(s, "long_factor");
    if (s.has("mrope_section")) {
        if (!is_qwen_vl(c)) fail(s, "mrope_section", "no such key in a model of type \"" + c.model_type + "\"");
        rope.mrope_section = s.list<int32_t>("mrope_section", {});
        for (int32_t size : rope.mrope_section) {
            if (size < 0 || size > kMaxWidth) fail(s, "mrope_section", "a list of sizes");
        }
    }
}

void read_rope(const Section& s, DecoderConfig& c) {
    RopeConfig& rope = c.rope;
    rope.max_positions = c.max_positions;
    rope.original_max_positions = s.integer("original_max_position_embeddings", c.max_positions, 1, kMaxPositions);
    rope.theta = s.get<double>("rope_theta", rope.theta);
    rope.partial = s.get<double>("partial_rotary_factor", rope.partial);
    read_rope_object(s, "rope_scaling", c);
    read_rope_object(s, "rope_parameters", c);
    if (!(rope.theta > 1.0)) fail(s, "rope_theta", "a number above 1");
    if (!(rope.partial > 0.0 && rope.partial <= 1.0)) fail(s, "partial_rotary_factor", "a number above 0, at most 1");
    const bool partial = c.naming == Naming::persimmon || c.naming == Naming::phi3;
    if (!partial && rope.partial != 1.0)
        throw sdk::invalid_argument("config: partial_rotary_factor: models of type \"" + c.model_type +
                                    "\" rotate all of a head, found " + std::to_string(rope.partial));
}

/** Which layers have a sliding window, and how wide it is. */
void read_windows(const Section& s, DecoderConfig& c) {
    int64_t fallback = c.model_type == "mistral" || is_gemma(c) ? 4096 : 0;
    int64_t window = s.is_null("sliding_window") ? 0 : s.integer("sliding_window", fallback, 0, kMaxPositions);
    bool qwen = c.model_type.starts_with("qwen");
    if (qwen && !s.get<bool>("use_sliding_window", false)) window = 0;
    int64_t first =
        qwen ? s.integer("max_window_layers", preset(c.model_type).layers == 80 ? 80 : 28, 0, kMaxLayers) : 0;
    c.windows.assign(static_cast<size_t>(c.layers), 0);
    const nlohmann::json* types = s.find("layer_types");
    if (types != nullptr && (!types->is_array() || types->size() != c.windows.size())) {
        fail(s, "layer_types", "a list of " + std::to_string(c.layers) + " layer types");
    }
    bool everywhere = c.model_type == "mistral" || c.model_type == "phi3";
    for (size_t i = 0; i < c.windows.size(); ++i) {
        bool sliding =
            everywhere || (qwen && static_cast<int64_t>(i) >= first) || (c.model_type == "gemma2" && i % 2 == 0);
        if (types != nullptr) {
            if ((*types)[i] != "sliding_attention" && (*types)[i] != "full_attention") {
                fail(s, "layer_types", "full_attention or sliding_attention in every place");
            }
            sliding = (*types)[i] == "sliding_attention";
        }
        c.windows[i] = sliding ? window : 0;
    }
}

void read_sizes(const Section& s, DecoderConfig& c) {
    c.vocab_size = s.integer("vocab_size", c.vocab_size, 1, kMaxVocab);
    bool kosmos = c.naming == Naming::kosmos2;
    c.hidden_size = s.integer(kosmos ? "embed_dim" : "hidden_size", c.hidden_size, 1, kMaxWidth);
    bool ffn = kosmos || c.naming == Naming::opt;
    c.intermediate = s.integer(ffn ? "ffn_dim" : "intermediate_size", c.intermediate, 1, kMaxWidth);
    c.layers = static_cast<int32_t>(s.integer(kosmos ? "layers" : "num_hidden_layers", c.layers, 1, kMaxLayers));
    const char* heads = kosmos ? "attention_heads" : "num_attention_heads";
    c.heads = static_cast<int32_t>(s.integer(heads, c.heads, 1, kMaxWidth));
    bool grouped = c.naming == Naming::llama || c.naming == Naming::phi3;
    if (grouped && c.cross_interval == 0) {
        int64_t kv = s.is_null("num_key_value_heads") || c.kv_heads == 0 ? c.heads : c.kv_heads;
        c.kv_heads = static_cast<int32_t>(s.integer("num_key_value_heads", kv, 1, kMaxWidth));
        int64_t dim = c.head_dim == 0 ? c.hidden_size / c.heads : c.head_dim;
        c.head_dim = static_cast<int32_t>(s.integer("head_dim", dim, 1, kMaxWidth));
    } else {
        c.kv_heads = c.heads;
        if (c.hidden_size % c.heads != 0) fail(s, heads, "a divisor of the width " + std::to_string(c.hidden_size));
        c.head_dim = static_cast<int32_t>(c.hidden_size / c.heads);
    }
    if (c.heads % c.kv_heads != 0) fail(s, "num_key_value_heads", "a divisor of " + std::to_string(c.heads) + " heads");
    c.max_positions = s.integer("max_position_embeddings", c.max_positions, 1, kMaxPositions);
    c.embed_size = c.hidden_size;
    if (c.visual_size == 0) c.visual_size = c.hidden_size;
    c.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
}

void read_llama(const Section& s, DecoderConfig& c) {
    c.norm_eps = static_cast<float>(s.get<double>("rms_norm_eps", c.norm_eps));
    // Gemma's files may have both keys: its second class reads `hidden_activation` and all others `hidden_act`.
    const bool second = c.model_type == "gemma2";
    c.activation = read_activation(s, second ? "hidden_act" : "hidden_activation", c.activation);
    c.activation = read_activation(s, second ? "hidden_activation" : "hidden_act", c.activation);
    if (is_gemma(c)) {
        // A slip in the first files, never meant.
        if (c.activation == VLM_ACT_GELU && !second) c.activation = VLM_ACT_GELU_TANH;
        c.embed_scale = std::sqrt(static_cast<float>(c.hidden_size));
    }
    bool bias = s.get<bool>("attention_bias", false);
    c.qkv_bias = c.qkv_bias || bias;
    c.attention_out_bias = bias;
    c.mlp_bias = s.get<bool>("mlp_bias", false);
    if (c.model_type == "gemma2") {
        double scalar = s.get<double>("query_pre_attn_scalar", 256.0);
        if (!(scalar > 0.0)) fail(s, "query_pre_attn_scalar", "a positive number");
        c.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
        c.attention_softcap = s.is_null("attn_logit_softcapping")
                                  ? 0.0f
                                  : static_cast<float>(s.get<double>("attn_logit_softcapping", c.attention_softcap));
        c.final_softcap = s.is_null("final_logit_softcapping")
                              ? 0.0f
                              : static_cast<float>(s.get<double>("final_logit_softcapping", c.final_softcap));
    }
    if (is_gemma(c) && s.get<bool>("use_bidirectional_attention", false)) c.mask = MaskKind::full;
    read_rope(s, c);
}

void read_idefics(const Section& s, DecoderConfig& c) {
    c.extra_vocab = s.integer("additional_vocab_size", 0, 0, kMaxVocab);
    c.cross_interval = static_cast<int32_t>(s.integer("cross_layer_interval", 1, 1, kMaxLayers));
    // The reference makes layers / interval blocks and would need one more here.
    if (c.layers % c.cross_interval != 0) {
        fail(s, "cross_layer_interval", "a divisor of " + std::to_string(c.layers) + " layers");
    }
    c.cross_qk_norm = s.get<bool>("qk_layer_norms", false);
    // Written by the first release of the family; its blocks have a gated MLP with `hidden_act` whatever stands here.
    s.expect<std::string>("cross_layer_activation_function", "swiglu");
    s.expect("word_embed_proj_dim", c.hidden_size);
    s.ignore({"ffn_dim"});  // The width of the MLP is `intermediate_size`.
    // Not as a section: its other keys are the vision encoder's.
    const nlohmann::json* vision = s.find("vision_config");
    if (vision != nullptr && vision->is_object() && vision->contains("embed_dim")) {
        sdk::Config own = sdk::Config::parse(vision->dump(), s.path("vision_config"));
        c.visual_size = own.integer("embed_dim", c.visual_size, 1, kMaxWidth);
    }
    if (c.extra_vocab >= 2) c.image_token = static_cast<int32_t>(c.vocab_size + 1);
    c.end_token = static_cast<int32_t>(s.integer("eos_token_id", 2, -1, kMaxPositions));
}

void read_opt(const Section& s, DecoderConfig& c) {
    c.embed_size = s.integer("word_embed_proj_dim", c.hidden_size, 1, kMaxWidth);
    c.activation = read_activation(s, "activation_function", c.activation);
    c.placement = s.get<bool>("do_layer_norm_before", true) ? NormPlacement::before : NormPlacement::after;
    c.final_norm = c.placement == NormPlacement::before && !s.get<bool>("_remove_final_layer_norm", false);
    s.ignore({"_remove_final_layer_norm"});
    c.qkv_bias = c.attention_out_bias = c.mlp_bias = s.get<bool>("enable_bias", true);
    c.norm_affine = s.get<bool>("layer_norm_elementwise_affine", true);
}

void read_kosmos2(const Section& s, DecoderConfig& c) {
    c.norm_eps = static_cast<float>(s.get<double>("layer_norm_eps", c.norm_eps));
    c.activation = read_activation(s, "activation_function", c.activation);
    if (s.get<bool>("scale_embedding", true)) c.embed_scale = std::sqrt(static_cast<float>(c.hidden_size));
    c.position_offset = static_cast<int32_t>(s.integer("pad_token_id", 1, 0, kMaxWidth)) + 1;
}

void read_persimmon(const Section& s, DecoderConfig& c) {
    c.norm_eps = static_cast<float>(s.get<double>("layer_norm_eps", c.norm_eps));
    c.activation = read_activation(s, "hidden_act", c.activation);
    c.qk_norm = s.get<bool>("qk_layernorm", true);
    read_rope(s, c);
}

MaskKind read_mask(const Section& s, const std::string& key, MaskKind fallback) {
    if (!s.has(key)) return fallback;
    return s.choice<MaskKind>(key, "",
                              {{"causal", MaskKind::causal},
                               {"prefix", MaskKind::prefix},
                               {"prefix_lm", MaskKind::prefix_lm},
                               {"block_causal", MaskKind::block_causal},
                               {"full", MaskKind::full}});
}

void read_early_fusion(const Section& s, DecoderConfig& c) {
    c.norm_eps = static_cast<float>(s.get<double>("layer_norm_eps", c.norm_eps));
    c.activation = read_activation(s, "hidden_act", c.activation);
    c.qkv_bias = c.attention_out_bias = s.get<bool>("attention_bias", true);
    c.mask = read_mask(s, "attention_mask", c.mask);
    c.positions = s.choice<PositionKind>("position_embedding", "learned",
                                         {{"learned", PositionKind::learned}, {"none", PositionKind::none}});
    s.expect("modality_ids", nlohmann::json{{"visual", 0}, {"text", 1}});
}

/** Options that a recipe or manifest adds to the section. */
void read_options(const Section& s, DecoderConfig& c) {
    c.mask = read_mask(s, "mask", c.mask);
    c.unmerge = s.choice<Unmerge>(
        "unmerge", "auto", {{"auto", Unmerge::automatic}, {"expand", Unmerge::expand}, {"compact", Unmerge::compact}});
    c.tap_attention = s.get<bool>("tap_attention", false);
    c.position_offset = static_cast<int32_t>(s.integer("position_offset", c.position_offset, 0, kMaxWidth));
    if (c.cross_interval > 0) {
        c.image_token = static_cast<int32_t>(s.integer("image_token_id", c.image_token, -1, kMaxVocab));
    }
}

void check(const Section& s, const DecoderConfig& c) {
    if (c.positions == PositionKind::rotary) {
        int32_t dim = rotary_dim(c.rope, c.head_dim);
        if (dim < 2 || (c.head_dim % 2 != 0 && c.rope.partial == 1.0))
            fail(s, "head_dim", "an even size for rotary positions");
        size_t frequencies = static_cast<size_t>(dim / 2);
        if (!c.rope.mrope_section.empty() && mrope_axes(c.rope).size() != frequencies) {
            fail(s, "rope_scaling", "an mrope_section that adds up to " + std::to_string(frequencies));
        }
        if (c.rope.kind == RopeConfig::Kind::longrope &&
            (c.rope.short_factor.size() != frequencies || c.rope.long_factor.size() != frequencies)) {
            fail(s, "rope_scaling",
                 "short_factor and long_factor with " + std::to_string(frequencies) + " numbers each");
        }
        if (c.rope.kind == RopeConfig::Kind::dynamic && dim <= 2) fail(s, "head_dim", "more than two rotated elements");
    }
    if (!(c.norm_eps > 0.0f)) fail(s, "rms_norm_eps", "a positive number");
}

/** Where the language model's keys are: a whole config.json keeps them in `text_config`. Options at the top stay valid.
 */
nlohmann::json text_section(const nlohmann::json& section) {
    auto text = section.find("text_config");
    if (text == section.end() || !text->is_object() || section.contains("hidden_size")) return section;
    nlohmann::json merged = *text;
    for (const char* option : {"mask", "unmerge", "tap_attention", "position_offset", "tie_word_embeddings"}) {
        if (section.contains(option)) merged[option] = section[option];
    }
    return merged;
}

std::string text_or_empty(const nlohmann::json& object, const char* key) {
    auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace

DecoderConfig read_config(const sdk::Config& section, const sdk::Config& model) {
    const nlohmann::json& whole = model.json();
    const nlohmann::json& own = section.json();
    nlohmann::json text = text_section(own);
    Section s(sdk::Config::parse(text.dump(), "config"));
    std::string outer = text_or_empty(own.contains("text_config") ? own : whole, "model_type");
    std::string type = s.get("model_type", "");
    if (type.empty()) type = default_text_type(outer);

    DecoderConfig c = preset(type);
    read_sizes(s, c);
    switch (c.naming) {
        case Naming::llama:
        case Naming::phi3:
            read_llama(s, c);
            break;
        case Naming::opt:
            read_opt(s, c);
            break;
        case Naming::kosmos2:
            read_kosmos2(s, c);
            break;
        case Naming::persimmon:
            read_persimmon(s, c);
            break;
        case Naming::early_fusion:
            read_early_fusion(s, c);
            break;
    }
    if (c.cross_interval > 0) read_idefics(s, c);
    if (outer == "paligemma") {
        c.mask = MaskKind::prefix_lm;
        c.position_offset = 1;
    }
    read_windows(s, c);

    // A composite model's own key wins in its file; a section that has one is more specific.
    auto outer_tie = whole.find("tie_word_embeddings");
    bool tie = outer_tie != whole.end() && outer_tie->is_boolean() ? outer_tie->get<bool>() : c.tie_embeddings;
    c.tie_explicit = s.has("tie_word_embeddings") || (outer_tie != whole.end() && outer_tie->is_boolean());
    c.tie_embeddings = s.get<bool>("tie_word_embeddings", tie);

    read_options(s, c);
    check(s, c);
    ignore_harmless(s);
    s.refuse_unknown();
    return c;
}

}  // namespace vlm::decoder
