/** @file rows.hpp
 *  Cuts a photographed or scanned page into images of single rows of text.
 *
 *  A small model reads rows well and pages badly, so the page is cut by classical means first. The order of the steps
 * matters: the light is divided out, so that one threshold serves the whole page; the page is turned level and
 * its perspective undone, because only level rules are long runs of ink; rules and frames are wiped, because they would
 * join rows; then the row profile is cut.
 *
 *  tools/train/rows.py is the same algorithm in numpy, for measuring during training. On clean pages both give equal
 * bytes, which a test holds; what is done about noise (page_noise.hpp), tables around a page (surroundings.hpp),
 * perspective (keystone.hpp) and columns of uneven height is done here only.
 */
#pragma once
#include <array>
#include <vector>

#include "host/image/draw.hpp"
#include "host/image/image.hpp"

namespace vlm {

/** Lengths are in pixels of a page of common size, about 1000 to 2000 on its longer side; see `max_side`. */
struct RowOptions {
    int max_side = 2000;       ///< a page with a longer side is first shrunk to this; 0: never
    int ink = 190;             ///< below this, of 255 for paper, a pixel is ink
    double max_angle = 4.0;    ///< degrees of slope that are looked for
    int rule = 80;             ///< longer straight runs of ink are rules or frames
    int min_band = 7;          ///< lower rows are specks or leftovers of rules
    int row_height = 32;       ///< of a row image
    int max_row_width = 1024;  ///< of a row image
    int width_step = 16;       ///< widths of row images are multiples of this
    double margin = 0.16;      ///< white above and below the text, as a fraction of its height
    double max_gap = 1.25;     ///< blank stretches are cut down to this many text heights
};

/** The perspective of a photograph taken askew, to first order, relative to the centre of the level page. All zero for
 * a scan. */
struct Keystone {
    double fan = 0.0;    ///< growth of the rows' slope per pixel downwards
    double lean = 0.0;   ///< slope of the columns at the centre: pixels to the right per pixel downwards
    double splay = 0.0;  ///< growth of the columns' slope per pixel to the right
    bool operator==(const Keystone&) const = default;
};

/** A page with even light, level rows and no rules. */
struct LevelPage {
    Image gray;          ///< [height, width, 1]; paper is 255
    Image ink;           ///< [height, width, 1]; 1 where there is ink that is not a speck
    double angle = 0.0;  ///< degrees by which the rows of the page sloped down to the right
    Keystone keystone;   ///< what was undone besides
    double scale = 1.0;  ///< width of this page / width of the page given
};

struct PointF {
    float x = 0;
    float y = 0;
};

/** One row of text. */
struct Row {
    PixelBox box;                   ///< on the level page
    std::array<PointF, 4> corners;  ///< on the page as given: top left, top right, bottom right, bottom left
};

/** Evens the light, turns the page level and wipes rules.
 *  @throws Error INVALID_ARGUMENT for an inconsistent picture or options that are not positive. */
LevelPage level_page(const Image& page, const RowOptions& options = {});

/** The rows in reading order: from top to bottom, within a row of columns from left to right. Parts of a band that wide
 * gaps separate are one row (a table's cells belong together), unless one of them holds several rows: then the page has
 * columns there. */
std::vector<Row> segment_rows(const LevelPage& page, const RowOptions& options = {});

/** level_page() and segment_rows() in one call, for callers that need only the boxes. */
std::vector<Row> segment_rows(const Image& page, const RowOptions& options = {});

/** Which columns of the level page crop_row() takes, from left to right; they may leave the page (paper at both ends).
 */
std::vector<int> row_columns(const LevelPage& page, const PixelBox& box, const RowOptions& options = {});

/** Where crop_row()'s picture of `box` shows the point (`x`, `y`) of the page as given: shares of its width and height.
 * `columns` are those of row_columns(). Outside of 0 to 1 where the picture does not show the point. */
PointF in_row(const LevelPage& page, const PixelBox& box, const std::vector<int>& columns, double x, double y,
              const RowOptions& options = {});

/** The level image of a row: [row_height, W, 1], W a multiple of width_step from 2 * width_step to max_row_width. Wide
 * blanks are shortened and a margin of paper is added.
 *  @throws Error INVALID_ARGUMENT when the box is empty or leaves the page. */
Image crop_row(const LevelPage& page, const PixelBox& box, const RowOptions& options = {});

/** RGB version of a row image that says where along the row a column lies: red is the ink, green a wave of 128 pixels,
 * blue a ramp over 1024. A tower that knows only relative positions learns to read in order much faster with it. */
Image mark_positions(const Image& row);

}  // namespace vlm
