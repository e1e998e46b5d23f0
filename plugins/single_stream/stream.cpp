/** @file stream.cpp
 *  See stream.hpp.
 */
#include "stream.hpp"

#include <algorithm>
#include <string>

namespace vlm::single_stream {

using namespace sdk;

namespace {

Scratch upload(const Ops& ops, std::vector<int32_t> values) {
    const auto count = static_cast<int64_t>(values.size());
    HostTensor<int32_t> host(std::move(values), {count});
    return ops.copied(host.view(), VLM_DTYPE_I32);
}

/** The only block of an image's layout; throws INVALID_ARGUMENT when there are more, or none. */
vlm_token_block single_grid(const vlm_visual_input& image) {
    if (image.row_of_position != nullptr)
        throw invalid_argument("visual tokens: this backbone takes every patch, and some were merged or dropped");
    const Layout layout(image.layout);
    if (layout.blocks().size() != 1 || layout.blocks()[0].kind != VLM_BLOCK_GRID ||
        (layout.blocks()[0].flags & VLM_BLOCK_FLAG_ROW_END) != 0)
        throw invalid_argument("visual tokens: this backbone takes one plain grid of patches per image");
    return layout.blocks()[0];
}

}  // namespace

void Stream::describe(vlm_backbone_description& d) const {
    d.hidden_size = config_.hidden_size;
    d.output_size = config_.classes;
    d.max_positions = -1;
    d.layers = config_.layers;
    d.output = VLM_OUTPUT_CLASSES;
    d.delivery = VLM_DELIVERY_INLINE;
}

std::unique_ptr<BackboneContext> Stream::make_context(const Run& /*run*/, int64_t /*max_tokens*/) const {
    throw unimplemented("a single-stream encoder keeps no conversation");
}

BackbonePlan Stream::plan(const vlm_backbone_request& request) const {
    int64_t rows = 0;
    for (uint32_t i = 0; i < request.segment_count; ++i) rows += read_struct(request.segments[i], "segment").count;
    BackbonePlan plan;
    plan.output_rows = 1;
    plan.workspace_bytes = (rows + config_.images) * (8 * config_.hidden_size + config_.intermediate_size) * 4;
    return plan;
}

std::vector<int32_t> Stream::read_ids(const Ops& ops, const vlm_backbone_request& request) const {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < request.segment_count; ++i) {
        const auto segment = read_struct(request.segments[i], "segment");
        if (segment.kind != VLM_SEGMENT_TEXT) continue;
        const int64_t count = static_cast<int64_t>(ids.size()) + segment.count;
        if (count > config_.max_positions)
            throw invalid_argument("the text has " + std::to_string(count) + " tokens, the model takes " +
                                   std::to_string(config_.max_positions) + "; shorten it");
        if (segment.ids != nullptr) {
            ids.insert(ids.end(), segment.ids, segment.ids + segment.count);
        } else {
            const auto some = ops.download<int32_t>(Tensor(segment.device_ids, "device_ids"));
            ids.insert(ids.end(), some.begin(), some.end());
        }
    }
    if (ids.empty()) throw invalid_argument("the text is empty; ask a question");
    for (const int32_t id : ids)
        if (id < 0 || id >= config_.vocab_size)
            throw invalid_argument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                                   std::to_string(config_.vocab_size));
    return ids;
}

std::vector<Stream::Sequence> Stream::collect(const Ops& ops, std::span<vlm_backbone_request> requests) const {
    std::vector<Sequence> sequences;
    int64_t first = 0;
    for (const auto& request : requests) {
        if (request.image_count != static_cast<uint32_t>(config_.images))
            throw invalid_argument("this model answers about " + std::to_string(config_.images) + " image" +
                                   (config_.images == 1 ? "" : "s") + " at a time, given were " +
                                   std::to_string(request.image_count));
        const auto ids = read_ids(ops, request);
        for (int32_t i = 0; i < config_.images; ++i) {
            const auto image = read_struct(request.images[i], "visual input");
            const auto block = single_grid(image);
            Sequence sequence;
            sequence.ids = ids;
            sequence.patches = Tensor(image.tokens, "visual tokens");
            sequence.patches.expect_shape({block.tokens, config_.hidden_size}, "visual tokens");
            sequence.rows = block.rows;
            sequence.columns = block.columns;
            sequence.type = i + 1;
            sequence.first = first;
            if (config_.max_patches >= 0 && block.tokens > config_.max_patches)
                throw invalid_argument("an image has " + std::to_string(block.tokens) +
                                       " patches; this checkpoint samples " + std::to_string(config_.max_patches) +
                                       " of them at random (max_image_length), which is not supported: give a smaller "
                                       "image");
            first += sequence.length();
            sequences.push_back(std::move(sequence));
        }
    }
    return sequences;
}

void Stream::embed(const Ops& ops, const Sequence& s, Tensor rows) const {
    const auto text = static_cast<int64_t>(s.ids.size());
    const Tensor types = types_;
    const auto type = [&](int64_t index) { return ops.copied(types.rows(index, 1).reshape({config_.hidden_size})); };
    Tensor words = rows.rows(0, text);
    ops.gather(words_, upload(ops, s.ids), words);
    ops.add(words, ops.copied(text_positions_.rows(0, text)), words);
    ops.layer_norm(words, text_norm_, text_norm_bias_, config_.norm_eps, words);
    ops.add(words, type(0), words);

    Tensor image = rows.rows(text, s.length() - text);
    ops.copy(class_token_.reshape({1, config_.hidden_size}), image.rows(0, 1));
    Tensor patches = image.rows(1, image.size(0) - 1);
    const Scratch grid = ops.interpolate(grid_, s.rows, s.columns, VLM_INTERPOLATE_BILINEAR, true, false);
    ops.add(s.patches, ops.copied(grid.reshape({patches.size(0), config_.hidden_size})), patches);
    ops.add(image, type(s.type), image);
}

Scratch Stream::classify(const Ops& ops, const Tensor& pooled) const {
    if (config_.head == Head::rank) return ops.linear(head_, pooled);
    constexpr float kHeadNormEps = 1e-5F;  // nn.LayerNorm's own, not the configuration's
    const Scratch wide = ops.linear(hidden_head_, pooled.reshape({pooled.size(0) / config_.images, hidden_head_.in()}));
    const Scratch normed = ops.layer_norm(wide, head_norm_, head_norm_bias_, kHeadNormEps);
    ops.activation(normed, VLM_ACT_GELU, normed);
    return ops.linear(head_, normed);
}

void Stream::run(const Run& run, std::span<vlm_backbone_request> requests) const {
    if (requests.empty()) return;
    const Ops ops(run);
    const auto sequences = collect(ops, requests);
    const int64_t total = sequences.back().first + sequences.back().length();
    const Scratch x = ops.create({total, config_.hidden_size});
    std::vector<int32_t> begins, ends, heads;
    for (const auto& s : sequences) {
        embed(ops, s, x.rows(s.first, s.length()));
        begins.insert(begins.end(), static_cast<size_t>(s.length()), static_cast<int32_t>(s.first));
        ends.insert(ends.end(), static_cast<size_t>(s.length()), static_cast<int32_t>(s.first + s.length()));
        heads.push_back(static_cast<int32_t>(s.first));
    }
    run.tap("vilt.embeddings", x);
    const Scratch key_begin = upload(ops, std::move(begins)), key_end = upload(ops, std::move(ends));
    for (size_t i = 0; i < layers_.size(); ++i) {
        run.poll();
        layers_[i].forward(ops, layer_config(), key_begin, key_end, x);
        run.progress(i + 1, layers_.size());
    }
    const Scratch last = ops.layer_norm(x, norm_, norm_bias_, config_.norm_eps);
    run.tap("vilt.last_hidden", last);
    const Scratch pooled =
        ops.linear(pooler_, ops.gather(last, upload(ops, std::move(heads))), {.activation = VLM_ACT_TANH});
    run.tap("vilt.pooled", pooled);
    const Scratch scores = classify(ops, pooled);
    for (size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].output != nullptr)
            ops.copy(scores.rows(static_cast<int64_t>(i), 1), Tensor(requests[i].output, "output").rows(0, 1));
        if (requests[i].row_of_output != nullptr)
            Tensor(requests[i].row_of_output, "row_of_output").span<int32_t>()[0] = 0;
        requests[i].output_rows = 1;
    }
}

}  // namespace vlm::single_stream
