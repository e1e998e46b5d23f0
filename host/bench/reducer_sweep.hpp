/** @file reducer_sweep.hpp
 *  What token reducers gain on one model: time, cache and memory against the tokens that are kept.
 *
 *  One pipeline is opened and its reducers are exchanged, so that all settings share the weights and take turns in one
 *  run: what the machine does beside it troubles all of them alike.
 */
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "host/bench/series.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm::bench {

/** Reducers as a manifest has them, and a name for tables. */
struct SweepSetting {
    std::string name;
    std::vector<StageManifest> reducers;
};

/** One setting, measured. */
struct SweepPoint {
    SweepSetting setting;
    int64_t visual_tokens = 0;  ///< Visual rows in the last layer.
    double row_share = 1;       ///< Rows computed in the backbone, mean over layers, as part of all positions.
    Series tower_ms;            ///< Encoder and connector.
    Series prefill_ms;
    Series first_token_ms;  ///< From the decoded image to the first logits.
    Series decode_ms;       ///< Per token.
    int64_t kv_bytes = 0;   ///< After prefill.
    double peak_mb = 0;     ///< Most resident memory during a measurement, weights included; 0: cannot be told here.
};

struct SweepOptions {
    int runs = 5;               ///< Rounds that count, after one that does not.
    int64_t text_tokens = 64;   ///< Of the prompt, beside the image.
    int64_t decode_steps = 16;  ///< Tokens of each run.
};

/** Which settings are measured. */
struct SweepChoice {
    std::vector<std::string>
        thresholds;                 ///< Files of DyMU's thresholds, strongest last; none: calibrated on the image.
    std::vector<std::string> only;  ///< Parts of the names that are wanted; none: all. The first is always there.
};

/** No reducer, hooks that idle, ToMe, DyMU at the paper's three levels, FastV at K = 2 and 3, both together. Settings
 *  that the pipeline refuses are left out and named to `skipped` with the reason. */
std::vector<SweepSetting> reducer_settings(Pipeline& pipeline, const NamedImage& image, const SweepChoice& choice,
                                           const Listeners& listeners,
                                           const std::function<void(const std::string&)>& skipped);

/** Measures the settings in turns. `tick` is told about rounds. The pipeline has no reducers afterwards. */
std::vector<SweepPoint> sweep_reducers(Pipeline& pipeline, const NamedImage& image,
                                       const std::vector<SweepSetting>& settings, const SweepOptions& options,
                                       const Listeners& listeners,
                                       const std::function<void(int done, int total)>& tick);

/** The curve as JSON, as `budget` of a manifest reads it (host/pipeline/budget.hpp). */
std::string curve_json(const Pipeline& pipeline, const std::string& model, const std::vector<SweepPoint>& points,
                       const SweepOptions& options);

/** The curve as a table in Markdown. */
std::string curve_table(const std::vector<SweepPoint>& points);

}  // namespace vlm::bench
