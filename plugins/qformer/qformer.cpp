/** @file qformer.cpp
 *  See qformer.hpp. Reference: `get_image_features` of modeling_blip_2.py and modeling_instructblip.py.
 */
#include "qformer.hpp"

#include <algorithm>
#include <numeric>

namespace vlm::qformer {

using namespace sdk;

QFormer::QFormer(const ComponentConfig& c) : host_(c.host), config_(read_config(c.config)) {}

void QFormer::load(const Weights& weights) {
    const QFormerConfig& c = config_;
    const Tensor queries = weights.at("query_tokens");
    if (queries.elements() != c.queries * c.hidden || queries.size(-1) != c.hidden)
        throw invalid_argument("weight 'query_tokens': has shape " + to_string(queries.shape()) +
                               ", the configuration says [1, " + std::to_string(c.queries) + ", " +
                               std::to_string(c.hidden) + "]");
    query_tokens_ = weights.keep(queries.reshape({c.queries, c.hidden}), weights.run().compute()->activation_dtype);
    const std::string norm =
        weights.first_of({"embeddings.layernorm.weight", "layernorm.weight", "embeddings.LayerNorm.weight"});
    const std::string stem = norm.substr(0, norm.rfind('.'));
    norm_ = {weights.vector(norm, c.hidden), weights.vector(stem + ".bias", c.hidden)};
    if (c.reads_prompt) {
        const Tensor words = weights.at("embeddings.word_embeddings.weight", {c.vocab, c.hidden});
        words_ = weights.keep(words, words.dtype());
        const Tensor positions = weights.at("embeddings.position_embeddings.weight", {c.max_positions, c.hidden});
        positions_ = weights.keep(positions, weights.run().compute()->activation_dtype);
        text_ = host_.text();
        check_host(text_->open(weights.host(), c.tokenizer_folder.c_str(), &tokenizer_),
                   "opening the tokenizer of the Q-Former");
    }
    layers_.resize(static_cast<size_t>(c.layers));
    for (int32_t i = 0; i < c.layers; ++i) layers_[static_cast<size_t>(i)].load(weights, c, i);
    projection_ = weights.linear("language_projection", c.output, c.hidden);
}

void QFormer::describe(vlm_connector_description& d) const {
    d.input_size = config_.encoder_hidden;
    d.output_size = config_.output;
    d.delivery = VLM_DELIVERY_INLINE;
    d.needs_grid = 0;
    d.reads_prompt = config_.reads_prompt ? 1 : 0;
    d.reads_pooled = 0;
}

ConnectorPlan QFormer::plan(const Layout& layout, int32_t /*width*/, int32_t /*height*/) const {
    const QFormerConfig& c = config_;
    ConnectorPlan plan;
    plan.layout.latent(static_cast<int32_t>(c.queries));
    plan.rows = c.queries;
    const int64_t rows = c.queries + (c.reads_prompt ? c.max_positions : 0);
    // Alive at once at most: the rows before, between and behind, q with k and v, or the wide rows, and the image's.
    plan.workspace_bytes =
        static_cast<int64_t>(sizeof(float)) *
        (rows * (4 * c.hidden + std::max(4 * c.hidden, c.intermediate)) + 2 * layout.tokens() * c.hidden);
    return plan;
}

std::vector<int32_t> QFormer::encode(std::string_view prompt) const {
    uint64_t count = 0;
    // First the number of ids, then the ids.
    const vlm_status asked = text_->encode(tokenizer_, prompt.data(), prompt.size(), 1, nullptr, 0, &count);
    if (asked != VLM_STATUS_RESOURCE_EXHAUSTED) check_host(asked, "tokenizing the prompt for the Q-Former");
    if (count > static_cast<uint64_t>(config_.max_positions))
        throw invalid_argument("prompt: has " + std::to_string(count) +
                               " tokens for the Q-Former, which reads at most " +
                               std::to_string(config_.max_positions) + "; shorten it");
    std::vector<int32_t> ids(count);
    check_host(text_->encode(tokenizer_, prompt.data(), prompt.size(), 1, ids.data(), count, &count),
               "tokenizing the prompt for the Q-Former");
    for (const int32_t id : ids)
        if (id < 0 || id >= config_.vocab)
            throw invalid_argument("tokenizer '" + config_.tokenizer_folder + "': gives id " + std::to_string(id) +
                                   ", the Q-Former has " + std::to_string(config_.vocab) + " words");
    return ids;
}

Scratch QFormer::embed(const Ops& ops, const std::vector<int32_t>& ids) const {
    const QFormerConfig& c = config_;
    const auto count = static_cast<int64_t>(ids.size());
    Scratch x = ops.create({c.queries + count, c.hidden});
    ops.copy(query_tokens_, x.rows(0, c.queries));
    if (count > 0) {
        HostTensor<int32_t> index(ids, {count});
        const Tensor text = x.rows(c.queries, count);
        ops.gather(words_, ops.copied(index.view(), VLM_DTYPE_I32), text);
        ops.add(text, positions_.rows(0, count), text);
    }
    ops.layer_norm(x, norm_.weight, norm_.bias, c.norm_eps, x);
    return x;
}

void QFormer::connect(const Run& run, std::span<const vlm_connector_input> inputs,
                      std::span<vlm_connector_output> outputs) const {
    const Ops ops(run);
    for (size_t i = 0; i < inputs.size(); ++i) {
        const Tensor features(inputs[i].features, "features");
        features.expect_shape({-1, config_.encoder_hidden}, "features");
        std::vector<int32_t> ids;
        if (config_.reads_prompt) ids = encode(text_of(inputs[i].prompt));
        Scratch x = embed(ops, ids);
        for (const Layer& layer : layers_) {
            run.poll();
            x = layer.run(ops, config_, x, features);
        }
        run.tap("qformer", x);
        Tensor tokens(outputs[i].tokens, "tokens");
        const Tensor target = tokens.rows(0, config_.queries);
        ops.linear(projection_, x.rows(0, config_.queries), {}, target);
        run.tap("connector", target);
        outputs[i].rows = config_.queries;
    }
}

}  // namespace vlm::qformer
