/** @file report.hpp
 *  What `vlmhost bench` found out, as JSON for machines and as tables for people.
 */
#pragma once
#include <string>
#include <vector>

#include "host/bench/machine_peak.hpp"
#include "host/bench/stages.hpp"

namespace vlm::bench {

/** A process from its start to its first token. */
struct StartTimes {
    Series first_token_ms;  ///< From the start of the process to the first token.
    Series compute_ms;      ///< The part of it that is computing: image and prompt, weights being there.
    Series peak_mb;         ///< Peak resident memory of that process.
};

/** Everything about one run. */
struct Report {
    std::string subject;  ///< Shape or model.
    std::string device;
    int threads = 0;
    int runs = 0;
    MachinePeak peak;
    Series load_ms;
    StartTimes start;
    std::vector<Stage> stages;
    int64_t weight_bytes = 0;      ///< Packed weights and kept tensors.
    int64_t checkpoint_bytes = 0;  ///< Tensors of the files.
    int64_t scratch_bytes = 0;     ///< Most scratch memory at once.
    double peak_mb = 0;            ///< Peak resident memory of the measuring process.
};

/** One JSON object. Members: subject, device, threads, runs, machine {operations_per_s, kind, read_bytes_per_s},
 *  load_ms, start {first_token_ms, compute_ms, peak_mb}, stages {name: {ms {min, median, max, quartile_1, quartile_3,
 * count}, flops, share_of_peak, bytes, share_of_bandwidth, tokens_per_s}}, memory {weights, checkpoint, scratch,
 * peak_mb}. Shares and rates are of medians. */
std::string to_json(const Report& report);

/** A table. */
std::string to_text(const Report& report);

/** Median times of `old_json` (from to_json, in the file `name`) beside those of `now`: old / now, so above 1 is
 *  faster now; and the noise, half the distance of the quartiles of both. A ratio within the noise says nothing and is
 * marked.
 *  @throws Error INVALID_ARGUMENT when the text is no such report. */
std::string compare(const std::string& old_json, const std::string& name, const Report& now);

}  // namespace vlm::bench
