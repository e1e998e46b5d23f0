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
#include "host/pipeline/loading_progress.hpp"
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

/** A part of the plan for every device, without numbers. */
std::vector<MemoryShare> shares_of(const StageDevices& devices) {
    std::vector<MemoryShare> shares;
    for (const auto& device : devices.all()) {
        shares.emplace_back();
        shares.back().device = device.name;
    }
    return shares;
}

/** Matrices as the devices pack them; vectors are kept in f32. Weights that are loaded are as the devices say. */
void add_weights(const Pipeline& pipeline, std::vector<MemoryShare>& shares) {
    const StageDevices& devices = pipeline.devices();
    if (devices.counters().weight_bytes > 0) {
        for (size_t i = 0; i < shares.size(); ++i)
            shares[i].weight_bytes = devices.all()[i].device->counters().weight_bytes;
        return;
    }
    std::vector<double> bytes(shares.size());
    for (const TensorView& tensor : pipeline.checkpoint().weights()->tensors()) {
        const size_t place = devices.one() ? 0 : devices.index_of(stage_of(pipeline.recipe(), tensor.name));
        const double element = devices.all()[place].device->weight_element_bytes();
        const bool matrix = tensor.shape.size() > 1;
        bytes[place] += static_cast<double>(tensor.elements()) * (matrix ? element : static_cast<double>(kFloat));
    }
    for (size_t i = 0; i < shares.size(); ++i) shares[i].weight_bytes = std::llround(bytes[i]);
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

std::string MemoryPlan::text(const MemoryShare& share) const {
    return amount(share.total()) + " of memory (weights " + amount(share.weight_bytes) + ", KV cache " +
           amount(share.kv_bytes) + " for " + std::to_string(sequences) + " x " + std::to_string(context_tokens) +
           " tokens, activations " + amount(share.activation_bytes) + ", images " + amount(share.image_bytes) + ")";
}

std::string MemoryPlan::text() const {
    std::string all = text(*this);
    if (devices.size() > 1)
        for (const auto& share : devices) all += ", on " + share.device + " " + amount(share.total());
    return all;
}

MemoryPlan plan_memory(const Pipeline& pipeline, const PlannedQuestion& question) {
    const auto& manifest = pipeline.manifest();
    const auto& text = pipeline.backbone().description();
    const auto images = encoded_images(manifest.image, question);
    MemoryPlan plan;
    plan.devices = shares_of(pipeline.devices());
    const auto share = [&](StageKind kind) -> MemoryShare& {
        return plan.devices[pipeline.devices().index_of(stage_name(kind))];
    };
    const auto needs = [&](StageKind kind, int64_t bytes) {
        share(kind).activation_bytes = std::max(share(kind).activation_bytes, bytes);
    };
    std::vector<TokenLayout> layouts;
    int64_t encoding = 0;
    for (const ImageSize& size : images) {
        const auto vision = pipeline.encoder().plan(size.width, size.height);
        const auto connect = pipeline.connector().plan(vision.layout, size.width, size.height);
        encoding += vision.workspace_bytes;
        needs(StageKind::connector, connect.workspace_bytes);
        plan.visual_tokens =
            manifest.image.split_rows ? std::max(plan.visual_tokens, connect.rows) : plan.visual_tokens + connect.rows;
        // 8-bit RGB, pixel values, features with their map; visual tokens.
        share(StageKind::vision_encoder).image_bytes +=
            int64_t{3} * size.width * size.height + element_count(vision.pixel_shape) * kFloat +
            vision.feature_rows * (pipeline.encoder().description().hidden_size + 2) * kFloat;
        share(StageKind::backbone).image_bytes +=
            connect.rows * pipeline.connector().description().output_size * kFloat;
        layouts.push_back(connect.layout);
    }
    needs(StageKind::vision_encoder, encoding);
    if (manifest.image.split_rows && !question.images_are_rows)
        for (const ImageSize& page : question.images)
            share(StageKind::vision_encoder).image_bytes += int64_t{3} * page.width * page.height;
    plan.prompt_tokens = count_prompt(pipeline, question, layouts);
    const auto parts = static_cast<int64_t>(images.size());
    plan.sequences = manifest.image.split_rows ? std::clamp<int64_t>(parts, 1, manifest.batch) : 1;
    plan.context_tokens = plan.prompt_tokens + question.max_new_tokens;
    if (text.max_positions > 0)
        plan.context_tokens = std::min(plan.context_tokens, std::max(plan.prompt_tokens, text.max_positions));
    if (manifest.max_context > 0) plan.context_tokens = manifest.max_context;
    if (text.output == VLM_OUTPUT_LOGITS)
        share(StageKind::backbone).kv_bytes = plan.context_tokens * text.kv_bytes_per_token * plan.sequences;
    needs(StageKind::backbone, backbone_workspace(text, plan.prompt_tokens * plan.sequences, plan.sequences));
    add_weights(pipeline, plan.devices);
    for (const auto& one : plan.devices) {
        plan.weight_bytes += one.weight_bytes;
        plan.kv_bytes += one.kv_bytes;
        plan.activation_bytes += one.activation_bytes;
        plan.image_bytes += one.image_bytes;
    }
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
    for (size_t i = 0; i < plan.devices.size(); ++i) {
        const MemoryShare& share = plan.devices[i];
        const Device& device = *pipeline.devices().all()[i].device;
        const int64_t missing = loaded ? share.total() - share.weight_bytes : share.total();
        const MemoryLimit left = device.memory_left();
        if (missing <= left.bytes) continue;
        throw resource_exhausted("the plan " + (plan.devices.size() > 1 ? "for " + share.device + " " : std::string()) +
                                 "is " + plan.text(share) + (loaded ? ", of which the weights are loaded" : "") +
                                 ", and " + amount(left.bytes) + " are left according to " + left.source + kAdvice);
    }
}

}  // namespace vlm
