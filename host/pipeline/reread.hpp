/** @file reread.hpp
 *  A second look at rows that the model doubted.
 *
 *  A small model errs where a row's cut is unlucky: letters that fall between pixels look different in another cut. So
 * a doubtful row is cut again with other margins (a smaller one gives larger letters), each cut is read, and every
 * reading is then scored against every cut. The reading with the highest mean log-probability stays, with those means
 * as the probabilities of its tokens: cuts that disagree lower them, and what is still doubtful is left to the
 * post-processors to abstain from.
 */
#pragma once
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/generate.hpp"
#include "host/pipeline/pages.hpp"
#include "host/pipeline/pipeline_run.hpp"

namespace vlm {

/** A row, its first reading (which may be replaced) and the prompt it was asked with. */
struct ReadRow {
    const PagePart* part = nullptr;
    Sequence* sequence = nullptr;
    const std::string* prompt = nullptr;
};

/** Whether the least probable token of an answer is below `probability`. */
bool is_doubtful(const Answer& answer, double probability);

/** Reads the doubtful ones of `rows` again as the manifest's `image.reread` says; returns how many those were. Cancels
 * and errors of plugins are thrown. */
int64_t reread(PipelineRun& run, std::span<const ReadRow> rows, const GenerationOptions& options);

}  // namespace vlm
