/** @file memory_plan.cpp
 *  See memory_plan.hpp. Stages say what they need where the ABI lets them say it before they are loaded; the rest is
 * estimated from above by the widths they describe, and tests hold the estimate against what was measured.
 */
#include "host/pipeline/memory_plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "host/base/error.hpp"
#include "host/base/memory_limit.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {
namespace {

constexpr int64_t kFloat = sizeof(float);  // activations are at most f32

std::string amount(int64_t bytes) {
    constexpr double kKilo = 1e3;
    std::array<const char*, 4> units = {"MB", "GB", "TB", "PB"};
    double value = static_cast<double>(bytes) / (kKilo * kKilo);
    size_t unit = 0;
    for (; value >= kKilo && unit + 1 < units.size(); ++unit) value /= kKilo;
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.1f %s", value, units[unit]);
    return text.data();
}

/** Matrices as the device packs them; vectors are kept in f32. */
int64_t packed_bytes(const Pipeline& pipeline) {
    const double element = pipeline.device().weight_element_bytes();
    double bytes = 0;
    for (const TensorView& tensor : pipeline.checkpoint().weights()->tensors()) {
        const bool matrix = tensor.shape.size() > 1;
        bytes += static_cast<double>(tensor.elements()) * (matrix ? element : static_cast<double>(kFloat));
    }
    return std::llround(bytes);
}

/** The images as the vision encoder gets them. How many rows of text a page has is not known before it is cut: a page
 * of common print is assumed, and the rows themselves are planned once they are there. */
std::vector<ImageSize> encoded_images(const ImageManifest& options, const PlannedQuestion& question) {
    if (!options.split_rows || question.images_are_rows) return question.images;
    constexpr int64_t kPixelsPerRow = 48;
    const int step = options.rows.width_step;
    const int width = std::max(step, options.rows.max_row_width / 2 / step * step);
    std::vector<ImageSize> rows;
    for (const ImageSize& page : question.images) {
        const int64_t longer = std::max(page.width, page.height);
        const int64_t side = options.rows.max_side > 0 ? std::min<int64_t>(longer, options.rows.max_side) : longer;
        const int64_t height = longer > 0 ? page.height * side / longer : 0;
        const int64_t count = std::max<int64_t>(1, height / kPixelsPerRow);
        rows.insert(rows.end(), static_cast<size_t>(count), {width, options.rows.row_height});
    }
    return rows;
}

/** Text and visual tokens of the longest sequence. */
int64_t count_prompt(const Pipeline& pipeline, const PlannedQuestion& question,
                     const std::vector<TokenLayout>& layouts) {
    const bool inside = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE &&
                        pipeline.backbone().description().output != VLM_OUTPUT_EMBEDDING;
    const bool rows = pipeline.manifest().image.split_rows;
    if (question.prompt && pipeline.checkpoint().has_tokenizer() &&
        pipeline.backbone().description().output != VLM_OUTPUT_EMBEDDING) {
        const auto shown = rows ? std::span(layouts).first(std::min<size_t>(1, layouts.size())) : std::span(layouts);
        return segment_tokens(
            build_prompt(*question.prompt, shown, pipeline.recipe().prompt, pipeline.checkpoint().tokenizer(), inside));
    }
    int64_t visual = 0;
    for (const auto& layout : layouts) visual = rows ? std::max(visual, layout.tokens()) : visual + layout.tokens();
    return question.text_tokens + (inside ? visual : 0);
}

/** Scratch memory of reading `tokens` in all sequences together. Backbones plan by their contexts, which there are none
 * of yet; the widest known layer takes less than this many floats per token and unit of its width. */
int64_t backbone_workspace(const vlm_backbone_description& text, int64_t tokens, int64_t sequences) {
    constexpr int64_t kWidths = 24;
    constexpr int64_t kRounding = int64_t{1} << 20;
    const int64_t width = std::max<int64_t>(text.hidden_size, 1);
    return (tokens * width * kWidths + sequences * text.output_size) * kFloat + kRounding;
}

}  // namespace

std::string MemoryPlan::text() const {
    return amount(total()) + " of memory (weights " + amount(weight_bytes) + ", KV cache " + amount(kv_bytes) +
           " for " + std::to_string(sequences) + " x " + std::to_string(context_tokens) + " tokens, activations " +
           amount(activation_bytes) + ", images " + amount(image_bytes) + ")";
}

MemoryPlan plan_memory(const Pipeline& pipeline, const PlannedQuestion& question) {
    const auto& manifest = pipeline.manifest();
    const auto& text = pipeline.backbone().description();
    const auto images = encoded_images(manifest.image, question);
    MemoryPlan plan;
    std::vector<TokenLayout> layouts;
    int64_t encoding = 0, connecting = 0;
    for (const ImageSize& size : images) {
        const auto vision = pipeline.encoder().plan(size.width, size.height);
        const auto connect = pipeline.connector().plan(vision.layout, size.width, size.height);
        encoding += vision.workspace_bytes;
        connecting = std::max(connecting, connect.workspace_bytes);
        plan.visual_tokens =
            manifest.image.split_rows ? std::max(plan.visual_tokens, connect.rows) : plan.visual_tokens + connect.rows;
        // 8-bit RGB, pixel values, features with their map, visual tokens.
        plan.image_bytes += int64_t{3} * size.width * size.height + element_count(vision.pixel_shape) * kFloat +
                            vision.feature_rows * (pipeline.encoder().description().hidden_size + 2) * kFloat +
                            connect.rows * pipeline.connector().description().output_size * kFloat;
        layouts.push_back(connect.layout);
    }
    if (manifest.image.split_rows && !question.images_are_rows)
        for (const ImageSize& page : question.images) plan.image_bytes += int64_t{3} * page.width * page.height;
    plan.prompt_tokens = count_prompt(pipeline, question, layouts);
    const auto parts = static_cast<int64_t>(images.size());
    plan.sequences = manifest.image.split_rows ? std::clamp<int64_t>(parts, 1, manifest.batch) : 1;
    plan.context_tokens = plan.prompt_tokens + question.max_new_tokens;
    if (text.max_positions > 0)
        plan.context_tokens = std::min(plan.context_tokens, std::max(plan.prompt_tokens, text.max_positions));
    if (manifest.max_context > 0) plan.context_tokens = manifest.max_context;
    if (text.output == VLM_OUTPUT_LOGITS)
        plan.kv_bytes = plan.context_tokens * text.kv_bytes_per_token * plan.sequences;
    const int64_t loaded = pipeline.device().counters().weight_bytes;
    plan.weight_bytes = loaded > 0 ? loaded : packed_bytes(pipeline);
    plan.activation_bytes =
        std::max({encoding, connecting, backbone_workspace(text, plan.prompt_tokens * plan.sequences, plan.sequences)});
    return plan;
}

int64_t context_limit(const Pipeline& pipeline, int64_t needed) {
    const int64_t chosen = pipeline.manifest().max_context;
    const int64_t most = pipeline.backbone().description().max_positions;
    return chosen > 0 ? chosen : most > 0 ? most : needed;
}

void check_context(const Pipeline& pipeline, int64_t prompt_tokens) {
    const int64_t limit = context_limit(pipeline, prompt_tokens);
    if (prompt_tokens <= limit) return;
    throw resource_exhausted("the prompt with its images is " + std::to_string(prompt_tokens) +
                             " tokens long, and the model's context holds " + std::to_string(limit) +
                             "; shorten the prompt, use fewer or smaller images, or a token reducer");
}

void check_memory(const Pipeline& pipeline, const MemoryPlan& plan, bool loaded) {
    constexpr int64_t kMega = 1'000'000;
    constexpr const char* kAdvice =
        "; use weights of fewer bits, a smaller max_context or batch, fewer or smaller images, or say with "
        "memory_limit_mb (--memory-limit) how much may be used; 0 turns this check off";
    if (const auto limit = pipeline.manifest().memory_limit_mb) {
        if (*limit == 0 || plan.total() <= *limit * kMega) return;
        throw resource_exhausted("the plan is " + plan.text() + ", and memory_limit_mb allows " +
                                 amount(*limit * kMega) + kAdvice);
    }
    const bool own = pipeline.device().compute()->device.device_type == VLM_DEVICE_CPU;
    const int64_t missing = loaded ? plan.total() - plan.weight_bytes : plan.total();
    const MemoryLimit left = own ? available_memory() : pipeline.device().memory_left();
    if (missing <= left.bytes) return;
    throw resource_exhausted("the plan is " + plan.text() + (loaded ? ", of which the weights are loaded" : "") +
                             ", and " + amount(left.bytes) + " are left according to " + left.source + kAdvice);
}

}  // namespace vlm
