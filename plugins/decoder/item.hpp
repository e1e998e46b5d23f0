/** @file item.hpp
 *  One request of a batch while it runs.
 *
 *  Linear layers see the rows of all requests at once; attention sees one request. An Item is what belongs to the
 * request: its rows, its live positions, and the tables that its attention needs in the current span of layers.
 */
#pragma once
#include <map>
#include <vector>
#include <vlm/sdk/layout.hpp>
#include <vlm/sdk/ops.hpp>

#include "context.hpp"
#include "sequence.hpp"

namespace vlm::decoder {

/** A mask on the device. */
struct DeviceMask {
    uint32_t rule = VLM_MASK_CAUSAL;
    sdk::Scratch begin;
    sdk::Scratch end;
    sdk::Scratch visible;
};

/** A request on its way through the layers. */
struct Item {
    /** Copies the structs of `source`, whatever version wrote them, and checks what can be checked without tensors.
     *  Throws INVALID_ARGUMENT. */
    explicit Item(vlm_backbone_request& source);

    vlm_backbone_request* target;  ///< For what the plugin writes.
    vlm_backbone_request request;  ///< With pointers to the copies below.
    std::vector<vlm_segment> segments;
    std::vector<const vlm_segment*> segment_pointers;
    std::vector<vlm_visual_input> images;
    std::vector<const vlm_visual_input*> image_pointers;
    std::vector<sdk::Layout> layouts;
    Context* context;
    Sequence sequence;

    // What the reducers have left; changes between layers.
    Positions positions;             ///< `row` counts within the item.
    std::vector<int32_t> input_row;  ///< Row of the request that each row was at first.
    std::vector<float> sizes;
    std::vector<int32_t> image_of_row;
    std::vector<uint8_t> keep;
    int64_t first = 0;  ///< First row in the batch.
    int64_t pruned = 0;
    bool merged = false;   ///< Position p is not simply row p.
    bool reduced = false;  ///< A reducer has dropped or merged rows between layers.
    bool compact = false;  ///< Keys are cached un-rotated, one per row.

    // Tables of the current span of layers.
    sdk::Scratch map;  ///< [positions] i32 row of each position; only when merged.
    sdk::Scratch cos;  ///< [positions, frequencies]; only when the batch's table does not serve.
    sdk::Scratch sin;
    sdk::Scratch key_rows;  ///< Compact: [keys] i32.
    sdk::Scratch key_cos;   ///< Compact: [keys, frequencies].
    sdk::Scratch key_sin;
    std::map<int64_t, DeviceMask> masks;  ///< By window.
    std::vector<NewKeys> spans;           ///< What the run adds, one entry per span.

    // Cross-attention.
    sdk::Scratch memory;               ///< [rows, visual_size] tokens of the new images.
    std::vector<int64_t> memory_rows;  ///< Rows of each new image.
    DeviceMask memory_mask;

    // For reducers.
    sdk::Scratch scores;  ///< [rows] attention of the last row in the previous layer, mean over positions.
    sdk::Scratch score_sums;
    sdk::Scratch keys;  ///< [rows, head_dim] keys of the previous layer, mean over heads.

    int64_t rows() const { return static_cast<int64_t>(image_of_row.size()); }
    int64_t live() const { return static_cast<int64_t>(positions.size()); }
    /** Keys that attention in `layer` sees, the new ones included. */
    int64_t keys_in(int32_t layer) const { return context->keys(layer).size() + live(); }
};

}  // namespace vlm::decoder
