/** @file config.cpp
 *  See config.hpp.
 */
#include "config.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "vlm/sdk/ops.hpp"

namespace vlm::single_stream {
namespace {

constexpr int64_t kMaxWidth = int64_t{1} << 20;

/** `key` as one number or as [height, width]. */
std::pair<int64_t, int64_t> read_pair(const sdk::Config& config, const char* key, int64_t fallback) {
    const auto sizes = config.list<int64_t>(key, {fallback});
    if (sizes.empty() || sizes.size() > 2 || *std::min_element(sizes.begin(), sizes.end()) < 1 ||
        *std::max_element(sizes.begin(), sizes.end()) > kMaxWidth)
        throw sdk::invalid_argument(config.path(key) + ": expected a size or [height, width]");
    return {sizes.front(), sizes.back()};
}

Head read_head(const sdk::Config& config) {
    std::string fallback = "classifier";
    for (const auto& name : config.list<std::string>("architectures", {})) {
        if (name.ends_with("ForImageAndTextRetrieval")) fallback = "rank";
        if (name.ends_with("ForMaskedLM") || name.ends_with("ForTokenClassification") || name.ends_with("Model"))
            throw sdk::invalid_argument(config.path("architectures") + ": '" + name +
                                        "' has no head that classifies or ranks; use a checkpoint fine-tuned for "
                                        "question answering, retrieval or classification");
    }
    return config.choice<Head>("head", fallback, {{"classifier", Head::classifier}, {"rank", Head::rank}});
}

int64_t count_classes(const sdk::Config& config) {
    const auto* labels = config.find("id2label");
    const int64_t known = labels != nullptr && labels->is_object() && !labels->empty()
                              ? static_cast<int64_t>(labels->size())
                              : config.integer("num_labels", 2, 1, kMaxWidth);
    config.ignore({"num_labels", "label2id"});
    return known;
}

}  // namespace

StreamConfig read_config(const sdk::Config& config) {
    StreamConfig c;
    c.vocab_size = config.integer("vocab_size", c.vocab_size, 1, int64_t{1} << 26);
    c.type_vocab_size = config.integer("type_vocab_size", c.type_vocab_size, 1, kMaxWidth);
    c.modality_types = config.integer("modality_type_vocab_size", c.modality_types, 2, kMaxWidth);
    c.max_positions = config.integer("max_position_embeddings", c.max_positions, 1, kMaxWidth);
    c.hidden_size = config.integer("hidden_size", c.hidden_size, 1, kMaxWidth);
    c.intermediate_size = config.integer("intermediate_size", c.intermediate_size, 1, kMaxWidth);
    c.layers = static_cast<int32_t>(config.integer("num_hidden_layers", c.layers, 1, 4096));
    c.heads = static_cast<int32_t>(config.integer("num_attention_heads", c.heads, 1, 4096));
    if (c.hidden_size % c.heads != 0)
        throw sdk::invalid_argument(config.path("num_attention_heads") + ": " + std::to_string(c.heads) +
                                    " heads do not divide the width " + std::to_string(c.hidden_size));
    c.activation = sdk::activation_of(config.get("hidden_act", "gelu"), config.path("hidden_act"));
    c.norm_eps = config.get("layer_norm_eps", c.norm_eps);
    c.qkv_bias = config.get("qkv_bias", true);
    config.integer("num_channels", 3, 3, 3);
    const auto image = read_pair(config, "image_size", 384);
    const auto patch = read_pair(config, "patch_size", 32);
    c.grid_rows = static_cast<int32_t>(image.first / patch.first);
    c.grid_columns = static_cast<int32_t>(image.second / patch.second);
    if (c.grid_rows < 1 || c.grid_columns < 1)
        throw sdk::invalid_argument(config.path("patch_size") + ": larger than image_size");
    c.max_patches = config.get<int64_t>("max_image_length", -1);
    c.head = read_head(config);
    c.classes = c.head == Head::rank ? 1 : count_classes(config);
    c.images = static_cast<int32_t>(std::max<int64_t>(1, config.integer("num_images", 1, -1, 64)));
    if (c.images >= c.modality_types)
        throw sdk::invalid_argument(config.path("num_images") + ": " + std::to_string(c.images) +
                                    " images need as many modality types behind the text's, found " +
                                    std::to_string(c.modality_types));
    config.expect("is_encoder_decoder", false);
    config.expect("is_decoder", false);
    config.expect("add_cross_attention", false);
    config.ignore({"tie_word_embeddings", "tie_encoder_decoder", "cross_attention_hidden_size", "pruned_heads",
                   "num_labels", "id2label", "label2id"});
    config.refuse_unknown();
    return c;
}

}  // namespace vlm::single_stream
