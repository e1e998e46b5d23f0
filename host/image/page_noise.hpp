/** @file page_noise.hpp
 *  What level_page() does about pages that are not clean. Internal to host/image.
 *
 *  Row profiles have no tolerance of their own: one dark pixel between two rows joins them. Each function here leaves a
 * clean page exactly as it is, so that tools/train/rows.py, which has none of this, still gives the same rows for it.
 */
#pragma once
#include "host/image/level_page.hpp"

namespace vlm::rows {

/** Whether the ink holds more parts of one or two pixels than print ever breaks into: grain, or salt and pepper. */
bool is_noisy(const Image& ink);

/** Median of each pixel and its eight neighbours (edges repeated): removes grain, keeps strokes of two pixels. */
Image median_3x3(const Image& gray);

/** Ink without connected parts (eight neighbours) of at most `area` pixels. */
Image without_small_parts(const Image& ink, int area);

/** Ink without blots: connected parts lower and narrower than 0.6 letters with no other ink within two letters around
 * them. A letter is the median height of the parts. */
Image without_blots(const Image& ink);

/** Whitens in `gray` what wiping left of slanted rules: thin straight parts of `ink` in line with a rule of the same
 * direction, which the pixel grid broke off. One such end joins two rows of a table.
 *  @return `ink` without them */
Image without_rule_ends(const Image& ink, const Rules& rules, Image& gray);

}  // namespace vlm::rows
