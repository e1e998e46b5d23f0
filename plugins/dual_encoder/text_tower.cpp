/** @file text_tower.cpp
 *  See text_tower.hpp.
 */
#include "text_tower.hpp"

#include <algorithm>
#include <string>

namespace vlm::dual_encoder {

using namespace sdk;

void TextTower::load(const Weights& weights) {
    const auto text = weights.under("text_model.");
    const int64_t d = config_.hidden_size;
    const Tensor table = text.at("embeddings.token_embedding.weight", {config_.vocab_size, d});
    embedding_ = text.keep(table, table.dtype());
    positions_ = text.keep(text.at("embeddings.position_embedding.weight", {config_.max_positions, d}));
    const EncoderLayerNames names{"layer_norm1",        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                  "self_attn.out_proj", "layer_norm2",      "mlp.fc1",          "mlp.fc2"};
    for (int32_t i = 0; i < config_.layers; ++i)
        layers_.push_back(
            EncoderLayer::load(text.under("encoder.layers." + std::to_string(i) + "."), names, layer_config()));
    norm_ = text.vector("final_layer_norm.weight", d);
    norm_bias_ = text.vector("final_layer_norm.bias", d);
    projection_ = config_.bidirectional ? text.linear("head", config_.projection_size, d)
                                        : weights.linear("text_projection", config_.projection_size, d);
}

void TextTower::describe(vlm_backbone_description& d) const {
    // Images are compared with texts, so their embeddings must be as wide.
    d.hidden_size = config_.projection_size;
    d.output_size = config_.projection_size;
    d.max_positions = config_.max_positions;
    d.layers = config_.layers;
    d.output = VLM_OUTPUT_EMBEDDING;
    d.delivery = VLM_DELIVERY_INLINE;
}

std::unique_ptr<BackboneContext> TextTower::make_context(const Run& /*run*/, int64_t /*max_tokens*/) const {
    throw unimplemented("a text tower keeps no conversation");
}

BackbonePlan TextTower::plan(const vlm_backbone_request& request) const {
    int64_t rows = 0;
    for (uint32_t i = 0; i < request.segment_count; ++i) rows += read_struct(request.segments[i], "segment").count;
    BackbonePlan plan;
    plan.output_rows = 1;
    plan.workspace_bytes =
        std::min(rows, config_.max_positions) * (8 * config_.hidden_size + config_.intermediate_size) * 4;
    return plan;
}

TextTower::Batch TextTower::collect(const Ops& ops, std::span<vlm_backbone_request> requests) const {
    Batch batch;
    for (const auto& request : requests) {
        const auto first = static_cast<int32_t>(batch.ids.size());
        for (uint32_t i = 0; i < request.segment_count; ++i) {
            const auto segment = read_struct(request.segments[i], "segment");
            if (segment.kind != VLM_SEGMENT_TEXT)
                throw invalid_argument("a text tower takes text; images are compared with its output");
            if (segment.count > config_.max_positions)
                throw invalid_argument("the text has " + std::to_string(segment.count) + " tokens, the model takes " +
                                       std::to_string(config_.max_positions) + "; shorten it");
            if (segment.ids != nullptr) {
                batch.ids.insert(batch.ids.end(), segment.ids, segment.ids + segment.count);
            } else {
                const auto ids = ops.download<int32_t>(Tensor(segment.device_ids, "device_ids"));
                batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
            }
        }
        const auto end = static_cast<int32_t>(batch.ids.size());
        if (end == first) throw invalid_argument("the text is empty; give at least one token");
        if (end - first > config_.max_positions)
            throw invalid_argument("the text has " + std::to_string(end - first) + " tokens, the model takes " +
                                   std::to_string(config_.max_positions) + "; shorten it");
        const int32_t* ids = batch.ids.data() + first;
        for (int32_t i = 0; i < end - first; ++i) {
            if (ids[i] < 0 || ids[i] >= config_.vocab_size)
                throw invalid_argument("token id " + std::to_string(ids[i]) + " is outside the vocabulary of " +
                                       std::to_string(config_.vocab_size));
            batch.positions.push_back(i);
            batch.begins.push_back(first);
            batch.ends.push_back(config_.bidirectional ? end : first + i + 1);
        }
        const int32_t pooled = pooled_row(config_, ids, end - first);
        batch.pooled.push_back(first + pooled);
        if (request.row_of_output != nullptr)
            Tensor(request.row_of_output, "row_of_output").span<int32_t>()[0] = pooled;
    }
    return batch;
}

void TextTower::run(const Run& run, std::span<vlm_backbone_request> requests) const {
    if (requests.empty()) return;
    const Ops ops(run);
    Batch batch = collect(ops, requests);
    const auto upload = [&](std::vector<int32_t>& values) {
        const auto count = static_cast<int64_t>(values.size());
        HostTensor<int32_t> host(std::move(values), {count});
        return ops.copied(host.view(), VLM_DTYPE_I32);
    };
    const Scratch begins = upload(batch.begins), ends = upload(batch.ends);
    Scratch x = ops.gather(embedding_, upload(batch.ids));
    ops.add(x, ops.gather(positions_, upload(batch.positions)), x);
    for (size_t i = 0; i < layers_.size(); ++i) {
        run.poll();
        layers_[i].forward(ops, layer_config(), begins, ends, x);
        run.progress(i + 1, layers_.size());
    }
    if (run.tapped()) run.tap("text.last_hidden", ops.layer_norm(x, norm_, norm_bias_, config_.norm_eps));
    const Scratch pooled = ops.layer_norm(ops.gather(x, upload(batch.pooled)), norm_, norm_bias_, config_.norm_eps);
    const Scratch embeddings = ops.linear(projection_, pooled);
    for (size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].output != nullptr)
            ops.copy(embeddings.rows(static_cast<int64_t>(i), 1), Tensor(requests[i].output, "output").rows(0, 1));
        requests[i].output_rows = 1;
    }
}

}  // namespace vlm::dual_encoder
