/** @file tower.cpp
 *  One pass through a tower. See tower.hpp.
 */
#include "tower.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

namespace vlm::vit {

using sdk::Hooks;
using sdk::Ops;
using sdk::Scratch;
using sdk::Tensor;
using sdk::TokenState;

namespace {

Scratch upload(const Ops& ops, std::vector<int32_t> values, const sdk::Shape& shape) {
    sdk::HostTensor<int32_t> host(std::move(values), shape);
    return ops.copied(host.view(), VLM_DTYPE_I32);
}

}  // namespace

bool Tower::reduces(const Hooks& hooks) const {
    const int32_t last = config_.last_needed();
    for (int32_t i = 0; hooks && config_.registers == 0 && i < last; ++i)
        if (hooks.needs(VLM_SITE_ENCODER_LAYER, i, config_.layers) != 0) return true;
    return false;
}

int64_t Tower::workspace_bytes(int64_t rows) const {
    // At once: x, the norm, qkv, attention output, an MLP's inside, the patches, positions, and the chosen hidden
    // states.
    const int64_t inside = config_.intermediate > 0 ? config_.intermediate : 8 * config_.hidden;
    const int64_t columns =
        8 * config_.hidden + std::max(2 * inside, config_.patch_elements()) + config_.feature_size() + 64;
    return rows * columns * static_cast<int64_t>(sizeof(float)) + (int64_t{1} << 20);
}

void Tower::norm(const Ops& ops, const Norm& weights, const Tensor& x, Tensor y) const {
    if (config_.rms_norm)
        ops.rms_norm(x, weights.weight, config_.norm_eps, y);
    else
        ops.layer_norm(x, weights.weight, weights.bias, config_.norm_eps, y);
}

Tower::Batch Tower::make_batch(const Ops& ops, std::span<const ViewInput> views) const {
    Batch batch;
    batch.views = views;
    std::vector<int32_t> begin, end, window_begin, window_end, order, rows_at, columns_at;
    for (const ViewInput& view : views) {
        const auto first = static_cast<int32_t>(batch.rows);
        const auto tokens = static_cast<size_t>(view.grid.patches() + config_.prefix());
        batch.rows += static_cast<int64_t>(tokens);
        if (batch.rows > std::numeric_limits<int32_t>::max())
            throw sdk::resource_exhausted("too many patches in one call");
        begin.insert(begin.end(), tokens, first);
        end.insert(end.end(), tokens, static_cast<int32_t>(batch.rows));
        if (!config_.rotary) continue;
        const auto at = grid_positions(view.grid, config_.merge);
        Windows windows;
        if (config_.window > 0) {
            const int32_t side = config_.window / config_.merge / config_.patch_height;
            if (side < 1) throw sdk::invalid_argument("config: window_size: is smaller than one block of patches");
            windows = make_windows(view.grid, config_.merge, side);
        } else {
            windows.order.resize(tokens);
            std::iota(windows.order.begin(), windows.order.end(), 0);
        }
        for (size_t i = 0; i < tokens; ++i) {
            const auto patch = static_cast<size_t>(windows.order[i]);
            rows_at.push_back(at[patch]);
            columns_at.push_back(at[tokens + patch]);
            if (config_.window == 0) continue;
            order.push_back(first + windows.order[i]);
            window_begin.push_back(first + windows.begin[i]);
            window_end.push_back(first + windows.end[i]);
        }
    }
    if (views.size() > 1) {
        batch.mask_rule = VLM_MASK_RANGES;
        batch.begin = upload(ops, begin, {batch.rows});
        batch.end = upload(ops, end, {batch.rows});
    }
    if (config_.rotary) {
        const int32_t half = config_.head_dim() / 2, quarter = half / 2;
        std::vector<float> frequencies;
        std::vector<int32_t> axes;
        for (int32_t i = 0; i < half; ++i) {
            const float exponent = static_cast<float>(2 * (i % quarter)) / static_cast<float>(half);
            frequencies.push_back(1.0F / std::pow(config_.rope_theta, exponent));
            axes.push_back(i / quarter);
        }
        auto spec = sdk::make_struct<vlm_rope_spec>();
        spec.frequencies = half;
        spec.axes = 2;
        spec.inv_freq = frequencies.data();
        spec.axis = axes.data();
        spec.attention_scaling = 1.F;
        rows_at.insert(rows_at.end(), columns_at.begin(), columns_at.end());
        std::tie(batch.cos, batch.sin) = ops.rope_table(spec, upload(ops, rows_at, {2, batch.rows}));
    }
    if (!order.empty()) {
        std::vector<int32_t> back(order.size());
        for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
        batch.order = upload(ops, order, {batch.rows});
        batch.back = upload(ops, back, {batch.rows});
        batch.window_begin = upload(ops, window_begin, {batch.rows});
        batch.window_end = upload(ops, window_end, {batch.rows});
    }
    return batch;
}

Scratch Tower::position_rows(const Ops& ops, const Grid& grid) const {
    if (config_.positions == Positions::fraction) {
        const auto ids = fraction_buckets(grid, native_grid_.rows);
        return ops.gather(native_, upload(ops, ids, {grid.patches()}));
    }
    // As the interpolate_pos_encoding of the reference models: bicubic, half-pixel centres, no antialiasing.
    const Scratch resampled =
        ops.interpolate(positions_, grid.rows, grid.columns, VLM_INTERPOLATE_BICUBIC, false, false);
    return ops.copied(resampled.reshape({grid.patches(), config_.hidden}));
}

Scratch Tower::embed(const Ops& ops, const Batch& batch) const {
    Scratch x = ops.create({batch.rows, config_.hidden});
    int64_t row = 0;
    for (const ViewInput& view : batch.views) {
        if (prefix_) ops.copy(prefix_, x.rows(row, config_.prefix()));
        row += config_.prefix();
        const int64_t count = view.grid.patches();
        const Tensor to = x.rows(row, count);
        row += count;
        const Scratch uploaded =
            view.pixels.on_cpu() && !ops.on_cpu() ? ops.copied(view.pixels, VLM_DTYPE_F32) : Scratch();
        const Tensor& pixels = uploaded ? uploaded : view.pixels;
        const Scratch patches =
            config_.rotary ? ops.copied(pixels) : ops.patches(pixels, config_.patch_height, config_.patch_width);
        if (config_.positions == Positions::none) {
            ops.linear(patch_, patches, {}, to);
        } else if (config_.positions == Positions::learned && view.grid.rows == native_grid_.rows &&
                   view.grid.columns == native_grid_.columns) {
            ops.linear(patch_, patches, {.residual = native_}, to);
        } else {
            ops.linear(patch_, patches, {.residual = position_rows(ops, view.grid)}, to);
        }
    }
    if (config_.rotary) ops.run().tap("vision.patch_embed", x);
    if (pre_norm_.weight) norm(ops, pre_norm_, x, x);
    return batch.order ? ops.gather(x, batch.order) : std::move(x);
}

void Tower::attend(const Ops& ops, const Batch& batch, int32_t index, const TokenState& state, Tensor keys,
                   Scratch& x) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    const int64_t rows = x.size(0), d = config_.hidden;
    Scratch fused;
    {
        const Scratch normed = ops.like(x);
        norm(ops, layer.norm1, x, normed);
        fused = ops.linear(layer.qkv, normed);
    }
    if (config_.qk_norm) {
        ops.rms_norm(fused.columns(0, d), layer.q_norm, config_.qk_norm_eps, fused.columns(0, d));
        ops.rms_norm(fused.columns(d, d), layer.k_norm, config_.qk_norm_eps, fused.columns(d, d));
    }
    const Tensor q = fused.columns(0, d).split_last(config_.heads);
    const Tensor k = fused.columns(d, d).split_last(config_.heads);
    if (keys) ops.mean(k, 1, keys);
    if (config_.rotary) {
        ops.rope(q, batch.cos, batch.sin);
        ops.rope(k, batch.cos, batch.sin);
    }
    sdk::Attention args{.q = q,
                        .k = k,
                        .v = fused.columns(2 * d, d).split_last(config_.heads),
                        .scale = 1.F / std::sqrt(static_cast<float>(config_.head_dim())),
                        .mask_rule = batch.mask_rule};
    const bool windowed = config_.window > 0 && std::find(config_.full_layers.begin(), config_.full_layers.end(),
                                                          index) == config_.full_layers.end();
    if (windowed) args.mask_rule = VLM_MASK_RANGES;
    if (args.mask_rule == VLM_MASK_RANGES) {
        args.key_begin = windowed ? batch.window_begin : batch.begin;
        args.key_end = windowed ? batch.window_end : batch.end;
    }
    args.key_bias = state.log_sizes();
    const Scratch out = ops.create({rows, config_.heads, config_.head_dim()});
    ops.attention(args, out);
    ops.linear(layer.out, out.reshape({rows, d}), {.residual = x, .scale = layer.scale1}, x);
}

void Tower::feed_forward(const Ops& ops, const Layer& layer, Tensor x) const {
    Scratch inside;
    {
        const Scratch normed = ops.like(x);
        norm(ops, layer.norm2, x, normed);
        inside = ops.linear(layer.fc1, normed, {.activation = config_.activation, .gated = config_.gated});
    }
    ops.linear(layer.fc2, inside, {.residual = x, .scale = layer.scale2}, x);
}

Scratch Tower::pool(const Ops& ops, const Batch& batch, const Tensor& last, int64_t rows) const {
    const auto views = static_cast<int64_t>(batch.views.size());
    Scratch pooled = ops.create({views, config_.hidden});
    if (!head_) {
        std::vector<int32_t> first;
        int64_t row = 0;
        for (const ViewInput& view : batch.views) {
            first.push_back(static_cast<int32_t>(row));
            row += view.grid.patches() + config_.prefix();
        }
        ops.gather(last, upload(ops, first, {views}), pooled);
        if (!config_.norm_last) norm(ops, final_norm_, pooled, pooled);
        return pooled;
    }
    // SiglipMultiheadAttentionPoolingHead: a learned probe attends to all tokens, then an MLP.
    const Scratch query = ops.linear(head_->query, head_->probe);
    const Scratch key_value = ops.linear(head_->key_value, last);
    const int64_t d = config_.hidden;
    int64_t row = 0;
    for (int64_t v = 0; v < views; ++v) {
        const int64_t tokens =
            views == 1 ? rows : batch.views[static_cast<size_t>(v)].grid.patches() + config_.prefix();
        const Tensor kv = key_value.rows(row, tokens);
        row += tokens;
        ops.attention({.q = query.split_last(config_.heads),
                       .k = kv.columns(0, d).split_last(config_.heads),
                       .v = kv.columns(d, d).split_last(config_.heads),
                       .scale = 1.F / std::sqrt(static_cast<float>(config_.head_dim()))},
                      pooled.rows(v, 1).split_last(config_.heads));
    }
    Scratch out = ops.linear(head_->out, pooled);
    const Scratch normed = ops.like(out);
    ops.layer_norm(out, head_->norm.weight, head_->norm.bias, config_.norm_eps, normed);
    const Scratch inside = ops.linear(head_->fc1, normed, {.activation = config_.activation});
    ops.linear(head_->fc2, inside, {.residual = out}, out);
    return out;
}

TowerOutput Tower::run(const Ops& ops, const Hooks& hooks, std::span<const ViewInput> views) const {
    const sdk::Run& run = ops.run();
    const Batch batch = make_batch(ops, views);
    Scratch x = embed(ops, batch);
    TokenState state(batch.rows);
    TowerOutput output;
    const bool single = views.size() == 1 && config_.registers == 0;
    const int32_t needed = config_.last_needed();
    const int32_t stop = run.tapped() ? config_.layers : needed;
    const size_t chosen = std::max<size_t>(1, config_.feature_layers.size());
    output.features.resize(chosen);
    const auto take = [&](size_t place) {
        output.rows = x.size(0);
        if (state.reduced() && chosen > 1)
            throw sdk::failed_precondition(
                "vision_feature_layer names several layers, between which a token reducer changes the "
                "tokens; choose one layer or put the reducer behind the encoder");
        output.features[place] = batch.back ? ops.gather(x, batch.back) : ops.copied(x);
        if (!state.reduced()) return;
        output.row_of_position = ops.copied(state.row_of_position(), VLM_DTYPE_I32);
        output.sizes = ops.copied(state.sizes(), VLM_DTYPE_F32);
    };
    const auto take_layer = [&](int32_t layer) {
        for (size_t i = 0; i < config_.feature_layers.size(); ++i)
            if (config_.feature_layers[i] == layer) take(i);
    };
    take_layer(0);
    for (int32_t i = 0; i < stop; ++i) {
        run.poll();
        run.progress(static_cast<uint64_t>(i), static_cast<uint64_t>(stop));
        const uint32_t needs = single ? hooks.needs(VLM_SITE_ENCODER_LAYER, i, config_.layers) : 0;
        const Scratch keys = (needs & VLM_NEED_KEYS) != 0 ? ops.create({x.size(0), config_.head_dim()}) : Scratch();
        attend(ops, batch, i, state, keys, x);
        if (needs != 0)
            state.reduce(ops, hooks,
                         {.site = VLM_SITE_ENCODER_LAYER,
                          .layer = i,
                          .layers = config_.layers,
                          .image = views[0].image,
                          .protected_tokens = config_.prefix(),
                          .hidden = x,
                          .keys = keys,
                          .layout = views[0].layout},
                         {&x});
        feed_forward(ops, layers_[static_cast<size_t>(i)], x);
        if (run.tapped()) run.tap(("vision.block" + std::to_string(i)).c_str(), x);
        take_layer(i + 1);
    }
    if (stop < config_.layers) return output;
    if (config_.norm_last && (config_.pooled || config_.feature_layers.empty() || run.tapped()))
        norm(ops, final_norm_, x, x);
    run.tap("vision.last_hidden", x);
    if (config_.feature_layers.empty()) take(0);
    if (config_.pooled) {
        output.pooled = pool(ops, batch, x, x.size(0));
        run.tap("vision.pooled", output.pooled);
    }
    return output;
}

}  // namespace vlm::vit
