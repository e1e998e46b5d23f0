/** @file block.cpp
 *  See block.hpp. References: `IdeficsPerceiverAttention` and `IdeficsMLP`, `Idefics2PerceiverLayer`,
 *  `KosmosTextAttention` of transformers 5.23, `PerceiverAttention` of open_flamingo.
 */
#include "block.hpp"

#include <cmath>

namespace vlm::perceiver {

using namespace sdk;

void Norm::load(const Weights& weights, const std::string& name, int64_t size, const PerceiverConfig& config) {
    if (name.empty()) return;
    rms_ = config.rms;
    eps_ = config.norm_eps;
    weight_ = weights.vector(name + ".weight", size);
    if (!rms_) bias_ = weights.vector(name + ".bias", size);
}

void Norm::run(const Ops& ops, const Tensor& x, Tensor y) const {
    if (!weight_)
        ops.copy(x, y);
    else if (rms_)
        ops.rms_norm(x, weight_, eps_, y);
    else
        ops.layer_norm(x, weight_, bias_, eps_, y);
}

void Block::load(const Weights& weights, const PerceiverConfig& c) {
    const Names& n = c.names;
    const int64_t q_size = int64_t{c.heads} * c.head_dim;
    const int64_t kv_size = int64_t{c.kv_heads} * c.head_dim;
    context_norm_.load(weights, n.context_norm, c.hidden, c);
    latents_norm_.load(weights, n.latents_norm, c.hidden, c);
    q_ = weights.linear(n.q, q_size, c.hidden);
    if (n.kv.empty()) {
        weights.at(n.k + ".weight", {kv_size, c.hidden});
        weights.at(n.v + ".weight", {kv_size, c.hidden});
        kv_ = weights.linear({n.k, n.v});
    } else {
        kv_ = weights.linear(n.kv, 2 * kv_size, c.hidden);
    }
    if (c.qk_norm) {
        q_norm_.load(weights, n.q_norm, c.head_dim, c);
        k_norm_.load(weights, n.k_norm, c.head_dim, c);
    }
    out_ = weights.linear(n.out, c.hidden, q_size);
    if (n.mlp_up.empty()) return;
    mlp_norm_.load(weights, n.mlp_norm, c.hidden, c);
    if (n.mlp_gate.empty()) {
        mlp_up_ = weights.linear(n.mlp_up, c.mlp, c.hidden);
    } else {
        for (const auto& name : {n.mlp_gate, n.mlp_up}) weights.at(name + ".weight", {c.mlp, c.hidden});
        mlp_up_ = weights.linear({n.mlp_gate, n.mlp_up});
    }
    mlp_down_ = weights.linear(n.mlp_down, c.hidden, c.mlp);
}

Scratch Block::attend(const Ops& ops, const PerceiverConfig& c, const Tensor& latents, const Tensor& context) const {
    const int64_t queries = latents.size(0);
    const int64_t rows = context.size(0);
    const int64_t kv_size = int64_t{c.kv_heads} * c.head_dim;
    // One table of features and latents, so that keys and values of both come from one product.
    Scratch source = ops.create({rows + queries, c.hidden});
    context_norm_.run(ops, context, source.rows(0, rows));
    const Tensor normed = source.rows(rows, queries);
    latents_norm_.run(ops, latents, normed);
    const Scratch q = ops.linear(q_, normed);
    const Scratch kv = ops.linear(kv_, source);
    const Tensor q_heads = q.split_last(c.heads);
    const Tensor k_heads = kv.columns(0, kv_size).split_last(c.kv_heads);
    if (q_norm_) q_norm_.run(ops, q_heads, q_heads);
    if (k_norm_) k_norm_.run(ops, k_heads, k_heads);
    Scratch mixed = ops.create({queries, int64_t{c.heads} * c.head_dim});
    ops.attention({.q = q_heads,
                   .k = k_heads,
                   .v = kv.columns(kv_size, kv_size).split_last(c.kv_heads),
                   .scale = 1.F / std::sqrt(static_cast<float>(c.head_dim))},
                  mixed.split_last(c.heads));
    return ops.linear(out_, mixed, {.residual = c.residual ? latents : Tensor()});
}

Scratch Block::run(const Ops& ops, const PerceiverConfig& c, const Tensor& latents, const Tensor& context) const {
    Scratch x = attend(ops, c, latents, context);
    if (!mlp_up_) return x;
    Scratch normed = ops.like(x);
    mlp_norm_.run(ops, x, normed);
    const Scratch wide = ops.linear(mlp_up_, normed, {.activation = c.mlp_act, .gated = !c.names.mlp_gate.empty()});
    return ops.linear(mlp_down_, wide, {.residual = c.residual ? static_cast<const Tensor&>(x) : Tensor()});
}

}  // namespace vlm::perceiver
