/** @file stream_load.cpp
 *  Weights of the single-stream transformer; sums of tables that are always added together are made here once.
 */
#include <string>

#include "stream.hpp"

namespace vlm::single_stream {

using namespace sdk;

namespace {

/** `a[i] += b[i % b.size()]`. */
void add_to(std::vector<float>& a, const std::vector<float>& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i % b.size()];
}

Kept keep_floats(const Weights& weights, std::vector<float> values, const Shape& shape) {
    HostTensor<float> host(std::move(values), shape);
    return weights.keep(host.view());
}

}  // namespace

void Stream::load(const Weights& weights) {
    const StreamConfig& c = config_;
    const int64_t d = c.hidden_size;
    const auto base = weights.under("vilt.");
    const auto embeddings = base.under("embeddings.");
    const auto text = embeddings.under("text_embeddings.");
    const Tensor words = text.at("word_embeddings.weight", {c.vocab_size, d});
    words_ = text.keep(words, words.dtype());
    auto positions = to_floats(text.at("position_embeddings.weight", {c.max_positions, d}));
    auto types = to_floats(text.at("token_type_embeddings.weight", {c.type_vocab_size, d}));
    types.resize(static_cast<size_t>(d));  // a question alone is all type 0
    add_to(positions, types);
    text_positions_ = keep_floats(text, std::move(positions), {c.max_positions, d});
    text_norm_ = text.vector("LayerNorm.weight", d);
    text_norm_bias_ = text.vector("LayerNorm.bias", d);
    types_ = embeddings.keep(embeddings.at("token_type_embeddings.weight", {c.modality_types, d}));

    const int64_t cells = int64_t{c.grid_rows} * c.grid_columns;
    const auto table = to_floats(embeddings.at("position_embeddings", {1, cells + 1, d}));
    auto class_token = to_floats(embeddings.at("cls_token", {1, 1, d}));
    add_to(class_token, {table.begin(), table.begin() + d});
    class_token_ = keep_floats(embeddings, std::move(class_token), {d});
    grid_ = keep_floats(embeddings, {table.begin() + d, table.end()}, {c.grid_rows, c.grid_columns, d});

    const EncoderLayerNames names{
        "layernorm_before",       "attention.attention.query", "attention.attention.key", "attention.attention.value",
        "attention.output.dense", "layernorm_after",           "intermediate.dense",      "output.dense"};
    for (int32_t i = 0; i < c.layers; ++i) {
        const auto w = base.under("encoder.layer." + std::to_string(i) + ".");
        if (w.has(names.q + ".bias") != c.qkv_bias)
            throw invalid_argument("config: qkv_bias: " + std::string(c.qkv_bias ? "true" : "false") +
                                   ", but the checkpoint says otherwise");
        layers_.push_back(EncoderLayer::load(w, names, layer_config()));
    }
    norm_ = base.vector("layernorm.weight", d);
    norm_bias_ = base.vector("layernorm.bias", d);
    pooler_ = base.linear("pooler.dense", d, d);
    if (c.head == Head::rank) {
        head_ = weights.linear("rank_output", 1, d);
        return;
    }
    hidden_head_ = weights.linear("classifier.0");
    if (hidden_head_.in() != c.images * d)
        throw invalid_argument("weight 'classifier.0.weight': takes " + std::to_string(hidden_head_.in()) +
                               " columns, the configuration says " + std::to_string(c.images) + " images of " +
                               std::to_string(d));
    head_norm_ = weights.vector("classifier.1.weight", hidden_head_.out());
    head_norm_bias_ = weights.vector("classifier.1.bias", hidden_head_.out());
    head_ = weights.linear("classifier.3", c.classes, hidden_head_.out());
}

}  // namespace vlm::single_stream
