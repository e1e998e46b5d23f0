/** @file pipeline_run.cpp
 *  See pipeline_run.hpp.
 */
#include "host/pipeline/pipeline_run.hpp"

#include <utility>

#include "host/pipeline/prompt.hpp"

namespace vlm {
namespace {

std::vector<TokenLayout> layouts_of(std::span<const std::shared_ptr<const VisualTokens>> images) {
    std::vector<TokenLayout> layouts;
    for (const auto& image : images) layouts.push_back(image->layout);
    return layouts;
}

}  // namespace

std::vector<const VisualTokens*> ReadyPrompt::visual() const {
    std::vector<const VisualTokens*> pointers;
    for (const auto& image : images) pointers.push_back(image.get());
    return pointers;
}

std::vector<TokenLayout> ReadyPrompt::layouts() const {
    return layouts_of(images);
}

std::vector<Segment> place_images(const Pipeline& pipeline, const std::string& prompt,
                                  std::span<const std::shared_ptr<const VisualTokens>> images) {
    const bool in_sequence = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE;
    return build_prompt(prompt, layouts_of(images), pipeline.recipe().prompt, pipeline.checkpoint().tokenizer(),
                        in_sequence);
}

PipelineRun::PipelineRun(const Pipeline& pipeline, Listeners listeners, Trace* trace)
    : pipeline_(pipeline),
      listeners_(std::move(listeners)),
      trace_(trace != nullptr ? trace : &own_trace_),
      hooks_(pipeline.reducers(), pipeline.device().allocator()),
      run_(pipeline.device(), &listeners_, hooks_.abi()) {
    hooks_.bind(&run_);
}

ReadyPrompt PipelineRun::prepare(std::span<const NamedImage> images, const std::string& prompt) {
    std::vector<const NamedImage*> pointers;
    for (const auto& image : images) pointers.push_back(&image);
    ReadyPrompt ready;
    ready.images = visual().encode(pointers, prompt, nullptr);
    ready.segments = place_images(pipeline_, prompt, ready.images);
    return ready;
}

Backbone::Output PipelineRun::read(Backbone::Context* context, std::span<const Segment> segments,
                                   std::span<const VisualTokens* const> images, uint32_t logits) {
    const Backbone::Request request{context, segments, images, logits};
    return std::move(pipeline_.backbone().run(run_, {&request, 1}, pipeline_.device().allocator()).front());
}

}  // namespace vlm
