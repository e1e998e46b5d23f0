/** @file pipeline_run.hpp
 *  One run through a pipeline: the run context on the backbone's device, the reducers' hooks bound to it, and the step
 * that all questions begin with, from pictures and a text to segments that a backbone reads.
 */
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/hooks.hpp"
#include "host/pipeline/visual.hpp"
#include "host/services/device_run.hpp"

namespace vlm {

/** A prompt whose pictures have become visual tokens. */
struct ReadyPrompt {
    std::vector<Segment> segments;
    std::vector<std::shared_ptr<const VisualTokens>> images;

    /** The images as a backbone's request takes them, borrowed from here. */
    std::vector<const VisualTokens*> visual() const;
    /** What the positions of each image are. */
    std::vector<TokenLayout> layouts() const;
};

/** Segments of `prompt` with `images` where the pipeline's family wants them: in the sequence, or as a mark where
 * images are a memory. Throws as build_prompt. */
std::vector<Segment> place_images(const Pipeline& pipeline, const std::string& prompt,
                                  std::span<const std::shared_ptr<const VisualTokens>> images);

/** Belongs to one thread. */
class PipelineRun {
  public:
    /** `pipeline` and `trace` are borrowed; without a trace the run keeps one of its own. */
    PipelineRun(const Pipeline& pipeline, Listeners listeners, Trace* trace = nullptr);
    PipelineRun(const PipelineRun&) = delete;
    PipelineRun& operator=(const PipelineRun&) = delete;

    const Pipeline& pipeline() const { return pipeline_; }
    Run& run() { return run_; }
    HookService& hooks() { return hooks_; }
    Trace& trace() { return *trace_; }

    /** The stages from image to visual tokens; `in_context` as in VisualStage. */
    VisualStage visual(bool in_context = true) { return {pipeline_, run_, hooks_, *trace_, in_context}; }

    /** Encodes `images` and places them in `prompt`. Throws as VisualStage::encode and build_prompt. */
    ReadyPrompt prepare(std::span<const NamedImage> images, const std::string& prompt);

    /** Reads one sequence into `context` (NULL where the backbone keeps none); `logits` is a VLM_LOGITS_* value. */
    Backbone::Output read(Backbone::Context* context, std::span<const Segment> segments,
                          std::span<const VisualTokens* const> images, uint32_t logits);

  private:
    const Pipeline& pipeline_;
    Listeners listeners_;
    Trace own_trace_;
    Trace* trace_;
    HookService hooks_;
    DeviceRun run_;
};

}  // namespace vlm
