/** @file generate.hpp
 *  The decoding loop over a batch of sequences.
 */
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/base/trace.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/sampling.hpp"

namespace vlm {

/** One sequence: what to read, and what came of it. */
struct Sequence {
    std::vector<Segment> segments;  ///< New tokens to read before generating.
    std::vector<std::shared_ptr<const VisualTokens>> images;
    std::shared_ptr<Backbone::Context> context;  ///< Made by generate() when empty.
    std::vector<int32_t> history;                ///< All text ids so far, for the repetition penalty.
    size_t stream_index = 0;                     ///< What the stream callback is told.
    std::string text_before;                     ///< Answer so far, when a session continues one.
    Answer answer;
};

/** Reads and continues all sequences, at most the manifest's `batch` at a time: when one ends, the next one joins the
 * running batch. With `prompt_lookup`, several tokens may come of one step; greedy answers are the same: where the
 * device says how many rows are exact (Device::exact_rows), a step has no more; elsewhere near ties are decided by a
 * step of their own. Greedy results do not depend on what else is in the batch. CANCELLED and errors of plugins are
 * thrown; RESOURCE_EXHAUSTED when a prompt is longer than the model's context. */
void generate(const Pipeline& pipeline, Run& run, std::vector<Sequence>& sequences, const GenerationOptions& options,
              const StreamCallback& stream, Trace& trace);

}  // namespace vlm
