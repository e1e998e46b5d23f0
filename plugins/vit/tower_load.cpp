/** @file tower_load.cpp
 *  Reads a tower's weights by the names of its preset.
 */
#include <cmath>

#include "tower.hpp"

namespace vlm::vit {

using sdk::Kept;
using sdk::Linear;
using sdk::Tensor;
using sdk::Weights;

namespace {

/** A packed layer whose matrix must be `[out, in]`. */
Linear checked(Linear layer, const Weights& weights, const std::string& name, int64_t out, int64_t in) {
    if (layer.out() != out || layer.in() != in)
        throw sdk::invalid_argument("weight '" + weights.prefix() + name + ".weight': is " +
                                    std::to_string(layer.out()) + " x " + std::to_string(layer.in()) +
                                    ", the configuration says " + std::to_string(out) + " x " + std::to_string(in));
    return layer;
}

/** A layer scale under one of the names that libraries give it. */
Kept layer_scale(const Weights& weights, const std::string& name, int64_t size) {
    if (name.empty()) return {};
    for (const char* suffix : {"", ".scale_factor", ".gamma"})
        if (weights.has(name + suffix)) return weights.vector(name + suffix, size);
    return {};
}

}  // namespace

Tower::Norm Tower::load_norm(const Weights& weights, const std::string& name) const {
    Norm norm;
    norm.weight = weights.vector(name + ".weight", config_.hidden);
    norm.bias = weights.optional_vector(name + ".bias", config_.hidden);
    return norm;
}

Linear Tower::load_qkv(const Weights& weights) const {
    const Names& n = config_.names;
    const int64_t d = config_.hidden;
    if (n.qkv.empty()) return checked(weights.linear({n.q, n.k, n.v}), weights, n.q, 3 * d, d);
    // Older EVA checkpoints keep the two biases that are not zero beside the fused matrix.
    const std::string folder = n.qkv.substr(0, n.qkv.rfind('.') + 1);
    if (!weights.has(n.qkv + ".bias") && weights.has(folder + "q_bias")) {
        const Tensor fused = weights.at(n.qkv + ".weight", {3 * d, d});
        return weights.pack({fused.rows(0, d), fused.rows(d, d), fused.rows(2 * d, d)},
                            {weights.at(folder + "q_bias"), Tensor(), weights.at(folder + "v_bias")}, n.qkv);
    }
    return checked(weights.linear(n.qkv), weights, n.qkv, 3 * d, d);
}

Tower::Layer Tower::load_layer(const Weights& weights) const {
    const Names& n = config_.names;
    const int64_t d = config_.hidden;
    const int64_t f = config_.intermediate > 0 ? config_.intermediate : weights.at(n.fc1 + ".weight").size(0);
    Layer layer;
    layer.norm1 = load_norm(weights, n.norm1);
    layer.norm2 = load_norm(weights, n.norm2);
    layer.qkv = load_qkv(weights);
    layer.out = checked(weights.linear(n.out), weights, n.out, d, d);
    if (config_.qk_norm) {
        layer.q_norm = weights.vector(n.q_norm + ".weight", d);
        layer.k_norm = weights.vector(n.k_norm + ".weight", d);
    }
    layer.scale1 = layer_scale(weights, n.scale1, d);
    layer.scale2 = layer_scale(weights, n.scale2, d);
    layer.fc1 = config_.gated ? checked(weights.linear({n.gate, n.fc1}), weights, n.gate, 2 * f, d)
                              : checked(weights.linear(n.fc1), weights, n.fc1, f, d);
    layer.fc2 = checked(weights.linear(n.fc2), weights, n.fc2, d, f);
    return layer;
}

void Tower::load_positions(const Weights& weights) {
    const int64_t d = config_.hidden;
    const uint32_t activations = weights.run().compute()->activation_dtype;
    native_grid_ = {config_.image_height / config_.patch_height, config_.image_width / config_.patch_width};
    std::vector<float> prefix;
    const auto append = [&](const std::string& name, int64_t rows) {
        const auto values = sdk::to_floats(weights.at(name));
        if (static_cast<int64_t>(values.size()) != rows * d)
            throw sdk::invalid_argument("weight '" + weights.prefix() + name + "': has " +
                                        std::to_string(values.size()) + " elements, expected " + std::to_string(rows) +
                                        " x " + std::to_string(d));
        prefix.insert(prefix.end(), values.begin(), values.end());
    };
    if (config_.class_token) append(config_.names.class_token, 1);
    if (config_.registers > 0) append(config_.names.registers, config_.registers);

    if (config_.positions != Positions::none) {
        auto table = sdk::to_floats(weights.at(config_.names.positions));
        const int64_t rows = static_cast<int64_t>(table.size()) / d;
        const int64_t class_rows = rows - native_grid_.patches();
        if (static_cast<int64_t>(table.size()) != rows * d || class_rows < 0 ||
            class_rows > (config_.class_token ? 1 : 0))
            throw sdk::invalid_argument(
                "weight '" + weights.prefix() + config_.names.positions + "': has " + std::to_string(table.size()) +
                " elements; image_size and patch_size ask for a grid of " + std::to_string(native_grid_.rows) + " x " +
                std::to_string(native_grid_.columns) + " positions of " + std::to_string(d));
        for (int64_t i = 0; i < class_rows * d; ++i) prefix[static_cast<size_t>(i)] += table[static_cast<size_t>(i)];
        table.erase(table.begin(), table.begin() + class_rows * d);
        sdk::HostTensor<float> flat(std::move(table), {native_grid_.patches(), d});
        native_ = weights.keep(flat.view(), activations);
        positions_ = weights.keep(flat.view().reshape({native_grid_.rows, native_grid_.columns, d}));
    }
    if (!prefix.empty()) {
        sdk::HostTensor<float> rows(std::move(prefix), {config_.prefix(), d});
        prefix_ = weights.keep(rows.view(), activations);
    }
}

Tower::Head Tower::load_head(const Weights& weights) const {
    const int64_t d = config_.hidden;
    const Tensor weight = weights.at("attention.in_proj_weight", {3 * d, d});
    const Tensor bias = weights.at("attention.in_proj_bias", {3 * d});
    Head head;
    head.query = weights.pack({weight.rows(0, d)}, {bias.rows(0, d)}, "attention.in_proj_weight");
    head.key_value = weights.pack({weight.rows(d, 2 * d)}, {bias.rows(d, 2 * d)}, "attention.in_proj_weight");
    head.out = weights.linear("attention.out_proj");
    head.fc1 = weights.linear("mlp.fc1");
    head.fc2 = weights.linear("mlp.fc2");
    head.norm = load_norm(weights, "layernorm");
    const Tensor probe = weights.at("probe");
    if (probe.elements() != d)
        throw sdk::invalid_argument("weight '" + weights.prefix() + "probe': has the wrong size");
    head.probe = weights.keep(probe.reshape({1, d}), weights.run().compute()->activation_dtype);
    return head;
}

void Tower::load(const Weights& weights) {
    const Names& n = config_.names;
    patch_ = checked(weights.linear(n.patch), weights, n.patch, config_.hidden, config_.patch_elements());
    load_positions(weights);
    if (!n.pre_norm.empty()) pre_norm_ = load_norm(weights, n.pre_norm);
    for (int32_t i = 0; i <= config_.layers - 1; ++i) {
        weights.run().poll();
        layers_.push_back(load_layer(weights.under(n.layer + std::to_string(i) + ".")));
    }
    if (config_.norm_last || config_.pooled) final_norm_ = load_norm(weights, n.final_norm);
    if (config_.pooled && config_.pooling == Pooling::attention_head) head_ = load_head(weights.under("head."));
}

}  // namespace vlm::vit
