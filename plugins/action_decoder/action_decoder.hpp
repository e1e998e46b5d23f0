/** @file action_decoder.hpp
 *  The post-processor `org.vlmhost.action_decoder`: generated action tokens to the numbers that a robot takes (OpenVLA,
 * arXiv 2406.09246; `OpenVLAForActionPrediction.predict_action`).
 *
 *  The last ids of the vocabulary are bins of -1 … 1. The centre of a token's bin is an element of the normalised
 * action, which the statistics of the robot's data set (1st and 99th percentile) turn into units. Elements that the
 * mask leaves out (the gripper) stay as they are. A wrong data set gives plausible and wrong motions, so the choice is
 * never guessed: a checkpoint with several data sets needs the option.
 *
 *  Options: `statistics` (name of the data set in `norm_stats`), `bins`, `vocab_size` (both default to config.json's).
 * Writes `action`, `action_normalized`, `action_statistics` and, for more than one answer, lists of them.
 */
#pragma once
#include <string>
#include <vector>

#include "vlm/sdk/plugin.hpp"

namespace vlm::action {

/** Statistics of one data set; all lists have the same length. */
struct Statistics {
    std::string name;
    std::vector<double> low;    ///< 1st percentile.
    std::vector<double> high;   ///< 99th percentile.
    std::vector<bool> applied;  ///< The mask: false leaves the normalised value.
};

/** Centre of the bin of token `id`; ids outside the bins fall into the nearest one, as in the reference. `bins` is the
 * number of bin edges over -1 … 1, `vocab_size` the first id behind the action tokens. */
double bin_centre(int64_t id, int64_t vocab_size, int64_t bins);

/** Normalised element `index` in units. */
double unnormalize(double value, const Statistics& statistics, size_t index);

class ActionDecoder : public sdk::PostProcessor {
  public:
    explicit ActionDecoder(const sdk::ComponentConfig& c);
    /** Throws FAILED_PRECONDITION when an answer has fewer tokens than the action has elements. */
    nlohmann::json process(const sdk::Run& run, const vlm_post_input& input) const override;

  private:
    int64_t bins_;
    int64_t vocab_size_;
    Statistics statistics_;
};

}  // namespace vlm::action
