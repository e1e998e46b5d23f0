/** @file layer.cpp
 *  See layer.hpp. The arithmetic is that of `InstructBlipQFormerLayer` and `Blip2QFormerLayer` of transformers 5.23.
 */
#include "layer.hpp"

#include <cmath>
#include <utility>

namespace vlm::qformer {

using namespace sdk;

void Layer::load(const Weights& weights, const QFormerConfig& config, int32_t index) {
    const Weights own = weights.under("encoder.layer." + std::to_string(index) + ".");
    self_ = load_attention(own.under("attention."), config, false);
    if (index % config.cross_frequency == 0) cross_ = load_attention(own.under("crossattention."), config, true);
    query_ = load_feed_forward(own, config, "_query");
    if (config.reads_prompt) text_ = load_feed_forward(own, config, "");
}

Layer::Attention Layer::load_attention(const Weights& weights, const QFormerConfig& c, bool cross) {
    const int64_t source = cross ? c.encoder_hidden : c.hidden;
    for (const char* name : {"attention.key.weight", "attention.value.weight"}) weights.at(name, {c.hidden, source});
    weights.at("attention.query.weight", {c.hidden, c.hidden});
    Attention a;
    if (cross) {
        a.query = weights.linear("attention.query");
        a.key_value = weights.linear({"attention.key", "attention.value"});
    } else {
        a.query = weights.linear({"attention.query", "attention.key", "attention.value"});
    }
    a.dense = weights.linear("output.dense", c.hidden, c.hidden);
    a.norm = {weights.vector("output.LayerNorm.weight", c.hidden), weights.vector("output.LayerNorm.bias", c.hidden)};
    return a;
}

Layer::FeedForward Layer::load_feed_forward(const Weights& weights, const QFormerConfig& c, const std::string& suffix) {
    FeedForward f;
    f.up = weights.linear("intermediate" + suffix + ".dense", c.intermediate, c.hidden);
    const Weights out = weights.under("output" + suffix + ".");
    f.down = out.linear("dense", c.hidden, c.intermediate);
    f.norm = {out.vector("LayerNorm.weight", c.hidden), out.vector("LayerNorm.bias", c.hidden)};
    return f;
}

Scratch Layer::attend(const Ops& ops, const QFormerConfig& c, const Attention& a, const Tensor& x,
                      const Tensor& features) {
    const Scratch q = ops.linear(a.query, x);
    Scratch kv;
    if (a.key_value) kv = ops.linear(a.key_value, features);
    const Tensor& source = a.key_value ? static_cast<const Tensor&>(kv) : q;
    const int64_t first = a.key_value ? 0 : c.hidden;
    const auto heads = [&](const Tensor& fused, int64_t column) {
        return fused.columns(column, c.hidden).split_last(c.heads);
    };
    Scratch mixed = ops.create({x.size(0), c.hidden});
    ops.attention({.q = heads(q, 0),
                   .k = heads(source, first),
                   .v = heads(source, first + c.hidden),
                   .scale = 1.F / std::sqrt(static_cast<float>(c.head_dim()))},
                  mixed.reshape({x.size(0), c.heads, c.head_dim()}));
    Scratch y = ops.linear(a.dense, mixed, {.residual = x});
    ops.layer_norm(y, a.norm.weight, a.norm.bias, c.norm_eps, y);
    return y;
}

void Layer::feed(const Ops& ops, const QFormerConfig& c, const FeedForward& f, const Tensor& x, Tensor y) {
    const Scratch wide = ops.linear(f.up, x, {.activation = c.activation});
    const Scratch sum = ops.linear(f.down, wide, {.residual = x});
    ops.layer_norm(sum, f.norm.weight, f.norm.bias, c.norm_eps, y);
}

Scratch Layer::run(const Ops& ops, const QFormerConfig& c, const Tensor& x, const Tensor& features) const {
    const Scratch attended = attend(ops, c, self_, x, features);
    const int64_t text = x.size(0) - c.queries;
    Scratch y = ops.create({x.size(0), c.hidden});
    if (cross_.dense)
        feed(ops, c, query_, attend(ops, c, cross_, attended.rows(0, c.queries), features), y.rows(0, c.queries));
    else
        feed(ops, c, query_, attended.rows(0, c.queries), y.rows(0, c.queries));
    if (text > 0) feed(ops, c, text_, attended.rows(c.queries, text), y.rows(c.queries, text));
    return y;
}

}  // namespace vlm::qformer
