/** @file load_rule.cpp
 *  VLM-P-24 while a component loads: a call of a service that fails, and a tensor that is not there.
 */
#include <algorithm>
#include <chrono>

#include "host/check/rules.hpp"
#include "host/check/trial.hpp"

namespace vlm {
namespace {

using Service = LoadFaults::Service;
constexpr int kMostLoads = 12;     ///< Of each service.
constexpr double kMostMs = 4'000;  ///< For each service: large checkpoints take seconds to load.

CheckOptions with_faults(const CheckOptions& options, Service service, int at) {
    CheckOptions faulty = options;
    faulty.load_faults = std::make_shared<LoadFaults>(service, at);
    return faulty;
}

/** One load with a fault in it. */
struct Load {
    std::unique_ptr<Trial> trial;  ///< NULL: it did not load.
    vlm_status status;
    std::string message;
};
Load load_with(const CheckOptions& options, Service service, int at,
               const std::function<std::unique_ptr<Trial>(const Subject&)>& make) {
    const CheckOptions faulty = with_faults(options, service, at);
    Load load;
    try {
        load.trial = make(Subject(faulty));
    } catch (const std::exception&) {
        // It did not load, or is another component without the tensor.
    }
    load.status = faulty.load_faults->status();
    load.message = faulty.load_faults->message();
    return load;
}

}  // namespace

Tried fails_well_in_load(const CheckOptions& options, const std::function<std::unique_ptr<Trial>(const Subject&)>& make,
                         uint64_t draw, const std::vector<char>& bytes) {
    const CheckOptions counting = with_faults(options, Service::compute, -1);
    const auto begin = std::chrono::steady_clock::now();
    make(Subject(counting));
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    const int most = std::clamp(static_cast<int>(kMostMs / std::max(ms, 1.0)), 1, kMostLoads);
    Tried tried;
    /** `says_why`: the plugin has to; `exact`: what loads all the same gives the same result. */
    const auto try_all = [&](const std::string& name, int calls, bool says_why, bool exact,
                             const std::function<Load(int at)>& load, const std::function<std::string(int at)>& say) {
        if (calls > 0) tried[name] += calls;
        const int step = std::max(1, (calls + most - 1) / most);
        for (int at = 0; at < calls; at += step) {
            const std::string what = say(at);
            const Load made = load(at);
            if (made.status != VLM_STATUS_OK) {
                must(!says_why || !made.message.empty(), "load failed and said nothing to the error sink when " + what);
                continue;
            }
            if (!made.trial) continue;
            const Outcome outcome = made.trial->run(draw, {});
            must(outcome.damage.empty(), outcome.damage + " after " + what);
            must(!exact || outcome.status != VLM_STATUS_OK || outcome.bytes == bytes,
                 "hides that " + what + " and gives a wrong result");
        }
    };
    const int computed = counting.load_faults->calls(Service::compute);
    const int found = counting.load_faults->calls(Service::weights);
    // Why a service of the host failed is the host's to say (the SDK leaves it so). What is not there is the plugin's
    // to tell, and may be made up for.
    try_all(
        "the compute service", computed, false, true,
        [&](int at) { return load_with(options, Service::compute, at, make); },
        [](int at) { return "call " + std::to_string(at) + " of the compute service failed during load"; });
    try_all(
        "the weights", found, true, false, [&](int at) { return load_with(options, Service::weights, at, make); },
        [&](int at) {
            return "tensor " + std::to_string(at) + " of " + std::to_string(found) + " was missing at load";
        });
    for (const HostService service : {HostService::lookup, HostService::image, HostService::text}) {
        const auto load = [&](int at, int* calls) {
            ServiceFaults faults(service, at);
            Load made = load_with(options, Service::compute, -1, make);
            if (calls != nullptr) *calls = faults.calls();
            return made;
        };
        int calls = 0;
        load(-1, &calls);
        try_all(
            name_of(service), calls, service == HostService::lookup, service != HostService::lookup,
            [&](int at) { return load(at, nullptr); },
            [&](int at) { return "call " + std::to_string(at) + " of " + name_of(service) + " failed during load"; });
    }
    return tried;
}

}  // namespace vlm
