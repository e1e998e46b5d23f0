/** @file geometry.cpp
 *  Tables that all layers of a span share: rotations, masks and the map from positions to rows.
 *
 *  A span ends where the set of keys changes: in front of layer K after pruning, in this run or in an earlier one.
 */
#include <algorithm>
#include <array>
#include <tuple>
#include <vlm/sdk/structs.hpp>

#include "forward.hpp"
#include "rope.hpp"
#include "upload.hpp"

namespace vlm::decoder {
namespace {

/** [axes, n] position ids. */
sdk::HostTensor<int32_t> place_table(const std::array<std::vector<int32_t>, 3>& place, size_t axes) {
    std::vector<int32_t> table;
    table.reserve(axes * place[0].size());
    for (size_t a = 0; a < axes; ++a) table.insert(table.end(), place[a].begin(), place[a].end());
    return {std::move(table), {static_cast<int64_t>(axes), static_cast<int64_t>(place[0].size())}};
}

template <typename T>
std::vector<T> joined(const std::vector<T>& past, const std::vector<T>& fresh) {
    std::vector<T> all;
    all.reserve(past.size() + fresh.size());
    all.insert(all.end(), past.begin(), past.end());
    all.insert(all.end(), fresh.begin(), fresh.end());
    return all;
}

}  // namespace

size_t Forward::axes() const {
    return axes_.empty() ? 1 : 3;
}

bool Forward::rotates_from_places() const {
    // Keys that were cached rotated have the place 0, which turns nothing unless a scale comes with every rotation;
    // and where frequencies change with the length, a key keeps those that it had.
    return !ops_.on_cpu() && config_.positions == PositionKind::rotary && !depends_on_length(config_.rope) &&
           rope_attention_scaling(config_.rope) == 1.0f;
}

bool Forward::is_plain(const Item& item) const {
    return !item.merged && !item.compact && !depends_on_length(config_.rope);
}

vlm_rope_spec Forward::rope_spec(const std::vector<float>& frequencies) const {
    auto spec = sdk::make_struct<vlm_rope_spec>();
    spec.frequencies = static_cast<int32_t>(frequencies.size());
    spec.axes = axes_.empty() ? 1 : 3;
    spec.inv_freq = frequencies.data();
    spec.axis = axes_.empty() ? nullptr : axes_.data();
    spec.attention_scaling = rope_attention_scaling(config_.rope);
    return spec;
}

void Forward::begin_span(int32_t layer) {
    bool batch_changed = layer == 0;
    for (Item& item : items_) {
        bool span_ends = layer == 0 || &item.context->keys(layer) != &item.context->keys(layer - 1);
        if (item.spans.empty() || span_ends) {
            begin_item_span(item, layer);
            batch_changed = true;
        }
    }
    if (batch_changed && config_.positions == PositionKind::rotary) make_batch_rotation();
}

void Forward::begin_item_span(Item& item, int32_t layer) {
    const KeyList& past = item.context->keys(layer);
    NewKeys fresh;
    fresh.first_layer = layer;
    fresh.index = item.positions.index;
    fresh.image = item.positions.image;
    fresh.rows = item.compact ? item.rows() : item.live();
    item.masks.clear();
    if (item.merged) item.map = to_device(ops_, item.positions.row, {item.live()});
    if (config_.positions == PositionKind::rotary && !is_plain(item)) make_rotation(item);
    if (item.compact) make_compact_keys(item, fresh, past);
    // A reducer may act where an earlier run has split the layers already.
    if (!item.spans.empty() && item.spans.back().first_layer == layer) item.spans.pop_back();
    item.spans.push_back(std::move(fresh));
}

void Forward::make_rotation(Item& item) {
    std::vector<float> frequencies = frequencies_;
    if (depends_on_length(config_.rope)) {
        int32_t last = *std::max_element(item.positions.place[0].begin(), item.positions.place[0].end());
        frequencies = inverse_frequencies(config_.rope, config_.head_dim, int64_t{last} + 1);
    }
    auto places = place_table(item.positions.place, axes());
    std::tie(item.cos, item.sin) = ops_.rope_table(rope_spec(frequencies), places.view());
}

void Forward::make_compact_keys(Item& item, NewKeys& fresh, const KeyList& past) {
    std::vector<int32_t> rows = past.row;
    for (int32_t row : item.positions.row) {
        fresh.row.push_back(row);
        rows.push_back(row + static_cast<int32_t>(past.cached_rows));
    }
    int64_t keys = past.size() + item.live();
    item.key_rows = to_device(ops_, std::move(rows), {keys});
    if (config_.positions != PositionKind::rotary) return;
    if (rotates_from_places()) {
        std::array<std::vector<int32_t>, 3> place;
        for (size_t a = 0; a < axes(); ++a) {
            fresh.place[a] = item.positions.place[a];
            place[a] = joined(past.place[a], fresh.place[a]);
        }
        std::tie(item.key_cos, item.key_sin) =
            ops_.rope_table(rope_spec(frequencies_), place_table(place, axes()).view());
        return;
    }
    fresh.cos = ops_.download<float>(item.cos);
    fresh.sin = ops_.download<float>(item.sin);
    auto frequencies = static_cast<int64_t>(frequencies_.size());
    item.key_cos = to_device(ops_, joined(past.cos, fresh.cos), {keys, frequencies});
    item.key_sin = to_device(ops_, joined(past.sin, fresh.sin), {keys, frequencies});
}

void Forward::make_batch_rotation() {
    plain_runs_.clear();
    Positions all;
    for (const Item& item : items_) {
        bool plain = is_plain(item);
        if (plain && !plain_runs_.empty() && plain_runs_.back().first + plain_runs_.back().second == item.first) {
            plain_runs_.back().second += item.rows();
        } else if (plain) {
            plain_runs_.emplace_back(item.first, item.rows());
        }
        // Rows of the other items are rotated with tables of their own; zeros keep the places in step.
        for (size_t a = 0; a < axes(); ++a) {
            std::vector<int32_t>& places = all.place[a];
            if (plain) {
                places.insert(places.end(), item.positions.place[a].begin(), item.positions.place[a].end());
            } else {
                places.insert(places.end(), static_cast<size_t>(item.rows()), 0);
            }
        }
    }
    if (plain_runs_.empty()) return;
    auto places = place_table(all.place, axes());
    std::tie(cos_, sin_) = ops_.rope_table(rope_spec(frequencies_), places.view());
}

const DeviceMask& Forward::mask_of(Item& item, int32_t layer) {
    int64_t window = config_.windows[static_cast<size_t>(layer)];
    auto [at, inserted] = item.masks.try_emplace(window);
    if (!inserted) return at->second;
    const KeyList& past = item.context->keys(layer);
    std::vector<int32_t> index;
    std::vector<int32_t> image;
    bool first_run = item.context->tokens() == 0;
    // One new token under a causal rule is the usual step of generation; it needs no list of keys.
    bool trivial = window <= 0 && (config_.mask == MaskKind::causal || config_.mask == MaskKind::full);
    if (!trivial) {
        index = joined(past.index, item.positions.index);
        image = joined(past.image, item.positions.image);
    }
    Mask mask;
    if (trivial) {
        mask.rule = config_.mask == MaskKind::full ? VLM_MASK_FULL : VLM_MASK_CAUSAL;
    } else {
        mask = make_mask(config_.mask, window, first_run, {index, image}, item.live());
    }
    at->second = upload(mask, item.live(), past.size() + item.live());
    return at->second;
}

DeviceMask Forward::upload(const Mask& mask, int64_t rows, int64_t keys) const {
    DeviceMask device;
    device.rule = mask.rule;
    if (mask.rule == VLM_MASK_RANGES) {
        device.begin = to_device(ops_, mask.begin, {rows});
        device.end = to_device(ops_, mask.end, {rows});
    } else if (mask.rule == VLM_MASK_DENSE) {
        device.visible = to_device(ops_, mask.visible, {rows, keys});
    }
    return device;
}

}  // namespace vlm::decoder
