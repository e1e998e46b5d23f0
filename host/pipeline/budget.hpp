/** @file budget.hpp
 *  `budget` of a manifest: people name the time or the tokens that they have, and a measured curve names the reducers.
 */
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/pipeline/manifest.hpp"

namespace vlm {

class Pipeline;

/** What a budget came to. */
struct BudgetChoice {
    std::string name;                     ///< Of the point on the curve.
    std::vector<StageManifest> reducers;  ///< What to put into the pipeline.
    int64_t visual_tokens = 0;            ///< As measured.
    double ttft_ms = 0;                   ///< Time to first token, as measured (median).
    std::string fits = "{}";              ///< JSON: the model that the curve was measured on.

    /** One JSON object for results. */
    std::string to_json() const;
};

/** The point of the curve with the most visual tokens within the budget; of equals the faster one. Throws NOT_FOUND
 *  without a curve, INVALID_ARGUMENT for a file that is none, FAILED_PRECONDITION when no point fits (with the nearest
 *  one). */
BudgetChoice choose_by_budget(const BudgetManifest& budget);

/** What a curve must have been measured on to be valid for a pipeline: sizes of tower and backbone, JSON. */
std::string budget_signature(const Pipeline& pipeline);

/** Throws FAILED_PRECONDITION when `choice` was measured on another model. */
void check_budget_fits(const BudgetChoice& choice, const Pipeline& pipeline);

}  // namespace vlm
