/** @file prune.cpp
 *  The hook between two layers: reducers look at the rows of a prefill and drop or merge visual ones.
 *
 *  Kept rows keep their original positions. The keys that earlier layers have cached stay; layers from here on never
 * see what was dropped, so their caches are shorter (FastV, arXiv 2403.06764).
 */
#include <algorithm>
#include <string>
#include <vlm/sdk/structs.hpp>

#include "forward.hpp"
#include "upload.hpp"

namespace vlm::decoder {
void Forward::ask_needs() {
    needs_.assign(static_cast<size_t>(config_.layers) + 1, 0);
    bool visual = std::any_of(items_.begin(), items_.end(), [](const Item& item) { return item.sequence.visual; });
    if (!hooks_ || !visual) return;
    for (int32_t layer = 0; layer < config_.layers; ++layer) {
        needs_[static_cast<size_t>(layer)] = hooks_.needs(VLM_SITE_BACKBONE_LAYER, layer, config_.layers);
    }
}

bool Forward::wants(const Item& item, int32_t layer, uint32_t need) const {
    return item.sequence.visual && (needs_[static_cast<size_t>(layer)] & need) != 0;
}

void Forward::keep_scores(Item& item, const sdk::Tensor& key_scores) {
    int64_t live = item.live();
    sdk::Tensor own = key_scores.rows(key_scores.size(0) - live, live);
    if (!item.merged) {
        item.scores = ops_.copied(own, VLM_DTYPE_F32);
        item.score_sums = ops_.copied(own, VLM_DTYPE_F32);
        return;
    }
    item.scores = ops_.create({item.rows()}, VLM_DTYPE_F32);
    item.score_sums = ops_.create({item.rows()}, VLM_DTYPE_F32);
    sdk::Tensor column = item.scores.reshape({item.rows(), 1});
    ops_.scatter_mean(own.reshape({live, 1}), item.map, {}, column);
    ops_.multiply(item.scores, to_device(ops_, item.sizes), item.score_sums);
}

void Forward::keep_keys(Item& item, const sdk::Tensor& qkv) {
    int64_t q_width = int64_t{config_.heads} * config_.head_dim;
    int64_t kv_width = int64_t{config_.kv_heads} * config_.head_dim;
    sdk::Scratch heads = ops_.copied(qkv.columns(q_width, kv_width).split_last(config_.kv_heads));
    item.keys = ops_.create({item.rows(), config_.head_dim});
    ops_.mean(heads, 1, item.keys);
}

bool Forward::reduce(int32_t layer) {
    if (needs_[static_cast<size_t>(layer)] == 0) return false;
    std::vector<std::vector<int32_t>> maps(items_.size());
    std::vector<int64_t> counts(items_.size(), 0);
    bool any = false;
    for (size_t i = 0; i < items_.size(); ++i) {
        if (!items_[i].sequence.visual) continue;
        maps[i] = ask_reducers(items_[i], layer, counts[i]);
        any |= !maps[i].empty();
    }
    if (!any) return false;

    // The whole batch is rebuilt at once: groups of all items behind each other.
    std::vector<int32_t> groups;
    std::vector<float> sizes;
    int64_t total = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
        const Item& item = items_[i];
        for (int64_t row = 0; row < item.rows(); ++row) {
            int32_t group = maps[i].empty() ? static_cast<int32_t>(row) : maps[i][static_cast<size_t>(row)];
            groups.push_back(group < 0 ? -1 : group + static_cast<int32_t>(total));
        }
        sizes.insert(sizes.end(), item.sizes.begin(), item.sizes.end());
        total += maps[i].empty() ? item.rows() : counts[i];
    }
    sdk::Scratch rest = ops_.create({total, config_.hidden_size});
    ops_.scatter_mean(x_, to_device(ops_, std::move(groups)), to_device(ops_, std::move(sizes)), rest);
    x_ = std::move(rest);
    for (size_t i = 0; i < items_.size(); ++i) {
        if (maps[i].empty()) continue;
        apply(items_[i], maps[i], counts[i]);
        begin_item_span(items_[i], layer);
    }
    number_rows();
    if (config_.positions == PositionKind::rotary) make_batch_rotation();
    return true;
}

std::vector<int32_t> Forward::ask_reducers(Item& item, int32_t layer, int64_t& groups) {
    std::vector<int32_t> origins(static_cast<size_t>(item.rows()), -1);
    for (size_t p = 0; p < item.positions.size(); ++p) {
        int32_t& origin = origins[static_cast<size_t>(item.positions.row[p])];
        if (origin < 0) origin = item.positions.index[p];
    }
    std::vector<uint8_t> keep = item.keep;
    keep[static_cast<size_t>(item.positions.row.back())] = 1;  // its logits are what the run is for
    sdk::Scratch images = to_device(ops_, item.image_of_row);
    sdk::Scratch origin_tensor = to_device(ops_, std::move(origins));
    sdk::Scratch keep_tensor = to_device(ops_, keep);
    sdk::Scratch sizes;
    if (item.merged) sizes = to_device(ops_, item.sizes);
    sdk::Tensor hidden = rows_of(x_, item);

    auto view = sdk::make_struct<vlm_token_view>();
    view.site = VLM_SITE_BACKBONE_LAYER;
    view.layer = layer;
    view.layers = config_.layers;
    view.image = -1;
    view.tokens = item.rows();
    view.hidden = wants(item, layer, VLM_NEED_HIDDEN) ? hidden.get() : nullptr;
    view.keys = item.keys.get();
    view.scores = item.scores.get();
    view.score_sums = item.score_sums.get();
    view.sizes = sizes.get();
    view.images = images.get();
    view.origins = origin_tensor.get();
    view.keep = keep_tensor.get();
    view.host_images = item.image_of_row.data();
    view.host_keep = keep.data();
    const vlm_token_map* answer = hooks_.reduce(view);
    if (answer == nullptr) return {};
    auto map = sdk::read_struct(answer, "token map");
    sdk::Tensor tensor(map.groups, "token map: groups");
    if (map.group_count < 1 || map.group_count > item.rows() || tensor.elements() < item.rows()) {
        throw sdk::internal("token map: " + std::to_string(map.group_count) + " groups for " +
                            std::to_string(item.rows()) + " rows");
    }
    groups = map.group_count;
    std::vector<int32_t> result = ops_.download<int32_t>(tensor.rows(0, item.rows()));
    std::vector<int32_t> members(static_cast<size_t>(groups), 0);
    for (int32_t group : result) {
        if (group >= groups || group < -1) throw sdk::internal("token map: a group lies outside the number of groups");
        if (group >= 0) ++members[static_cast<size_t>(group)];
    }
    for (size_t row = 0; row < result.size(); ++row) {
        bool alone = result[row] >= 0 && members[static_cast<size_t>(result[row])] == 1;
        if (item.image_of_row[row] < 0 && !alone) {
            throw sdk::failed_precondition("token map: a reducer dropped or merged text row " + std::to_string(row) +
                                           "; in a decoder only visual rows may be reduced");
        }
    }
    if (std::count(members.begin(), members.end(), 0) > 0) throw sdk::internal("token map: a group is empty");
    return result;
}

void Forward::apply(Item& item, const std::vector<int32_t>& groups, int64_t count) {
    auto rows = static_cast<size_t>(count);
    std::vector<int32_t> input_row(rows, -1);
    std::vector<int32_t> image(rows, -1);
    std::vector<float> sizes(rows, 0.0f);
    std::vector<uint8_t> keep(rows, 0);
    for (size_t row = 0; row < groups.size(); ++row) {
        if (groups[row] < 0) continue;
        auto to = static_cast<size_t>(groups[row]);
        if (input_row[to] < 0) {
            input_row[to] = item.input_row[row];
            image[to] = item.image_of_row[row];
        }
        sizes[to] += item.sizes[row];
        keep[to] |= item.keep[row];
    }
    Positions rest;
    bool merged = false;
    for (size_t p = 0; p < item.positions.size(); ++p) {
        int32_t row = groups[static_cast<size_t>(item.positions.row[p])];
        if (row < 0) {
            ++item.pruned;
            continue;
        }
        merged |= row != static_cast<int32_t>(rest.size());
        rest.row.push_back(row);
        rest.index.push_back(item.positions.index[p]);
        rest.image.push_back(item.positions.image[p]);
        for (size_t a = 0; a < rest.place.size(); ++a) {
            if (!item.positions.place[a].empty()) rest.place[a].push_back(item.positions.place[a][p]);
        }
    }
    item.reduced = true;
    item.merged = merged || rest.size() != rows;
    item.positions = std::move(rest);
    item.input_row = std::move(input_row);
    item.image_of_row = std::move(image);
    item.sizes = std::move(sizes);
    item.keep = std::move(keep);
}

}  // namespace vlm::decoder
