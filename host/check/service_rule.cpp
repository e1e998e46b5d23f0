/** @file service_rule.cpp
 *  VLM-P-24 for the services beside compute and weights: the hooks, the tap, emit, and those that the host gives by id.
 */
#include <vlm/hooks.h>

#include <algorithm>
#include <chrono>

#include "host/check/rules.hpp"
#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr int kMostFaults = 12;    ///< Of each service.
constexpr int kMostRepeats = 16;   ///< Of a failing call, to see what it loses.
constexpr double kMostMs = 1'000;  ///< For each of the two, because large checkpoints take seconds to run.
constexpr int kRounds = 3;         ///< A leak leaks every time.
constexpr int64_t kMostLost = 8;   ///< Bytes per call: what a buffer that grows now and then takes.
constexpr uint32_t kNoNeeds = 0;

/** An input that makes the plugin call a service, and what it answers when the service works. */
struct Called {
    uint64_t draw = 0;
    uint32_t needs = kNoNeeds;
    int calls = 0;
    Outcome outcome;
};

/** The draw with the most calls of `service`; 0 calls: it never is. */
Called most_called(HostService service, uint32_t needs, Trial& trial, const std::vector<uint64_t>& draws) {
    Called most;
    for (const uint64_t draw : draws) {
        ServiceFaults counting(service, -1, needs);
        Outcome outcome = trial.run(draw, {});
        if (outcome.status != VLM_STATUS_OK) {
            // Not every owner of tokens can show all that a reducer may ask for.
            if (service == HostService::hooks) return {};
            throw RuleBroken(std::string("fails when the host offers ") + name_of(service) +
                             " and nothing goes wrong, for " + outcome.input + ": " + outcome.error);
        }
        if (counting.calls() > most.calls) most = {draw, needs, counting.calls(), std::move(outcome)};
    }
    return most;
}

Called most_called(HostService service, Trial& trial, const std::vector<uint64_t>& draws) {
    if (service != HostService::hooks) return most_called(service, kNoNeeds, trial, draws);
    for (const uint32_t needs : {VLM_NEED_HIDDEN | VLM_NEED_KEYS | VLM_NEED_SCORES, VLM_NEED_HIDDEN | VLM_NEED_KEYS,
                                 VLM_NEED_HIDDEN, VLM_NEED_KEYS, VLM_NEED_SCORES})
        if (Called called = most_called(service, needs, trial, draws); called.calls > 0) return called;
    return {};
}

/** One run in which call `at` fails. */
Outcome run_failing(HostService service, int at, const Called& called, Trial& trial) {
    ServiceFaults failing(service, at, called.needs);
    return trial.run(called.draw, {});
}

/** What a call loses that fails: little, or less in one round of several. */
void must_lose_nothing(HostService service, int at, const Called& called, Trial& trial, int times) {
    int64_t lost = 0;
    for (int round = 0; round <= kRounds; ++round) {
        const int64_t before = bytes_in_use();
        for (int i = 0; i < times; ++i) run_failing(service, at, called, trial);
        lost = bytes_in_use() - before;
        // The first round warms up.
        if (round > 0 && lost < times * kMostLost) return;
    }
    throw RuleBroken(std::to_string(lost) + " bytes are lost in " + std::to_string(times) + " calls in which " +
                     name_of(service) + " failed");
}

}  // namespace

int fails_well_with(HostService service, Trial& trial, const std::vector<uint64_t>& draws) {
    const Called called = most_called(service, trial, draws);
    if (called.calls == 0) return 0;
    const auto often = [&](int most) {
        return std::clamp(static_cast<int>(kMostMs / std::max(called.outcome.milliseconds, 1.0)), 1, most);
    };
    // Nobody but the plugin learns that reducers or a listener have failed, so the call must say so. Where a plugin can
    // do without a service, its result shows whether it could; one that is not there may have been made up for.
    const bool must_fail = service == HostService::hooks || service == HostService::tap;
    const int step = std::max(1, (called.calls + often(kMostFaults) - 1) / often(kMostFaults));
    int last = 0;
    for (int at = 0; at < called.calls; at += step) {
        last = at;
        const std::string where = std::string(name_of(service)) + " failed at call " + std::to_string(at) + " of " +
                                  std::to_string(called.calls);
        const Outcome outcome = run_failing(service, at, called, trial);
        must(outcome.status >= 0 && outcome.status <= VLM_STATUS_UNAUTHENTICATED,
             "answered the unknown status " + std::to_string(outcome.status) + " when " + where);
        must(!must_fail || outcome.status != VLM_STATUS_OK, "hides that " + where);
        must(service == HostService::lookup || outcome.status != VLM_STATUS_OK || outcome.bytes == called.outcome.bytes,
             "hides that " + where + " and gives a wrong result");
        must(outcome.damage.empty(), outcome.damage + " when " + where);
    }
    must_lose_nothing(service, last, called, trial, often(kMostRepeats));
    ServiceFaults working(service, -1, called.needs);
    must(trial.run(called.draw, {}).bytes == called.outcome.bytes,
         std::string("gives another result after a call in which ") + name_of(service) + " had failed");
    return called.calls;
}

}  // namespace vlm
