/** @file parity_shown.cpp
 *  See parity_shown.hpp.
 */
#include "host/cli/parity_shown.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "host/pipeline/prompt.hpp"

namespace vlm::cli {
namespace {

/** Row of each position of an image, -1: dropped; the identity when nothing was reduced. */
std::vector<int32_t> rows_of(Run& run, const VisualTokens& tokens) {
    if (!tokens.map.row_of_position) {
        std::vector<int32_t> rows(static_cast<size_t>(tokens.layout.tokens()));
        std::iota(rows.begin(), rows.end(), 0);
        return rows;
    }
    Tensor map(VLM_DTYPE_I32, {tokens.map.row_of_position.dim(0)});
    const auto& compute = run.compute();
    run.check(compute.copy(&compute, run.context(VLM_ABI_VERSION), tokens.map.row_of_position.abi(), map.abi()),
              "copy of a token map");
    const auto rows = map.span<int32_t>();
    return {rows.begin(), rows.end()};
}

}  // namespace

void show_ids(std::span<const Segment> segments, const Numbers& reference, Found& found) {
    size_t text = 0;
    for (const auto& segment : segments) text += segment.ids.size();
    const bool placeholders = reference.values.size() != text;
    auto& ids = found["input_ids"];
    ids.integer = true;
    for (const auto& segment : segments) {
        for (const int32_t id : segment.ids) ids.values.push_back(id);
        if (segment.image >= 0 && placeholders)
            for (int64_t i = 0; i < segment.count; ++i)
                ids.values.push_back(ids.values.size() < reference.values.size() ? reference.values[ids.values.size()]
                                                                                 : -1);
    }
}

void show_places(std::span<const Segment> segments, std::span<const TokenLayout> layouts, Found& found) {
    Numbers ids{{}, true}, modalities{{}, true}, images{{}, true}, grids{{}, true};
    for (const auto& segment : segments) {
        const auto visual = segment.image < 0 ? 0 : static_cast<size_t>(segment.count);
        for (const int32_t id : segment.ids) ids.values.push_back(id);
        ids.values.insert(ids.values.end(), visual, -1);
        modalities.values.insert(modalities.values.end(), segment.ids.size(), 1);
        modalities.values.insert(modalities.values.end(), visual, 0);
    }
    for (const double modality : modalities.values) images.values.push_back(1 - modality);
    for (const auto& layout : layouts)
        for (const auto& block : layout.blocks())
            if (block.kind == VLM_BLOCK_GRID) {
                grids.values.push_back(block.rows);
                grids.values.push_back(block.columns);
            }
    found["sequence_ids"] = std::move(ids);
    found["modality_ids"] = std::move(modalities);
    found["mm_token_type_ids"] = images;
    found["image_embeds_position_mask"] = std::move(images);
    found["image_grid_hw"] = std::move(grids);
}

void show_maps(Run& run, std::span<const Segment> segments, std::span<const VisualTokens* const> images, Found& found) {
    Numbers mapping{{}, true}, positions{{}, true}, kept{{}, true}, kept_visual{{}, true};
    std::vector<int64_t> first(images.size(), -1);
    std::set<int64_t> visual;
    int64_t rows = 0;
    for (const auto& segment : segments) {
        if (segment.image < 0) {
            for (size_t i = 0; i < segment.ids.size(); ++i) mapping.values.push_back(static_cast<double>(rows++));
            continue;
        }
        const auto index = static_cast<size_t>(segment.image);
        if (first[index] < 0) {
            first[index] = rows;
            rows += images[index]->rows.dim(0);
            for (int64_t row = first[index]; row < rows; ++row) visual.insert(row);
        }
        const auto map = rows_of(run, *images[index]);
        for (int64_t i = segment.first; i < segment.first + segment.count; ++i)
            if (map[static_cast<size_t>(i)] >= 0)
                mapping.values.push_back(static_cast<double>(first[index] + map[static_cast<size_t>(i)]));
    }
    if (!found.contains("vision.patch_to_row")) {
        Numbers rows_of_patches{{}, true};
        for (const auto* image : images)
            for (const int32_t row : rows_of(run, *image)) rows_of_patches.values.push_back(row);
        found["vision.patch_to_row"] = std::move(rows_of_patches);
    }
    const auto& left = found["llm.row_of_logits"].values;
    const std::set<double> alive(left.begin(), left.end());
    for (size_t p = 0; p < mapping.values.size(); ++p)
        if (alive.contains(mapping.values[p])) positions.values.push_back(static_cast<double>(p));
    for (const int64_t row : visual)
        if (alive.contains(static_cast<double>(row))) {
            kept.values.push_back(static_cast<double>(row));
            kept_visual.values.push_back(static_cast<double>(row - *visual.begin()));
        }
    if (const auto scores = found.find("hook.scores");
        scores != found.end() && scores->second.values.size() == static_cast<size_t>(rows)) {
        auto& own = found["fastv_scores"];
        for (const int64_t row : visual) own.values.push_back(scores->second.values[static_cast<size_t>(row)]);
    }
    found["llm.mapping"] = std::move(mapping);
    found["llm.final_positions"] = std::move(positions);
    found["fastv_kept_rows"] = std::move(kept);
    found["fastv_kept_visual"] = std::move(kept_visual);
}

void show_attention(int32_t layers, Found& found) {
    const std::pair<std::string, std::string> shown[] = {{"attn.layer0", "attn.layer0"},
                                                         {"attn.layer" + std::to_string(layers - 1), "attn.last"}};
    const auto& kinds = found["modality_ids"].values;
    const size_t n = kinds.size();
    for (const auto& [layer, name] : shown) {
        const auto weights = found.find(layer);
        if (weights == found.end() || weights->second.values.size() != n * n) continue;
        Numbers blocks, mask{{}, true};
        for (const double query : {0., 1.})
            for (const double key : {0., 1.}) {
                double sum = 0, largest = 0, count = 0;
                for (size_t i = 0; i < n * n; ++i) {
                    if (kinds[i / n] != query || kinds[i % n] != key) continue;
                    sum += weights->second.values[i];
                    largest = std::max(largest, weights->second.values[i]);
                    ++count;
                }
                blocks.values.push_back(count > 0 ? sum / count : 0);
                blocks.values.push_back(largest);
            }
        for (const double weight : weights->second.values) mask.values.push_back(weight > 0 ? 1 : 0);
        found[name + ".blocks"] = std::move(blocks);
        if (name == "attn.layer0") found["mask"] = std::move(mask);
    }
}

void show_best_logits(const Pipeline& pipeline, Run& run, std::span<const Segment> segments,
                      std::span<const VisualTokens* const> images, const Numbers& expected_ids, int64_t steps,
                      double tolerance, Found& found) {
    constexpr size_t kBest = 5;
    Numbers ids{{}, true}, logits;
    const auto context = pipeline.backbone().create_context(run, segment_tokens(segments) + steps);
    std::vector<Segment> next(segments.begin(), segments.end());
    for (int64_t step = 0; step < steps; ++step) {
        const Backbone::Request request{context.get(), next,
                                        step == 0 ? images : std::span<const VisualTokens* const>(), VLM_LOGITS_LAST};
        const auto output = pipeline.backbone().run(run, {&request, 1}, pipeline.device().allocator()).front();
        const auto width = static_cast<size_t>(output.rows.dim(1));
        const auto row = output.rows.span<float>().last(width);
        std::vector<int32_t> order(width);
        std::iota(order.begin(), order.end(), 0);
        const size_t best = std::min(kBest, width);
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best), order.end(),
                          [&](int32_t a, int32_t b) {
                              const float x = row[static_cast<size_t>(a)], y = row[static_cast<size_t>(b)];
                              return x != y ? x > y : a < b;
                          });
        for (size_t i = 0; i < best; ++i) {
            const float value = row[static_cast<size_t>(order[i])];
            const size_t place = ids.values.size();
            const double named = place < expected_ids.values.size() ? expected_ids.values[place] : -1;
            const bool tie = named >= 0 && named < static_cast<double>(width) &&
                             std::abs(row[static_cast<size_t>(named)] - value) <= tolerance;
            ids.values.push_back(tie ? named : order[i]);
            logits.values.push_back(value);
        }
        next = {Segment{{order[0]}, -1, 0, 1}};
    }
    found["step_top5_ids"] = std::move(ids);
    found["step_top5_logits"] = std::move(logits);
}

}  // namespace vlm::cli
