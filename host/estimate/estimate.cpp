/** @file estimate.cpp
 *  See estimate.hpp.
 */
#include "host/estimate/estimate.hpp"

#include <algorithm>
#include <cmath>

#include "host/base/error.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm::estimate {
namespace {

/** Work so far; on other devices than the counting one, flops under one name. */
Work work_of(const Device& device) {
    if (const auto* dry = dynamic_cast<const DryDevice*>(&device)) return dry->work();
    return {device.counters().flops, 0, 0, 0, 0};
}

std::vector<Segment> segments_for(const Pipeline& pipeline, std::span<const TokenLayout> layouts, int64_t text_tokens,
                                  bool in_sequence) {
    std::vector<Segment> segments;
    if (pipeline.checkpoint().has_tokenizer()) {
        std::string prompt;
        if (!pipeline.recipe().prompt.markers.empty())
            for (size_t i = 0; i < layouts.size(); ++i) prompt += pipeline.recipe().prompt.markers.front();
        segments =
            build_prompt(prompt, layouts, pipeline.recipe().prompt, pipeline.checkpoint().tokenizer(), in_sequence);
    } else {
        for (size_t i = 0; i < layouts.size(); ++i)
            segments.push_back({{}, static_cast<int>(i), 0, in_sequence ? layouts[i].tokens() : 0});
    }
    int64_t text = 0;
    for (const auto& segment : segments) text += static_cast<int64_t>(segment.ids.size());
    if (segments.empty() || segments.back().image >= 0) segments.emplace_back();
    auto& last = segments.back();
    last.ids.insert(last.ids.end(), static_cast<size_t>(std::max<int64_t>(text_tokens - text, text == 0 ? 1 : 0)), 1);
    last.count = static_cast<int64_t>(last.ids.size());
    return segments;
}

}  // namespace

const std::vector<Machine>& known_machines() {
    static const std::vector<Machine> machines = {
        {"a100-80gb", 312e12, 2039e9, "NVIDIA A100 datasheet: bf16 dense, SXM 80 GB"},
        {"h100-sxm", 989e12, 3350e9, "NVIDIA H100 datasheet: bf16 dense, SXM"},
        {"h200-sxm", 989e12, 4800e9, "NVIDIA H200 datasheet: bf16 dense, SXM"},
        {"l4", 121e12, 300e9, "NVIDIA L4 datasheet: bf16 dense"},
        {"rtx-4090", 165e12, 1008e9, "NVIDIA Ada whitepaper: bf16 with f32 accumulation, dense"},
    };
    return machines;
}

const Machine& machine_of(const std::string& name) {
    std::string names;
    for (const auto& machine : known_machines()) {
        if (machine.name == name) return machine;
        names += (names.empty() ? "" : ", ") + machine.name;
    }
    throw invalid_argument("no preset '" + name + "'; known: " + names +
                           ", here (measured); or give --device-peak and --device-bandwidth");
}

double seconds(const Work& work, const Machine& machine) {
    return std::max(work.flops() / machine.flops_per_s, (work.weight_bytes + work.kv_bytes) / machine.bytes_per_s);
}

Stages run_stages(const Pipeline& pipeline, int width, int height, int64_t text_tokens) {
    PipelineRun one(pipeline, {});
    Device& device = pipeline.device();
    Stages stages;
    NamedImage picture{"a grey picture", make_image(width, height, 3)};
    std::fill(picture.image.pixels.begin(), picture.image.pixels.end(), uint8_t{127});

    const auto plan = pipeline.encoder().plan(width, height);
    Work before = work_of(device);
    {
        const std::vector<Tensor> pixels = {
            pipeline.encoder().preprocess(one.run(), picture.image, picture.name, plan)};
        stages.feature_rows =
            pipeline.encoder().encode(one.run(), pixels, {&plan, 1}, device.allocator()).front().rows.dim(0);
    }
    stages.encode = work_of(device) - before;

    // Once more through all visual stages, reducers between them included: what is not the encoder's is the
    // connector's.
    before = work_of(device);
    const NamedImage* const pictures[] = {&picture};
    const auto tokens = one.visual(false).encode(pictures, "", nullptr);
    stages.connect = work_of(device) - before - stages.encode;
    stages.visual_tokens = tokens.front()->layout.tokens();
    stages.visual_scratch_bytes = device.counters().peak_scratch_bytes;

    const auto& text = pipeline.backbone().description();
    const bool in_sequence = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE;
    const std::vector<TokenLayout> layouts = {tokens.front()->layout};
    const bool beside = text.output == VLM_OUTPUT_EMBEDDING;
    // Encoders of short texts take no more than they have positions for.
    if (text.output != VLM_OUTPUT_LOGITS && text.max_positions > 0)
        text_tokens = std::min(text_tokens, text.max_positions);
    const auto segments =
        segments_for(pipeline, beside ? std::span<const TokenLayout>() : std::span(layouts), text_tokens, in_sequence);
    for (const auto& segment : segments) stages.text_tokens += static_cast<int64_t>(segment.ids.size());
    const VisualTokens* const images[] = {tokens.front().get()};
    const auto shown = beside ? std::span<const VisualTokens* const>() : std::span<const VisualTokens* const>(images);
    const int64_t sequence = segment_tokens(segments);
    stages.fits = text.output != VLM_OUTPUT_LOGITS || text.max_positions <= 0 || sequence < text.max_positions;
    if (!stages.fits) {
        stages.kv_bytes = sequence * text.kv_bytes_per_token;
        stages.scratch_bytes = stages.visual_scratch_bytes;
        return stages;
    }
    before = work_of(device);
    const auto context =
        text.output == VLM_OUTPUT_LOGITS ? pipeline.backbone().create_context(one.run(), sequence + 1) : nullptr;
    one.read(context.get(), segments, shown, VLM_LOGITS_LAST);
    stages.prefill = work_of(device) - before;
    if (context) {
        stages.kv_bytes = pipeline.backbone().state(*context).kv_bytes;
        before = work_of(device);
        const Segment next{{1}, -1, 0, 1};
        one.read(context.get(), {&next, 1}, {}, VLM_LOGITS_LAST);
        stages.decode = work_of(device) - before;
    }
    stages.scratch_bytes = device.counters().peak_scratch_bytes;
    return stages;
}

TextWork text_work(const Pipeline& pipeline, int64_t tokens) {
    if (pipeline.backbone().description().output != VLM_OUTPUT_LOGITS || tokens < 1) return {};
    PipelineRun one(pipeline, {});
    Device& device = pipeline.device();
    auto* dry = dynamic_cast<DryDevice*>(&device);
    if (dry != nullptr) dry->reset_peak();
    TextWork work;
    const Segment text{std::vector<int32_t>(static_cast<size_t>(tokens), 1), -1, 0, tokens};
    Work before = work_of(device);
    const auto context = pipeline.backbone().create_context(one.run(), tokens + 1);
    one.read(context.get(), {&text, 1}, {}, VLM_LOGITS_LAST);
    work.prefill = work_of(device) - before;
    if (dry != nullptr) work.scratch_bytes = device.counters().peak_scratch_bytes;
    before = work_of(device);
    const Segment next{{1}, -1, 0, 1};
    one.read(context.get(), {&next, 1}, {}, VLM_LOGITS_LAST);
    work.decode = work_of(device) - before;
    return work;
}

double peak_bytes(double weights, double kv, double scratch, int width, int height) {
    constexpr double kChannels = 3, kBytes = 1 + sizeof(float);
    return weights + kv + scratch + kChannels * kBytes * width * height;
}

std::unique_ptr<Pipeline> open_dry(Manifest manifest, OpenOptions options, std::shared_ptr<DryDevice>& device) {
    device = std::make_shared<DryDevice>(manifest.dtype, manifest.weights);
    options.device = device;
    manifest.memory_limit_mb = 0;  // nothing is held in memory that this machine would have to have
    return Pipeline::open(std::move(manifest), options);
}

}  // namespace vlm::estimate
