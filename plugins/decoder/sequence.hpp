/** @file sequence.hpp
 *  The new tokens of one request, flattened: which positions there are, which row of hidden states stands for each.
 *
 *  Positions and rows are two things. A position is a token of the unreduced sequence: it has an index, rotary
 * positions and a place in the mask. A row is what the layers compute. They coincide until a reducer merges visual
 * tokens (one row, several positions) or drops them (no row). Everything behind works on these vectors and never on
 * segments again.
 */
#pragma once
#include <vlm/backbone.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "config.hpp"

namespace vlm::decoder {

/** Live positions in order. Vectors have one entry per position. */
struct Positions {
    std::vector<int32_t> row;                   ///< Row that stands for the position.
    std::vector<int32_t> index;                 ///< Index of the token in the unreduced sequence of the context.
    std::vector<int32_t> image;                 ///< Number of the image in the context, -1: text.
    std::array<std::vector<int32_t>, 3> place;  ///< Position ids: time, row, column; the first alone without M-RoPE.

    size_t size() const { return row.size(); }
};

/** A run of rows with one source. */
struct Piece {
    int64_t first_row = 0;
    int64_t rows = 0;
    const vlm_segment* text = nullptr;  ///< Text: ids of the rows.
    int32_t image = -1;                 ///< Otherwise: index into the request's images.
    std::vector<int32_t> source;        ///< Row of the image for each row.
};

/** What truncation needs to know about each token of the unreduced sequence. */
struct TokenRecord {
    int32_t next_place = 0;     ///< Position id of the token behind this one.
    int32_t memory_image = -1;  ///< Cross-attention: image that this token sees, -1: none.
    int32_t images = 0;         ///< Images that the context has seen up to this token.
};

/** A request, flattened. */
struct Sequence {
    Positions positions;
    std::vector<Piece> pieces;
    std::vector<int32_t> image_of_row;   ///< Index into the request's images, -1: text.
    std::vector<int32_t> memory_of_row;  ///< Cross-attention: image of the context that the row sees, -1: none.
    std::vector<float> sizes;            ///< Original tokens per row.
    std::vector<uint8_t> keep;           ///< Rows that a reducer must not drop.
    std::vector<TokenRecord> records;    ///< One per token, dropped ones included.
    bool visual = false;                 ///< Some rows are visual.
    bool merged = false;                 ///< Position p is not simply row p.
    bool reduced = false;                ///< Visual positions were merged or dropped before the backbone.
    int32_t image_base = 0;              ///< Position id at which the last image of the request begins.

    int64_t rows() const { return static_cast<int64_t>(image_of_row.size()); }
    int64_t tokens() const { return static_cast<int64_t>(records.size()); }
};

/** Host copies of an image's token map. */
struct ImageMap {
    std::vector<int32_t> row_of_position;  ///< Empty: identity.
    std::vector<uint8_t> keep;             ///< Empty: none.
    int64_t rows = 0;
};

/** State of the context before the request. */
struct SequenceStart {
    int32_t index = 0;          ///< Tokens so far.
    int32_t next_place = 0;     ///< Position id of the next token.
    int32_t image_base = 0;     ///< Position id at which the last image began: an image may come in several requests.
    int32_t images = 0;         ///< Images so far.
    int32_t memory_image = -1;  ///< Image that the last token saw.
};

/** Number of tokens that the segments of `request` take. Checks every segment against its image; throws
 * InvalidArgument.
 */
int64_t count_tokens(const DecoderConfig& config, const vlm_backbone_request& request);

/** Flattens a checked request. `maps` has one entry per image. Throws InvalidArgument for a map that points outside. */
Sequence flatten(const DecoderConfig& config, const vlm_backbone_request& request, std::span<const ImageMap> maps,
                 const SequenceStart& start);

}  // namespace vlm::decoder
