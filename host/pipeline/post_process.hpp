/** @file post_process.hpp
 *  Hands answers to the post-processors of a pipeline.
 */
#pragma once
#include <string>
#include <vector>

#include "host/pipeline/pipeline.hpp"

namespace vlm {

/** Runs the post-processors of `pipeline` in order over the answers of `result` and merges what they write into
 * `result.extra`; each sees what those before it wrote. `prompts` are the prompts or labels as the user gave them.
 * Throws what a plugin reports. */
void post_process(const Pipeline& pipeline, Run& run, const std::vector<std::string>& prompts, Result& result);

}  // namespace vlm
