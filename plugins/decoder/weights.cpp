/** @file weights.cpp
 *  Finds, checks, rearranges and packs. Every shape is checked against the configuration before it is used.
 */
#include "weights.hpp"

#include <cmath>
#include <cstring>
#include <string>

#include "tensor_names.hpp"

namespace vlm::decoder {
namespace {

using sdk::Tensor;

/** Where the layers may be below the names that a recipe maps; the first that has an embedding table is taken. */
constexpr const char* kRoots[] = {"",
                                  "model.",
                                  "decoder.",
                                  "model.decoder.",
                                  "language_model.",
                                  "language_model.model.",
                                  "language_model.model.decoder.",
                                  "model.language_model.",
                                  "model.language_model.model.decoder.",
                                  "text_model.",
                                  "text_model.model.",
                                  "model.text_model."};
constexpr const char* kHeadRoots[] = {"", "language_model.", "text_model.", "model."};

class Loader {
  public:
    Loader(const DecoderConfig& config, const sdk::Weights& weights)
        : config_(config), all_(weights), names_(model_names(config)), own_(weights.under(find_root())) {}

    ModelWeights load() {
        ModelWeights m;
        m.embedding = table(names_.embedding, {config_.vocab_size, config_.embed_size});
        if (config_.extra_vocab > 0) {
            m.extra_embedding = table(names_.extra_embedding, {config_.extra_vocab, config_.embed_size});
        }
        if (config_.embed_scale != 1.0f) {
            std::vector<float> scale(static_cast<size_t>(config_.embed_size), config_.embed_scale);
            m.embedding_scale = keep_floats(scale, config_.embed_size, activation_dtype());
        }
        load_positions(m);
        if (config_.modality_embedding) m.modality = table(names_.modality, {2, config_.hidden_size});
        if (config_.embed_size != config_.hidden_size) {
            m.project_in = linear(own_, {"project_in"}, {config_.hidden_size}, config_.embed_size, false);
            m.project_out = linear(own_, {"project_out"}, {config_.embed_size}, config_.hidden_size, false);
        }
        if (config_.final_norm) m.final_norm = norm(own_, names_.final_norm, config_.hidden_size);
        m.head = head();
        m.confidence = load_confidence_head(all_, config_.hidden_size);
        for (int32_t i = 0; i < config_.layers; ++i) m.layers.push_back(layer(i));
        for (int32_t i = 0; i < config_.cross_layers(); ++i) m.cross.push_back(cross_layer(i));
        return m;
    }

  private:
    std::string find_root() const {
        for (const char* root : kRoots) {
            if (all_.has(root + names_.embedding + ".weight")) return root;
        }
        throw sdk::not_found("weight 'model." + names_.embedding +
                             ".weight' is missing from the checkpoint, so no language model was found; check the "
                             "recipe's prefixes");
    }

    uint32_t activation_dtype() const { return sdk::Ops(all_.run()).activation_dtype(); }

    /** A table that is only gathered from: on the CPU the mapped file itself serves. */
    Table table(const std::string& name, std::initializer_list<int64_t> shape) const {
        Table table;
        table.rows = own_.at(name + ".weight", shape);
        if (!sdk::Ops(all_.run()).on_cpu()) {
            table.copy = own_.keep(table.rows, table.rows.dtype());
            table.rows = table.copy;
        }
        return table;
    }

    sdk::Kept keep_floats(std::vector<float>& values, int64_t columns, uint32_t dtype) const {
        auto count = static_cast<int64_t>(values.size());
        const int64_t shape[] = {count / columns, columns};
        bool flat = count == columns;
        return all_.keep(Tensor(values.data(), VLM_DTYPE_F32, std::span(shape).subspan(flat ? 1 : 0)), dtype);
    }

    NormWeights norm(const sdk::Weights& at, const std::string& name, int64_t size) const {
        NormWeights n;
        n.present = true;
        if (!config_.norm_affine) return n;
        n.gamma = at.vector(name + ".weight", size);
        if (config_.norm == NormKind::layer) n.beta = at.vector(name + ".bias", size);
        return n;
    }

    /** A norm that only some families have: absent when its name is empty. */
    NormWeights optional_norm(const sdk::Weights& at, const std::string& name, int64_t size) const {
        return name.empty() ? NormWeights{} : norm(at, name, size);
    }

    void load_positions(ModelWeights& m) const {
        int64_t rows = config_.max_positions + config_.position_offset;
        if (config_.positions == PositionKind::learned) {
            m.positions = table(names_.positions, {rows, config_.hidden_size});
        } else if (config_.positions == PositionKind::sinusoidal) {
            m.positions.copy = sinusoidal(rows);
            m.positions.rows = m.positions.copy;
        }
    }

    /** [sin | cos] halves, as fairseq's SinusoidalPositionalEmbedding (Kosmos-2). */
    sdk::Kept sinusoidal(int64_t rows) const {
        auto width = static_cast<size_t>(config_.hidden_size);
        size_t half = width / 2;
        std::vector<float> values(static_cast<size_t>(rows) * width, 0.0f);
        double step = half > 1 ? std::log(10000.0) / static_cast<double>(half - 1) : 0.0;
        for (size_t i = 0; i < half; ++i) {
            auto frequency = static_cast<float>(std::exp(-step * static_cast<double>(i)));
            for (size_t p = 0; p < static_cast<size_t>(rows); ++p) {
                float angle = static_cast<float>(p) * frequency;
                values[p * width + i] = std::sin(angle);
                values[p * width + half + i] = std::cos(angle);
            }
        }
        return keep_floats(values, config_.hidden_size, VLM_DTYPE_F32);
    }

    /** nn.MultiheadAttention writes "in_proj_weight" where everybody else writes ".weight". */
    static std::string member(const std::string& name, const char* what) {
        return name + (name.ends_with("in_proj") ? "_" : ".") + what;
    }

    /** A bias is read whenever the file has it; it must be there when the configuration says so. */
    static Tensor bias(const sdk::Weights& at, const std::string& name, int64_t rows, bool required) {
        std::string full = member(name, "bias");
        if (!required && !at.has(full)) return {};
        return at.at(full, {rows});
    }

    static sdk::Linear linear(const sdk::Weights& at, const std::vector<std::string>& parts,
                              const std::vector<int64_t>& rows, int64_t columns, bool with_bias, uint32_t flags = 0) {
        std::vector<Tensor> weights;
        std::vector<Tensor> biases;
        bool any_bias = false;
        for (size_t i = 0; i < parts.size(); ++i) {
            weights.push_back(at.at(member(parts[i], "weight"), {rows[i], columns}));
            biases.push_back(bias(at, parts[i], rows[i], with_bias));
            any_bias |= static_cast<bool>(biases.back());
        }
        if (!any_bias) biases.clear();
        return at.pack(weights, biases, parts[0], flags);
    }

    /** Persimmon stores q, k and v of a head together; the rest of this plugin wants all q, then all k, then all v. */
    sdk::Linear per_head_qkv(const sdk::Weights& at, const std::string& name) const {
        int64_t rows = config_.qkv_size();
        Tensor weight = at.at(name + ".weight", {rows, config_.hidden_size});
        Tensor shift = bias(at, name, rows, config_.qkv_bias);
        std::vector<char> weight_bytes = regroup(weight);
        std::vector<char> shift_bytes;
        const int64_t shape[] = {rows, config_.hidden_size};
        std::vector<Tensor> biases;
        if (shift) {
            shift_bytes = regroup(shift);
            biases.emplace_back(shift_bytes.data(), shift.dtype(), std::span(shape).first(1));
        }
        return at.pack({Tensor(weight_bytes.data(), weight.dtype(), shape)}, biases, name);
    }

    /** Rows [heads, 3, head_dim] to rows [3, heads, head_dim]. */
    std::vector<char> regroup(const Tensor& from) const {
        if (!from.on_cpu() || !from.compact()) throw sdk::internal("a weight of the file is not compact CPU memory");
        auto heads = static_cast<size_t>(config_.heads);
        size_t head_bytes = static_cast<size_t>(from.elements()) / (3 * heads) * sdk::dtype_size(from.dtype());
        std::vector<char> to(3 * heads * head_bytes);
        const char* data = static_cast<const char*>(from.get()->view.data) + from.get()->view.byte_offset;
        for (size_t h = 0; h < heads; ++h) {
            for (size_t part = 0; part < 3; ++part) {
                std::memcpy(&to[(part * heads + h) * head_bytes], data + (h * 3 + part) * head_bytes, head_bytes);
            }
        }
        return to;
    }

    sdk::Linear head() const {
        std::string name;
        for (const char* root : kHeadRoots) {
            if (name.empty() && all_.has(root + names_.head + ".weight")) name = root + names_.head;
        }
        // As transformers 5: a head that the checkpoint has is used, whatever config.json says of ties.
        bool tied = name.empty();
        if (tied && !config_.tie_embeddings && config_.tie_explicit) {
            throw sdk::not_found("weight '" + names_.head +
                                 ".weight' is missing from the checkpoint, and config.json says that it is not tied to "
                                 "the embeddings");
        }
        std::vector<std::string> parts{tied ? own_.prefix().substr(all_.prefix().size()) + names_.embedding : name};
        std::vector<int64_t> rows{config_.vocab_size};
        if (config_.extra_vocab > 0) {
            parts.push_back(tied ? own_.prefix().substr(all_.prefix().size()) + names_.extra_embedding
                                 : name + names_.extra_head.substr(names_.head.size()));
            rows.push_back(config_.extra_vocab);
        }
        return linear(all_, parts, rows, config_.embed_size, false, VLM_LINEAR_KEEP_PRECISION);
    }

    MlpWeights mlp(const sdk::Weights& at, const LayerNames& n) const {
        MlpWeights m;
        int64_t width = config_.intermediate;
        int64_t input = config_.hidden_size;
        if (!n.gate_up.empty()) {
            m.up = linear(at, {n.gate_up}, {2 * width}, input, config_.mlp_bias);
        } else if (config_.gated) {
            m.up = linear(at, {n.gate, n.up}, {width, width}, input, config_.mlp_bias);
        } else {
            m.up = linear(at, {n.up}, {width}, input, config_.mlp_bias);
        }
        m.inner_norm = optional_norm(at, n.mlp_inner_norm, width);
        m.down = linear(at, {n.down}, {input}, width, config_.mlp_bias);
        return m;
    }

    LayerWeights layer(int32_t index) const {
        LayerNames n = layer_names(config_);
        sdk::Weights at = own_.under("layers." + std::to_string(index) + ".");
        int64_t q = int64_t{config_.heads} * config_.head_dim;
        int64_t kv = int64_t{config_.kv_heads} * config_.head_dim;
        int64_t width = config_.hidden_size;
        LayerWeights w;
        w.attention_norm = norm(at, n.attention_norm, width);
        if (config_.naming == Naming::persimmon) {
            w.qkv = per_head_qkv(at, n.qkv);
        } else if (!n.qkv.empty()) {
            w.qkv = linear(at, {n.qkv}, {config_.qkv_size()}, width, config_.qkv_bias);
        } else {
            w.qkv = linear(at, {n.q, n.k, n.v}, {q, kv, kv}, width, config_.qkv_bias);
        }
        if (config_.qk_norm) {
            w.q_norm = norm(at, n.q_norm, config_.head_dim);
            w.k_norm = norm(at, n.k_norm, config_.head_dim);
        }
        w.inner_norm = optional_norm(at, n.inner_norm, q);
        w.out = linear(at, {n.out}, {width}, q, config_.attention_out_bias);
        w.post_attention_norm = optional_norm(at, n.post_attention_norm, width);
        w.mlp_norm = norm(at, n.mlp_norm, width);
        w.mlp = mlp(at, n);
        w.post_mlp_norm = optional_norm(at, n.post_mlp_norm, width);
        return w;
    }

    /** tanh of a gate: one number, or one per element. */
    sdk::Kept gate(const sdk::Weights& at, const std::string& name) const {
        Tensor source = at.at(name);
        if (source.elements() != 1 && source.elements() != config_.hidden_size) {
            throw sdk::invalid_argument("weight '" + at.prefix() + name + "': has shape " +
                                        sdk::to_string(source.shape()) + ", expected 1 or " +
                                        std::to_string(config_.hidden_size) + " elements");
        }
        std::vector<float> values = sdk::to_floats(source);
        for (float& v : values) v = std::tanh(v);
        return keep_floats(values, source.elements(), VLM_DTYPE_F32);
    }

    CrossWeights cross_layer(int32_t index) const {
        LayerNames n = cross_names();
        sdk::Weights at = own_.under("gated_cross_attn_layers." + std::to_string(index) + ".");
        int64_t q = int64_t{config_.heads} * config_.head_dim;
        CrossWeights w;
        w.attention_norm = norm(at, n.attention_norm, config_.hidden_size);
        w.q = linear(at, {n.q}, {q}, config_.hidden_size, false);
        w.kv = linear(at, {n.k, n.v}, {q, q}, config_.visual_size, false);
        if (config_.cross_qk_norm) {
            w.q_norm = norm(at, n.q_norm, config_.head_dim);
            w.k_norm = norm(at, n.k_norm, config_.head_dim);
        }
        w.out = linear(at, {n.out}, {config_.hidden_size}, q, false);
        w.attention_gate = gate(at, "alpha_cross_attn");
        w.mlp_norm = norm(at, n.mlp_norm, config_.hidden_size);
        w.mlp = mlp(at, n);
        w.mlp_gate = gate(at, "alpha_dense");
        return w;
    }

    const DecoderConfig& config_;
    const sdk::Weights& all_;
    ModelNames names_;
    sdk::Weights own_;
};

}  // namespace

ModelWeights load_weights(const DecoderConfig& config, const sdk::Weights& weights) {
    return Loader(config, weights).load();
}

}  // namespace vlm::decoder
