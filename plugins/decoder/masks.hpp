/** @file masks.hpp
 *  Who sees whom, as a rule that attention kernels take.
 *
 *  Almost every mask is a range of keys per row, and plain causal attention is a rule without any table. Only
 * arrangements that no range describes (text in front of an image under the prefix mask) become a dense matrix.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "config.hpp"

namespace vlm::decoder {

/** What a mask needs to know about keys: one entry each, oldest first. */
struct KeyInfo {
    std::span<const int32_t> index;  ///< Index in the unreduced sequence; rising.
    std::span<const int32_t> image;  ///< Image number, -1: text.
};

/** A mask of `rows` x `keys`. */
struct Mask {
    uint32_t rule = 0;             ///< VLM_MASK_*.
    std::vector<int32_t> begin;    ///< RANGES: first key of each row.
    std::vector<int32_t> end;      ///< RANGES: behind the last key of each row.
    std::vector<uint8_t> visible;  ///< DENSE: [rows, keys].
};

/** The mask of the last `rows` of the keys: the new positions.
 *  `window` is the sliding window in tokens, the row itself included; 0: none.
 *  `first_run` is true when the context was empty before these rows. */
Mask make_mask(MaskKind kind, int64_t window, bool first_run, const KeyInfo& keys, int64_t rows);

/** Cross-attention: row i sees the keys of image `image_of_row[i]` of the memory, whose images end at `image_ends`. */
Mask make_memory_mask(std::span<const int32_t> image_of_row, std::span<const int64_t> image_ends);

}  // namespace vlm::decoder
