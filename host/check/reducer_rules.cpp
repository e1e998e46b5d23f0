/** @file reducer_rules.cpp
 *  The rule that token reducers have for themselves: they decide what a model sees, so their maps are looked at entry
 * by entry. The rules about running (run_rules.cpp) are tried on them as on every kind.
 */
#include "host/check/rules.hpp"
#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr uint64_t kViews = 24;

void maps_are_sound(const CheckOptions& options) {
    const auto trial = reducer_trial(Subject(options));
    for (uint64_t draw = 0; draw < kViews; ++draw) {
        const Outcome outcome = trial->run(draw, {});
        must(outcome.status == VLM_STATUS_OK,
             std::string("reduce gave ") + status_name(outcome.status) + " for " + outcome.input +
                 (outcome.error.empty() ? ", without a reason" : ": " + outcome.error));
        must(outcome.unsound.empty(), outcome.unsound + " for " + outcome.input);
    }
}

}  // namespace

std::vector<Rule> reducer_rules() {
    return {{"VLM-P-14", "token maps have no empty group and spare protected tokens", maps_are_sound}};
}

}  // namespace vlm
