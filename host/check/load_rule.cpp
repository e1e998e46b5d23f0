/** @file load_rule.cpp
 *  VLM-P-24 while a component loads: a call of the compute service that fails, and a tensor that is not there.
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

}  // namespace

bool fails_well_in_load(const CheckOptions& options, const std::function<std::unique_ptr<Trial>(const Subject&)>& make,
                        uint64_t draw, const std::vector<char>& bytes) {
    const CheckOptions counting = with_faults(options, Service::compute, -1);
    const auto begin = std::chrono::steady_clock::now();
    make(Subject(counting));
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    const int most = std::clamp(static_cast<int>(kMostMs / std::max(ms, 1.0)), 1, kMostLoads);
    bool tried = false;
    for (const Service service : {Service::compute, Service::weights}) {
        const int calls = counting.load_faults->calls(service);
        const int step = std::max(1, (calls + most - 1) / most);
        for (int at = 0; at < calls; at += step) {
            tried = true;
            const std::string what =
                service == Service::compute
                    ? "call " + std::to_string(at) + " of the compute service failed during load"
                    : "tensor " + std::to_string(at) + " of " + std::to_string(calls) + " was missing at load";
            const CheckOptions faulty = with_faults(options, service, at);
            std::unique_ptr<Trial> loaded;
            try {
                loaded = make(Subject(faulty));
            } catch (const std::exception&) {
                // It did not load, or is another component without the tensor.
            }
            if (faulty.load_faults->status() != VLM_STATUS_OK) {
                // The compute service writes into the error sink itself.
                must(service == Service::compute || !faulty.load_faults->message().empty(),
                     "load failed and said nothing to the error sink when " + what);
                continue;
            }
            if (!loaded) continue;
            const Outcome outcome = loaded->run(draw, {});
            must(outcome.damage.empty(), outcome.damage + " after " + what);
            must(service == Service::weights || outcome.status != VLM_STATUS_OK || outcome.bytes == bytes,
                 "hides that " + what + " and gives a wrong result");
        }
    }
    return tried;
}

}  // namespace vlm
