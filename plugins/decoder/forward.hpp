/** @file forward.hpp
 *  One run of the decoder over a batch of requests.
 *
 *  Rows of all requests are concatenated, so that norms and linear layers read the weights once; attention runs request
 * by request on slices. A request therefore computes what it would compute alone. A reducer may drop or merge rows
 * between layers, after which the batch is simply shorter.
 */
#pragma once
#include <span>
#include <vector>
#include <vlm/sdk/hooks.hpp>
#include <vlm/sdk/ops.hpp>

#include "config.hpp"
#include "item.hpp"
#include "weights.hpp"

namespace vlm::decoder {

class Forward {
  public:
    Forward(const DecoderConfig& config, const ModelWeights& weights, const sdk::Run& run);

    /** Runs `requests` and commits their contexts. When anything fails no context has changed.
     *  Throws RESOURCE_EXHAUSTED before any work when a context would overflow, INVALID_ARGUMENT for a malformed
     * request, CANCELLED. */
    void run(std::span<vlm_backbone_request> requests);

  private:
    // forward.cpp: the batch
    /** Whether merged rows of an item are cached once, as the option `unmerge` says. */
    bool pays_compact(const Item& item) const;
    void prepare(std::span<vlm_backbone_request> requests);
    std::vector<ImageMap> read_maps(const vlm_backbone_request& request);
    void run_layers();
    void number_rows();
    void commit();
    sdk::Tensor rows_of(const sdk::Tensor& batch, const Item& item) const;

    // embed.cpp: tokens to rows
    void embed();
    void embed_text(std::vector<int32_t> ids, sdk::Tensor& rows);
    void embed_device_text(const vlm_segment& segment, sdk::Tensor& rows);
    void scale(sdk::Tensor& rows) const;
    void embed_image(const Item& item, const Piece& piece, sdk::Tensor& rows);
    void add_positions();
    void add_modalities();
    void tap_places() const;
    void read_memory();

    // geometry.cpp: tables of a span of layers
    /** Axes of positions. */
    size_t axes() const;
    /** Whether the rotations of compact keys are made in every run from where they stand: a device would have to be
     * waited for to keep them. */
    bool rotates_from_places() const;
    bool is_plain(const Item& item) const;
    void begin_span(int32_t layer);
    void begin_item_span(Item& item, int32_t layer);
    void make_rotation(Item& item);
    void make_compact_keys(Item& item, NewKeys& fresh, const KeyList& past);
    void make_batch_rotation();
    vlm_rope_spec rope_spec(const std::vector<float>& frequencies) const;
    const DeviceMask& mask_of(Item& item, int32_t layer);
    DeviceMask upload(const Mask& mask, int64_t rows, int64_t keys) const;

    // layer.cpp: one layer
    void norm(const NormWeights& weights, const sdk::Tensor& x, sdk::Tensor& y) const;
    void norm_heads(const NormWeights& weights, sdk::Tensor heads) const;
    void layer(int32_t index);
    sdk::Scratch attend(const LayerWeights& weights, int32_t index);
    void attend_item(Item& item, int32_t index, const sdk::Tensor& qkv, sdk::Tensor out);
    void finish_branch(const sdk::Linear& last, const sdk::Tensor& input, const NormWeights& post,
                       const NormWeights& after);
    sdk::Scratch mlp(const MlpWeights& weights, const sdk::Tensor& x) const;
    void cross_layer(int32_t index);
    void tap_rows(const std::string& name, const sdk::Tensor& batch) const;

    // prune.cpp: the hook between layers
    void ask_needs();
    bool wants(const Item& item, int32_t layer, uint32_t need) const;
    void keep_scores(Item& item, const sdk::Tensor& key_scores);
    void keep_keys(Item& item, const sdk::Tensor& qkv);
    bool reduce(int32_t layer);
    std::vector<int32_t> ask_reducers(Item& item, int32_t layer, int64_t& groups);
    void apply(Item& item, const std::vector<int32_t>& groups, int64_t count);

    // output.cpp: rows to logits
    void output();
    bool needs_mean(const Item& item) const;
    void write_hidden(const sdk::Tensor& normed);
    void soft_cap(sdk::Tensor& logits) const;

    const DecoderConfig& config_;
    const ModelWeights& weights_;
    const sdk::Run& run_;
    sdk::Ops ops_;
    sdk::Hooks hooks_;
    std::vector<Item> items_;
    sdk::Scratch x_;    ///< [rows, hidden] of all items.
    sdk::Scratch cos_;  ///< [rows, frequencies], for the items that are plain.
    sdk::Scratch sin_;
    std::vector<std::pair<int64_t, int64_t>> plain_runs_;  ///< First row and rows of neighbouring plain items.
    std::vector<float> frequencies_;  ///< Inverse frequencies when they do not depend on the length.
    std::vector<int32_t> axes_;       ///< Axis of each frequency; empty: one axis.
    std::vector<uint32_t> needs_;     ///< What reducers need in front of each layer.
    int64_t rows_ = 0;
};

}  // namespace vlm::decoder
