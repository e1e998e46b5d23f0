/** @file projector.cpp
 *  See projector.hpp.
 */
#include "projector.hpp"

#include <algorithm>

namespace vlm::projector {

using namespace sdk;

Projector::Projector(const ComponentConfig& c)
    : layer_names_(c.config.list<std::string>("layers", {"linear_1", "linear_2"})),
      activation_(activation_of(c.config.get("act", "gelu"), c.config.path("act"))),
      merge_(c.config.get<int32_t>("merge", 1)),
      merge_order_(c.config.choice<MergeOrder>(
          "merge_order", "raster", {{"raster", MergeOrder::raster}, {"consecutive", MergeOrder::consecutive}})),
      norm_name_(c.config.get("norm", "")),
      norm_rms_(c.config.choice<bool>("norm_kind", "layer", {{"layer", false}, {"rms", true}})),
      norm_before_merge_(
          c.config.choice<bool>("norm_place", "after_merge", {{"before_merge", true}, {"after_merge", false}})),
      norm_eps_(c.config.get<float>("norm_eps", 1e-5F)),
      anyres_(c.config.get("anyres", false)),
      pooled_(c.config.get("pooled", false)),
      row_end_name_(c.config.get("row_end", "")),
      image_end_name_(c.config.get("image_end", "")),
      input_size_(c.config.get<int64_t>("input_size", 0)),
      output_size_(c.config.require<int64_t>("output_size")) {
    // Idefics3 and InternVL give the factor of the shuffle as a scale of 2 or a ratio of 0.5.
    if (c.config.has("downsample_ratio"))
        merge_ = static_cast<int32_t>(1.0 / c.config.get<double>("downsample_ratio", 1.0) + 0.5);
    // InternVL's first shuffle gave the tokens of a view column by column.
    c.config.expect<std::string>("ps_version", "v2");
    c.config.refuse_unknown();
    if (layer_names_.empty() && !(pooled_ && input_size_ == output_size_))
        throw invalid_argument(
            "config: layers: at least one linear layer is needed, except for pooled features that go on as they are");
    if (merge_ < 1 || merge_ > 64)
        throw invalid_argument("config: merge: expected a factor of 1 to 64, found " + std::to_string(merge_));
    if (output_size_ < 1 || input_size_ < 0)
        throw invalid_argument("config: input_size and output_size must be positive");
    if (pooled_ && (merge_ != 1 || packs()))
        throw invalid_argument("config: pooled features have no grid to merge or join");
}

void Projector::load(const Weights& weights) {
    for (const auto& name : layer_names_) layers_.push_back(weights.linear(name));
    if (!layers_.empty() && layers_.back().out() != output_size_)
        throw invalid_argument("weight '" + layer_names_.back() + "': makes rows of " +
                               std::to_string(layers_.back().out()) + ", but the language model takes " +
                               std::to_string(output_size_));
    if (!norm_name_.empty()) {
        norm_weight_ = weights.keep(norm_name_ + ".weight");
        if (weights.has(norm_name_ + ".bias")) norm_bias_ = weights.keep(norm_name_ + ".bias");
    }
    if (row_end_name_.empty() && image_end_name_.empty()) return;
    HostTensor<float> specials({2, output_size_});
    const auto read = [&](const std::string& name, int64_t row) {
        if (name.empty()) return;
        const auto values = to_floats(weights.at(name));
        if (static_cast<int64_t>(values.size()) != output_size_)
            throw invalid_argument("weight '" + name + "': has " + std::to_string(values.size()) +
                                   " elements, expected " + std::to_string(output_size_));
        std::copy(values.begin(), values.end(), specials.data().begin() + row * output_size_);
    };
    read(row_end_name_, 0);
    read(image_end_name_, 1);
    specials_ = weights.keep(specials.view());
}

void Projector::describe(vlm_connector_description& d) const {
    d.input_size = input_size_;
    d.output_size = output_size_;
    d.delivery = VLM_DELIVERY_INLINE;
    d.needs_grid = merge_ > 1 || packs() ? 1 : 0;
    d.reads_prompt = 0;
    d.reads_pooled = pooled_ ? 1 : 0;
}

Projector::Packing Projector::packing(const Layout& layout, int32_t width, int32_t height) const {
    Packing p;
    const auto add_grid = [&](int32_t rows, int32_t columns, const auto& source, uint32_t flags, const Region& region,
                              int32_t tile_row, int32_t tile_column) {
        const bool ends = !row_end_name_.empty() && ((flags & VLM_BLOCK_FLAG_GLOBAL) == 0 || !anyres_);
        for (int32_t r = 0; r < rows; ++r) {
            for (int32_t column = 0; column < columns; ++column) p.source.push_back(source(r * columns + column));
            if (ends) p.source.push_back(Packing::kRowEnd);
        }
        p.layout.grid(rows, columns, flags | (ends ? VLM_BLOCK_FLAG_ROW_END : 0u), region, tile_row, tile_column);
    };
    const auto add_block = [&](const vlm_token_block& b) {
        add_grid(
            b.rows, b.columns, [&](int32_t i) { return static_cast<int32_t>(b.first) + i; }, b.flags,
            {b.region[0], b.region[1], b.region[2], b.region[3]}, b.tile_row, b.tile_column);
    };
    for (const auto& block : layout.blocks())
        if (!anyres_ || (block.flags & VLM_BLOCK_FLAG_GLOBAL) != 0) add_block(block);
    if (anyres_) {
        const JoinedGrid joined = join_tiles(layout, width, height);
        if (!joined.source.empty())
            add_grid(
                joined.rows, joined.columns, [&](int32_t i) { return joined.source[static_cast<size_t>(i)]; }, 0,
                kWholeImage, 0, 0);
        // A base view alone is closed by one newline. Of a picture so narrow that less than a patch of the tiles is
        // left, the reference keeps the ends of their rows, of one so low nothing.
        const int32_t ends = !joined.source.empty() ? 0 : joined.tiles ? joined.rows : 1;
        for (int32_t i = 0; i < ends && !row_end_name_.empty(); ++i) {
            p.source.push_back(Packing::kRowEnd);
            p.layout.special();
        }
    }
    if (!image_end_name_.empty()) {
        p.source.push_back(Packing::kImageEnd);
        p.layout.special();
    }
    return p;
}

ConnectorPlan Projector::plan(const Layout& layout, int32_t width, int32_t height) const {
    ConnectorPlan plan;
    if (pooled_) {
        plan.layout.special();
        plan.rows = 1;
        return plan;
    }
    const Layout merged = merge_ > 1 ? merged_layout(layout, merge_) : layout;
    plan.layout = packs() ? packing(merged, width, height).layout : merged;
    plan.keep_layout = merge_ == 1 && !packs();
    plan.rows = plan.layout.tokens();
    // Two buffers of the widest layer are alive at once.
    int64_t widest = output_size_;
    for (const auto& layer : layers_) widest = std::max({widest, layer.in(), layer.out()});
    plan.workspace_bytes = 2 * merged.tokens() * widest * static_cast<int64_t>(sizeof(float));
    return plan;
}

void Projector::norm(const Ops& ops, const Tensor& x, Tensor y) const {
    if (norm_rms_)
        ops.rms_norm(x, norm_weight_, norm_eps_, y);
    else
        ops.layer_norm(x, norm_weight_, norm_bias_, norm_eps_, y);
}

Scratch Projector::project(const Ops& ops, const Tensor& input, const Layout& layout) const {
    Scratch x = ops.copied(input);
    if (norm_weight_ && norm_before_merge_) norm(ops, x, x);
    if (merge_ > 1) {
        const auto rows = merge_rows(layout, merge_, merge_order_);
        const auto count = static_cast<int64_t>(rows.size());
        HostTensor<int32_t> index(rows, {count});
        const Scratch merged = ops.gather(x, ops.copied(index.view(), VLM_DTYPE_I32));
        x = ops.copied(merged.reshape({count / (merge_ * merge_), merge_ * merge_ * x.size(1)}));
    }
    if (norm_weight_ && !norm_before_merge_) norm(ops, x, x);
    for (size_t i = 0; i < layers_.size(); ++i) {
        const bool last = i + 1 == layers_.size();
        x = ops.linear(layers_[i], x, {.activation = last ? static_cast<uint32_t>(VLM_ACT_NONE) : activation_});
    }
    return x;
}

void Projector::connect(const Run& run, std::span<const vlm_connector_input> inputs,
                        std::span<vlm_connector_output> outputs) const {
    const Ops ops(run);
    for (size_t i = 0; i < inputs.size(); ++i) {
        run.poll();
        const auto& in = inputs[i];
        const Tensor features =
            pooled_ ? Tensor(in.pooled, "pooled features").rows(0, 1) : Tensor(in.features, "features");
        const Layout layout(in.layout);
        const Scratch projected = project(ops, features, layout);
        Tensor tokens(outputs[i].tokens, "tokens");
        if (!packs()) {
            run.tap("connector", projected);
            ops.copy(projected, tokens.rows(0, projected.size(0)));
            outputs[i].rows = projected.size(0);
            continue;
        }
        if (anyres_) run.tap("connector", projected);
        const Layout merged = merge_ > 1 ? merged_layout(layout, merge_) : layout;
        Packing p = packing(merged, in.width, in.height);
        // Projected rows and the two special embeddings become one table, from which the sequence is gathered.
        const int64_t rows = projected.size(0);
        Scratch table = ops.create({rows + 2, output_size_});
        ops.copy(projected, table.rows(0, rows));
        if (specials_) ops.copy(specials_, table.rows(rows, 2));
        for (auto& source : p.source)
            if (source < 0) source = static_cast<int32_t>(rows) + (source == Packing::kRowEnd ? 0 : 1);
        const auto count = static_cast<int64_t>(p.source.size());
        HostTensor<int32_t> index(p.source, {count});
        ops.gather(table, ops.copied(index.view(), VLM_DTYPE_I32), tokens.rows(0, count));
        if (!anyres_) run.tap("connector", tokens.rows(0, count));
        outputs[i].rows = count;
    }
}

}  // namespace vlm::projector
