/** @file forward.cpp
 *  The run as a whole: check everything, compute, and only then change the contexts.
 */
#include "forward.hpp"

#include <string>

#include "rope.hpp"

namespace vlm::decoder {

Forward::Forward(const DecoderConfig& config, const ModelWeights& weights, const sdk::Run& run)
    : config_(config), weights_(weights), run_(run), ops_(run), hooks_(run) {
    if (config.positions == PositionKind::rotary) {
        frequencies_ = inverse_frequencies(config.rope, config.head_dim, 0);
        axes_ = mrope_axes(config.rope);
    }
}

void Forward::run(std::span<vlm_backbone_request> requests) {
    prepare(requests);
    if (rows_ == 0) return;
    try {
        ask_needs();
        embed();
        read_memory();
        run_layers();
        output();
    } catch (...) {
        for (Item& item : items_) item.context->roll_back();
        throw;
    }
    commit();
}

void Forward::prepare(std::span<vlm_backbone_request> requests) {
    for (vlm_backbone_request& request : requests) {
        Item item(request);
        for (const Item& other : items_) {
            if (other.context == item.context)
                throw sdk::invalid_argument("backbone run: two requests share a context");
        }
        int64_t tokens = count_tokens(config_, item.request);
        if (tokens == 0) throw sdk::invalid_argument("backbone request: it has no tokens");
        int64_t room = item.context->max_tokens() - item.context->tokens();
        if (tokens > room) {
            throw sdk::resource_exhausted("the context of " + std::to_string(item.context->max_tokens()) +
                                          " tokens holds " + std::to_string(item.context->tokens()) +
                                          " and cannot take " + std::to_string(tokens) +
                                          " more; use a larger context or fewer tokens");
        }
        items_.push_back(std::move(item));
    }
    for (Item& item : items_) {
        std::vector<ImageMap> maps = read_maps(item.request);
        item.sequence = flatten(config_, item.request, maps, item.context->start());
        const Sequence& s = item.sequence;
        if (s.rows() == 0) throw sdk::invalid_argument("backbone request: all of its tokens were dropped");
        item.positions = s.positions;
        item.sizes = s.sizes;
        item.image_of_row = s.image_of_row;
        item.keep = s.keep;
        item.merged = s.merged;
        for (int32_t row = 0; row < static_cast<int32_t>(s.rows()); ++row) item.input_row.push_back(row);
        item.compact = item.context->compact() || (s.merged && pays_compact(item));
        if (item.compact)
            item.context->make_compact(static_cast<int32_t>(frequencies_.size()), rotates_from_places() ? axes() : 0);
    }
    number_rows();
}

bool Forward::pays_compact(const Item& item) const {
    if (config_.unmerge != Unmerge::automatic) return config_.unmerge == Unmerge::compact;
    // Reading a prompt costs the same either way. Afterwards every new token rotates all keys again, which has to be
    // earned by the keys that need not be read.
    return 4 * item.rows() <= 3 * item.live();
}

std::vector<ImageMap> Forward::read_maps(const vlm_backbone_request& request) {
    std::vector<ImageMap> maps(request.image_count);
    for (uint32_t i = 0; i < request.image_count; ++i) {
        const vlm_visual_input& image = *request.images[i];
        sdk::Tensor tokens(image.tokens, "visual tokens");
        tokens.expect_shape({-1, config_.visual_size}, "visual tokens");
        maps[i].rows = tokens.size(0);
        if (image.layout == nullptr) continue;
        if (image.row_of_position != nullptr) {
            sdk::Tensor map(image.row_of_position, "row_of_position");
            map.expect_shape({image.layout->tokens}, "row_of_position");
            if (const int32_t* known = image.host_row_of_position)
                maps[i].row_of_position.assign(known, known + image.layout->tokens);
            else
                maps[i].row_of_position = ops_.download<int32_t>(map);
        }
        if (image.keep == nullptr) continue;
        sdk::Tensor keep(image.keep, "visual tokens: keep");
        keep.expect_shape({image.layout->tokens}, "visual tokens: keep");
        if (const uint8_t* known = image.host_keep)
            maps[i].keep.assign(known, known + image.layout->tokens);
        else
            maps[i].keep = ops_.download<uint8_t>(keep);
    }
    return maps;
}

void Forward::number_rows() {
    rows_ = 0;
    for (Item& item : items_) {
        item.first = rows_;
        rows_ += item.rows();
    }
}

sdk::Tensor Forward::rows_of(const sdk::Tensor& batch, const Item& item) const {
    return batch.rows(item.first, item.rows());
}

void Forward::run_layers() {
    for (int32_t index = 0; index < config_.layers; ++index) {
        run_.poll();
        reduce(index);
        begin_span(index);
        if (config_.cross_interval > 0 && index % config_.cross_interval == 0)
            cross_layer(index / config_.cross_interval);
        layer(index);
        run_.progress(static_cast<uint64_t>(index) + 1, static_cast<uint64_t>(config_.layers));
    }
}

void Forward::commit() {
    for (Item& item : items_)
        item.context->commit(item.sequence, item.spans, item.memory_rows, item.pruned, item.reduced);
}

}  // namespace vlm::decoder
