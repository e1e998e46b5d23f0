/** @file perceiver.cpp
 *  See perceiver.hpp.
 */
#include "perceiver.hpp"

#include <algorithm>

namespace vlm::perceiver {

using namespace sdk;

namespace {

/** Epsilon of torch.nn.functional.normalize. */
constexpr float kLengthEps = 1e-12F;

/** The block of each view, `tokens` being its positions; one of its own when the tower made no grid. Where tokens stand
 * outside of the grids (class tokens), all views must have the same number of positions. */
std::vector<vlm_token_block> views_of(const Layout& layout) {
    std::vector<vlm_token_block> views;
    for (const auto& block : layout.blocks())
        if (block.kind == VLM_BLOCK_GRID) views.push_back(block);
    if (views.empty()) {
        views.push_back(make_struct<vlm_token_block>());
        views.back().flags = VLM_BLOCK_FLAG_GLOBAL;
    }
    int64_t in_grids = 0;
    for (const auto& view : views) in_grids += view.tokens;
    if (in_grids == layout.tokens()) return views;
    const auto count = static_cast<int64_t>(views.size());
    if (layout.tokens() % count != 0)
        throw invalid_argument("features: " + std::to_string(layout.tokens()) + " positions in " +
                               std::to_string(count) + " views, expected views of equal size");
    for (auto& view : views) view.tokens = layout.tokens() / count;
    return views;
}

}  // namespace

void Perceiver::load(const Weights& weights) {
    const PerceiverConfig& c = config_;
    const Names& n = c.names;
    if (!c.resample) return;
    latents_ = weights.keep(weights.at(n.latents, {c.latents, c.hidden}), weights.run().compute()->activation_dtype);
    input_norm_.load(weights, n.input_norm, c.input, c);
    if (!n.dense.empty()) dense_ = weights.linear(n.dense, c.hidden, c.input);
    if (!n.gate.empty()) {
        for (const auto& name : {n.gate, n.up}) weights.at(name + ".weight", {c.projection, c.input});
        gate_up_ = weights.linear({n.gate, n.up});
        down_ = weights.linear(n.down, c.hidden, c.projection);
    }
    blocks_.resize(static_cast<size_t>(c.depth));
    for (size_t i = 0; i < blocks_.size(); ++i)
        blocks_[i].load(weights.under(n.block.empty() ? "" : n.block + std::to_string(i) + "."), c);
    final_norm_.load(weights, n.final_norm, c.hidden, c);
}

void Perceiver::describe(vlm_connector_description& d) const {
    d.input_size = config_.input;
    d.output_size = config_.hidden;
    d.delivery = config_.delivery;
    d.needs_grid = 0;
    d.reads_prompt = 0;
    d.reads_pooled = 0;
}

ConnectorPlan Perceiver::plan(const Layout& layout, int32_t /*width*/, int32_t /*height*/) const {
    const PerceiverConfig& c = config_;
    ConnectorPlan plan;
    if (!c.resample) {
        plan.keep_layout = true;
        plan.layout = layout;
        plan.rows = layout.tokens();
        return plan;
    }
    const auto views = views_of(layout);
    for (const auto& view : views) {
        auto block = make_struct<vlm_token_block>();
        block.kind = VLM_BLOCK_LATENT;
        block.flags = view.flags & VLM_BLOCK_FLAG_GLOBAL;
        block.tokens = c.latents;
        block.rows = 1;
        block.columns = static_cast<int32_t>(c.latents);
        block.tile_row = view.tile_row;
        block.tile_column = view.tile_column;
        plan.layout.append(block);
    }
    plan.rows = plan.layout.tokens();
    int64_t rows = 0;
    for (const auto& view : views) rows = std::max(rows, view.tokens);
    const int64_t q_size = int64_t{c.heads} * c.head_dim;
    const int64_t kv_size = int64_t{c.kv_heads} * c.head_dim;
    const int64_t projecting = rows * (c.input + c.projection + c.hidden);
    const int64_t attending = rows * c.hidden + (rows + c.latents) * (c.hidden + 2 * kv_size) +
                              c.latents * (4 * c.hidden + 2 * q_size + c.mlp);
    plan.workspace_bytes = static_cast<int64_t>(sizeof(float)) * std::max(projecting, attending);
    return plan;
}

Scratch Perceiver::project(const Ops& ops, const Tensor& features) const {
    Scratch x = ops.create(features.shape());
    input_norm_.run(ops, features, x);
    if (config_.l2_normalize) ops.l2_normalize(x, kLengthEps, x);
    if (dense_) return ops.linear(dense_, x);
    if (!gate_up_) return x;
    const Scratch wide = ops.linear(gate_up_, x, {.activation = config_.projection_act, .gated = true});
    return ops.linear(down_, wide);
}

void Perceiver::resample(const Ops& ops, const Tensor& features, Tensor out) const {
    const Scratch context = project(ops, features);
    Scratch latents = ops.copied(latents_);
    for (const Block& block : blocks_) {
        ops.run().poll();
        latents = block.run(ops, config_, latents, context);
    }
    final_norm_.run(ops, latents, out);
}

void Perceiver::connect(const Run& run, std::span<const vlm_connector_input> inputs,
                        std::span<vlm_connector_output> outputs) const {
    const Ops ops(run);
    for (size_t i = 0; i < inputs.size(); ++i) {
        run.poll();
        const Tensor features(inputs[i].features, "features");
        features.expect_shape({-1, config_.input}, "features");
        Tensor tokens(outputs[i].tokens, "tokens");
        if (!config_.resample) {
            tokens = tokens.rows(0, features.size(0));
            ops.copy(features, tokens);
        } else {
            const Layout layout(inputs[i].layout);
            auto blocks = views_of(layout);
            const auto views = static_cast<int64_t>(blocks.size());
            if (views > 1 && features.size(0) != layout.tokens())
                throw invalid_argument("features: " + std::to_string(features.size(0)) + " rows stand for " +
                                       std::to_string(layout.tokens()) + " positions in " + std::to_string(views) +
                                       " views; reduce behind the connector, or do not cut the image");
            if (views == 1) blocks[0].tokens = features.size(0);  // fewer when a reducer stands before
            tokens = tokens.rows(0, views * config_.latents);
            int64_t row = 0;
            for (int64_t view = 0; view < views; ++view) {
                const int64_t rows = blocks[static_cast<size_t>(view)].tokens;
                resample(ops, features.rows(row, rows), tokens.rows(view * config_.latents, config_.latents));
                row += rows;
            }
        }
        run.tap("connector", tokens);
        outputs[i].rows = tokens.size(0);
    }
}

}  // namespace vlm::perceiver
