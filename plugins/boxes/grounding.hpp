/** @file grounding.hpp
 *  Reads the markup of grounded text:
 *
 *      an image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> by a fire
 *
 *  A pair of patch indices names the upper left and the lower right cell of a grid over the image. The rules are those
 * of `clean_text_and_extract_entities_with_bboxes` (processing_kosmos2.py of transformers), except that positions count
 * bytes of UTF-8 and not characters. What does not follow the grammar is text; a model may stop anywhere.
 */
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::boxes {

/** Left, top, right, bottom, 0 to 1 of the image. */
using Box = std::array<double, 4>;

/** A phrase and where it is seen. */
struct Entity {
    std::string phrase;      ///< Without surrounding spaces; empty for boxes without a phrase.
    int64_t begin = 0;       ///< Bytes in the clean text …
    int64_t end = 0;         ///< … half open.
    std::vector<Box> boxes;  ///< At least one.
};

/** Grounded text, read. */
struct Grounded {
    std::string text;  ///< Without tags and surrounding spaces.
    std::vector<Entity> entities;
};

/** Box of the cells `first` (upper left) and `last` (lower right) of a grid of `side` x `side`. Boxes of one cell, or
 * within one row or column, reach to the edges of the cells; others from centre to centre. */
Box box_of_cells(int64_t first, int64_t last, int64_t side);

/** Reads `text`. Pairs with an index outside the grid are dropped. */
Grounded read_grounded(std::string_view text, int64_t side);

}  // namespace vlm::boxes
