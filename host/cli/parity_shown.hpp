/** @file parity_shown.hpp
 *  What a reference folder holds beside the tensors of the stages, worked out from what the host itself knows of a
 * sequence: ids and places, maps of merged and pruned rows, attention between modalities, the best logits of each step.
 *
 *  Each function adds to `found`, under the names of the reference.
 */
#pragma once
#include <map>
#include <span>
#include <string>

#include "host/cli/parity_numbers.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm::cli {

using Found = std::map<std::string, Numbers>;

/** Text ids where the reference has text; its image placeholders are taken over, so that lengths and places are
 * compared. A reference without placeholders lists the text alone. */
void show_ids(std::span<const Segment> segments, const Numbers& reference, Found& found);

/** What stands where: text ids (-1: visual), modalities (0 visual, 1 text), the reverse for models that mark images,
 * and the grid of each image. */
void show_places(std::span<const Segment> segments, std::span<const TokenLayout> layouts, Found& found);

/** Which row each position lives on when text rows and visual rows are counted in order, and, by `llm.row_of_logits`,
 * which rows and positions a reducer inside the backbone left. `hook.scores` (one number per row) becomes the scores of
 * the visual rows. */
void show_maps(Run& run, std::span<const Segment> segments, std::span<const VisualTokens* const> images, Found& found);

/** From attention weights averaged over heads: who sees whom, and mean and largest weight of the four blocks between
 * visual and text positions. */
void show_attention(int32_t layers, Found& found);

/** The five best logits of each of `steps` greedy steps, end-of-sequence ignored. Where two candidates are nearer to
 * each other than `tolerance`, the order of `expected_ids` is taken over: noise decides it. */
void show_best_logits(const Pipeline& pipeline, Run& run, std::span<const Segment> segments,
                      std::span<const VisualTokens* const> images, const Numbers& expected_ids, int64_t steps,
                      double tolerance, Found& found);

}  // namespace vlm::cli
