/** @file layer.cpp
 *  One transformer layer, and the gated cross-attention block that Flamingo puts in front of some.
 */
#include <string>

#include "forward.hpp"

namespace vlm::decoder {

void Forward::norm(const NormWeights& weights, const sdk::Tensor& x, sdk::Tensor& y) const {
    if (config_.norm == NormKind::rms) {
        ops_.rms_norm(x, weights.gamma, config_.norm_eps, y, config_.norm_offset);
    } else {
        ops_.layer_norm(x, weights.gamma, weights.beta, config_.norm_eps, y);
    }
}

void Forward::norm_heads(const NormWeights& weights, sdk::Tensor heads) const {
    if (!weights.present) return;
    sdk::Scratch compact = ops_.copied(heads);
    norm(weights, compact, compact);
    ops_.copy(compact, heads);
}

void Forward::tap_rows(const std::string& name, const sdk::Tensor& batch) const {
    if (!run_.tapped()) return;
    for (const Item& item : items_) run_.tap(name.c_str(), rows_of(batch, item));
}

void Forward::layer(int32_t index) {
    const LayerWeights& w = weights_.layers[static_cast<size_t>(index)];
    static const NormWeights kNone;
    bool after = config_.placement == NormPlacement::after;
    sdk::Scratch attended = attend(w, index);
    finish_branch(w.out, attended, w.post_attention_norm, after ? w.attention_norm : kNone);
    attended = {};

    sdk::Scratch input = ops_.like(x_);
    if (after) {
        ops_.copy(x_, input);
    } else {
        norm(w.mlp_norm, x_, input);
    }
    sdk::Scratch inner = mlp(w.mlp, input);
    finish_branch(w.mlp.down, inner, w.post_mlp_norm, after ? w.mlp_norm : kNone);
    tap_rows("llm.layer" + std::to_string(index), x_);
}

void Forward::finish_branch(const sdk::Linear& last, const sdk::Tensor& input, const NormWeights& post,
                            const NormWeights& after) {
    if (post.present) {
        sdk::Scratch y = ops_.linear(last, input);
        norm(post, y, y);
        ops_.add(x_, y, x_);
    } else {
        sdk::Epilogue epilogue;
        epilogue.residual = x_;
        ops_.linear(last, input, epilogue, x_);
    }
    if (after.present) norm(after, x_, x_);
}

sdk::Scratch Forward::mlp(const MlpWeights& weights, const sdk::Tensor& x) const {
    sdk::Epilogue epilogue;
    epilogue.activation = config_.activation;
    epilogue.gated = config_.gated;
    sdk::Scratch inner = ops_.linear(weights.up, x, epilogue);
    if (weights.inner_norm.present) norm(weights.inner_norm, inner, inner);
    return inner;
}

sdk::Scratch Forward::attend(const LayerWeights& weights, int32_t index) {
    sdk::Scratch qkv;
    if (config_.placement == NormPlacement::after) {
        qkv = ops_.linear(weights.qkv, x_);
    } else {
        sdk::Scratch input = ops_.like(x_);
        norm(weights.attention_norm, x_, input);
        qkv = ops_.linear(weights.qkv, input);
    }
    int64_t dim = config_.head_dim;
    int64_t q_width = config_.heads * dim;
    int64_t kv_width = config_.kv_heads * dim;
    norm_heads(weights.q_norm, qkv.columns(0, q_width).split_last(config_.heads));
    norm_heads(weights.k_norm, qkv.columns(q_width, kv_width).split_last(config_.kv_heads));
    for (Item& item : items_) {
        if (wants(item, index + 1, VLM_NEED_KEYS)) keep_keys(item, rows_of(qkv, item));
    }
    if (config_.positions == PositionKind::rotary) {
        for (auto [first, rows] : plain_runs_) {
            ops_.rope(qkv.rows(first, rows).columns(0, q_width + kv_width).split_last(config_.heads + config_.kv_heads),
                      cos_.rows(first, rows), sin_.rows(first, rows));
        }
    }
    sdk::Scratch out = ops_.create({rows_, q_width});
    for (Item& item : items_) attend_item(item, index, rows_of(qkv, item), rows_of(out, item));
    if (weights.inner_norm.present) norm(weights.inner_norm, out, out);
    return out;
}

void Forward::attend_item(Item& item, int32_t index, const sdk::Tensor& qkv, sdk::Tensor out) {
    int64_t q_width = int64_t{config_.heads} * config_.head_dim;
    int64_t kv_width = int64_t{config_.kv_heads} * config_.head_dim;
    bool rotate = config_.positions == PositionKind::rotary && !is_plain(item);

    // Every position asks with its own rotation, so merged rows are repeated for q; k and v only when they are cached
    // so.
    sdk::Scratch expanded;
    sdk::Tensor q = qkv.columns(0, q_width);
    sdk::Tensor kv = qkv.columns(q_width, 2 * kv_width);
    if (item.merged && item.compact) {
        expanded = ops_.gather(q, item.map);
        q = expanded;
    } else if (item.merged) {
        expanded = ops_.gather(qkv, item.map);
        q = expanded.columns(0, q_width);
        kv = expanded.columns(q_width, 2 * kv_width);
    }
    sdk::Attention a;
    a.q = q.split_last(config_.heads);
    a.k = kv.columns(0, kv_width).split_last(config_.kv_heads);
    a.v = kv.columns(kv_width, kv_width).split_last(config_.kv_heads);
    if (rotate) {
        ops_.rope(sdk::Tensor(a.q), item.cos, item.sin);
        if (!item.compact) ops_.rope(sdk::Tensor(a.k), item.cos, item.sin);
    }
    const DeviceMask& mask = mask_of(item, index);
    a.mask_rule = mask.rule;
    a.key_begin = mask.begin;
    a.key_end = mask.end;
    a.mask = mask.visible;
    a.scale = config_.attention_scale;
    a.logit_softcap = config_.attention_softcap;
    a.cache = item.context->cache();
    a.layer = index;
    a.key_rows = item.key_rows;
    a.key_cos = item.key_cos;
    a.key_sin = item.key_sin;

    int64_t keys = item.keys_in(index);
    sdk::Scratch scores;
    sdk::Scratch picture;
    if (wants(item, index + 1, VLM_NEED_SCORES)) scores = ops_.create({keys}, VLM_DTYPE_F32);
    if (config_.tap_attention && run_.tapped()) picture = ops_.create({item.live(), keys}, VLM_DTYPE_F32);
    a.last_row_scores = scores;
    a.weights = picture;
    if (item.merged) {
        sdk::Scratch by_position = ops_.create({item.live(), q_width});
        sdk::Tensor heads = by_position.split_last(config_.heads);
        ops_.attention(a, heads);
        ops_.scatter_mean(by_position, item.map, {}, out);
    } else {
        sdk::Tensor heads = out.split_last(config_.heads);
        ops_.attention(a, heads);
    }
    if (scores) keep_scores(item, scores);
    if (picture) run_.tap(("attn.layer" + std::to_string(index)).c_str(), picture);
}

void Forward::cross_layer(int32_t index) {
    const CrossWeights& w = weights_.cross[static_cast<size_t>(index)];
    int64_t width = int64_t{config_.heads} * config_.head_dim;
    sdk::Scratch input = ops_.like(x_);
    norm(w.attention_norm, x_, input);
    sdk::Scratch q = ops_.linear(w.q, input);
    norm_heads(w.q_norm, q.split_last(config_.heads));
    sdk::Scratch out = ops_.create({rows_, width});
    for (Item& item : items_) {
        sdk::Tensor target = rows_of(out, item);
        sdk::Scratch kv;
        sdk::Attention a;
        if (item.memory) {
            kv = ops_.linear(w.kv, item.memory);
            norm_heads(w.k_norm, kv.columns(0, width).split_last(config_.heads));
            a.k = kv.columns(0, width).split_last(config_.heads);
            a.v = kv.columns(width, width).split_last(config_.heads);
        } else if (item.context->memory_ends().empty()) {
            ops_.fill(target, 0.0);  // no image yet: only the block's MLP acts
            continue;
        }
        a.q = rows_of(q, item).split_last(config_.heads);
        a.scale = config_.attention_scale;
        a.mask_rule = item.memory_mask.rule;
        a.key_begin = item.memory_mask.begin;
        a.key_end = item.memory_mask.end;
        a.cache = item.context->memory_cache();
        a.layer = index;
        sdk::Scratch picture;
        if (config_.tap_attention && run_.tapped()) {
            const auto& ends = item.context->memory_ends();
            int64_t keys = (ends.empty() ? 0 : ends.back()) + (item.memory ? item.memory.size(0) : 0);
            picture = ops_.create({item.rows(), keys}, VLM_DTYPE_F32);
            a.weights = picture;
        }
        sdk::Tensor heads = target.split_last(config_.heads);
        ops_.attention(a, heads);
        if (picture) run_.tap(("attn.cross" + std::to_string(index)).c_str(), picture);
    }
    sdk::Epilogue gated;
    gated.residual = x_;
    gated.scale = w.attention_gate;
    ops_.linear(w.out, out, gated, x_);
    norm(w.mlp_norm, x_, input);
    sdk::Scratch inner = mlp(w.mlp, input);
    gated.scale = w.mlp_gate;
    ops_.linear(w.mlp.down, inner, gated, x_);
    tap_rows("llm.cross" + std::to_string(index), x_);
}

}  // namespace vlm::decoder
