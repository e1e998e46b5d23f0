/** @file run_rules.cpp
 *  Rules about running, tried on encoders, connectors, backbones, token reducers and post-processors alike.
 */
#include <sys/mman.h>
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "host/check/elf.hpp"
#include "host/check/faulty_compute.hpp"
#include "host/check/rules.hpp"
#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr uint64_t kMostDraws = 60;
constexpr double kMostCancelMs = 500;  ///< 50 ms by the rule, and room for a busy machine.
constexpr int kMostFaults = 40;

/** A draw that the plugin takes, and what it makes of it. */
struct Accepted {
    uint64_t draw;
    Outcome outcome;
};

/** A kind, how to try it, and on how many inputs: those of reducers are small, and differ in many ways. */
struct Kind {
    const char* id;
    std::unique_ptr<Trial> (*make)(const Subject&);
    size_t inputs;
};
constexpr std::array<Kind, 5> kKinds = {{{VLM_KIND_VISION_ENCODER, vision_trial, 6},
                                         {VLM_KIND_CONNECTOR, connector_trial, 6},
                                         {VLM_KIND_BACKBONE, backbone_trial, 6},
                                         {VLM_KIND_TOKEN_REDUCER, reducer_trial, 16},
                                         {VLM_KIND_POST_PROCESSOR, post_trial, 6}}};

/** Inputs that `trial` takes, at most `count`. */
std::vector<Accepted> accepted_inputs(Trial& trial, const std::string& kind, size_t count) {
    std::vector<Accepted> inputs;
    std::string refusal;
    for (uint64_t draw = 0; draw < kMostDraws && inputs.size() < count; ++draw) {
        Outcome outcome = trial.run(draw, {});
        must(outcome.status >= 0 && outcome.status <= VLM_STATUS_UNAUTHENTICATED,
             "answered " + outcome.input + " with the unknown status " + std::to_string(outcome.status));
        if (outcome.status == VLM_STATUS_OK)
            inputs.push_back({draw, std::move(outcome)});
        else
            refusal = outcome.input + ": " + outcome.error;
    }
    if (inputs.empty()) throw NotCheckable(kind + ": takes none of the random inputs: " + refusal);
    return inputs;
}

/** Runs `body` for each kind that the plugin offers, on inputs that it takes. A kind that cannot be tried does not keep
 * the others from being tried, but is told of. */
void for_each_trial(
    const CheckOptions& options,
    const std::function<void(const char* kind, Trial& trial, const std::vector<Accepted>& inputs)>& body) {
    const Subject subject(options);
    bool any = false;
    std::string untried;
    for (const auto& kind : kKinds) {
        if (subject.find_interface(kind.id) == nullptr) continue;
        any = true;
        try {
            const auto trial = kind.make(subject);
            body(kind.id, *trial, accepted_inputs(*trial, kind.id, kind.inputs));
        } catch (const NotCheckable& reason) {
            if (untried.empty()) untried = reason.what();
        }
    }
    if (!any) throw NotCheckable("the plugin offers no kind that this rule is tried on");
    if (!untried.empty()) throw NotCheckable(untried);
}

void polls_cancel(const CheckOptions& options) {
    for_each_trial(options, [](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs) {
            std::atomic<bool> cancelled{true};
            Conditions conditions;
            conditions.cancelled = &cancelled;
            const Outcome outcome = trial.run(input.draw, conditions);
            must(outcome.status == VLM_STATUS_CANCELLED || outcome.status == VLM_STATUS_OK,
                 std::string("a cancelled call gave ") + status_name(outcome.status) + ", expected CANCELLED (or OK)");
            must(outcome.milliseconds < kMostCancelMs,
                 "a cancelled call went on for " + std::to_string(outcome.milliseconds) + " ms");
        }
    });
}

void writes_inside(const CheckOptions& options) {
    for_each_trial(options, [](const char*, Trial&, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs)
            must(input.outcome.damage.empty(), input.outcome.damage + " for " + input.outcome.input);
    });
}

bool claims_determinism(const CheckOptions& options) {
    const char* text = Subject(options).plugin().capabilities;
    const auto capabilities = nlohmann::json::parse(text != nullptr ? text : "{}", nullptr, false);
    return !capabilities.is_object() || capabilities.value("deterministic", true);
}

void repeats_itself(const CheckOptions& options) {
    if (!claims_determinism(options)) throw NotCheckable("says that it is not deterministic");
    for_each_trial(options, [](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs) {
            Conditions other;
            other.fill = 0xFF;  // what the plugin leaves unwritten differs between the two runs
            must(trial.run(input.draw, other).bytes == input.outcome.bytes,
                 "the second run of " + input.outcome.input +
                     " gives another result, or leaves a part of its output unwritten");
        }
    });
}

void works_in_two_threads(const CheckOptions& options) {
    if (!claims_determinism(options)) throw NotCheckable("says that it is not deterministic");
    for_each_trial(options, [](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        std::atomic<bool> same{true};
        std::array<std::thread, 2> threads;
        for (auto& thread : threads)
            thread = std::thread([&] {
                for (const auto& input : inputs)
                    if (trial.run(input.draw, {}).bytes != input.outcome.bytes) same = false;
            });
        for (auto& thread : threads) thread.join();
        must(same, "two runs at once on two threads give other results than one");
    });
}

void keeps_to_the_plan(const CheckOptions& options) {
    const bool repeats = claims_determinism(options);
    for_each_trial(options, [&](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs)
            must(input.outcome.misshapen.empty(), input.outcome.misshapen + " for " + input.outcome.input);
        if (!trial.asks() || !repeats) return;
        for (const auto& input : inputs)
            for (uint64_t numbers = 1; numbers <= 2; ++numbers) {
                Conditions conditions;
                conditions.unasked = numbers;
                must(trial.run(input.draw, conditions).bytes == input.outcome.bytes,
                     "decides by tensors that 'needs' has not asked for, which no host has to show, for " +
                         input.outcome.input);
            }
    });
}

void says_why(const CheckOptions& options) {
    for_each_trial(options, [](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs) {
            Conditions wrong;
            wrong.wrong_input = true;
            const Outcome outcome = trial.run(input.draw, wrong);
            must(outcome.status == VLM_STATUS_OK || !outcome.error.empty(),
                 std::string("refused a tensor of the wrong shape with ") + status_name(outcome.status) +
                     " and said nothing to the error sink");
        }
    });
}

void reports_sound_progress(const CheckOptions& options) {
    for_each_trial(options, [](const char*, Trial&, const std::vector<Accepted>& inputs) {
        for (const auto& input : inputs)
            must(input.outcome.progress.empty(), input.outcome.progress + " for " + input.outcome.input);
    });
}

/** The number of calls that could fail. */
int fails_well_in_run(Trial& trial, const std::vector<Accepted>& inputs) {
    Conditions conditions;
    const Accepted* most = nullptr;
    int calls = 0;
    for (const auto& input : inputs) {
        FaultyCompute counting(trial.compute(), -1);
        conditions.compute = counting.table();
        must(trial.run(input.draw, conditions).status == VLM_STATUS_OK,
             "fails behind a table that passes every call on");
        if (counting.calls() > calls) most = &input;
        calls = std::max(calls, counting.calls());
    }
    if (most == nullptr) return 0;
    const auto& input = *most;
    // Few calls are all tried; of many, some from beginning to end.
    const int step = std::max(1, calls / kMostFaults);
    for (int at = 0; at < calls; at += step) {
        FaultyCompute faulty(trial.compute(), at);
        conditions.compute = faulty.table();
        const std::string where = "call " + std::to_string(at) + " of " + std::to_string(calls);
        const Outcome outcome = trial.run(input.draw, conditions);
        must(outcome.status != VLM_STATUS_OK || outcome.bytes == input.outcome.bytes,
             "hides that the compute service failed at " + where + " and gives a wrong result");
        must(outcome.damage.empty(), outcome.damage + " after the compute service failed at " + where);
    }
    must(trial.run(input.draw, {}).bytes == input.outcome.bytes,
         "gives another result after a call in which the compute service had failed");
    return calls;
}

void survives_failing_services(const CheckOptions& options) {
    CheckOptions watched = options;
    watched.watched = true;
    Tried tried = {{"the compute service", 0}, {"the weights", 0}};
    for (const HostService service : kHostServices) tried[name_of(service)] = 0;
    const auto list = [&](bool called) {
        std::string text;
        for (const auto& [name, calls] : tried)
            if ((calls > 0) == called) text += (text.empty() ? "" : ", ") + name;
        return text;
    };
    for_each_trial(watched, [&](const char* id, Trial& trial, const std::vector<Accepted>& inputs) {
        const auto kind =
            std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) { return std::string_view(k.id) == id; });
        const auto& input = inputs.front();
        int calls = 0;
        const auto count = [&](const std::string& name, int more) {
            tried[name] += more;
            calls += more;
        };
        for (const auto& [name, more] : fails_well_in_load(watched, kind->make, input.draw, input.outcome.bytes))
            count(name, more);
        count("the compute service", fails_well_in_run(trial, inputs));
        std::vector<uint64_t> draws;
        for (const auto& accepted : inputs) draws.push_back(accepted.draw);
        for (const HostService service : kHostServices) count(name_of(service), fails_well_with(service, trial, draws));
        if (calls == 0) throw NotCheckable(std::string(id) + ": it calls no service of the host that could fail");
    });
    const std::string never = list(false);
    note_pass("failed on purpose: " + list(true) +
              (never.empty() ? "" : "; not tried, because it did not call them: " + never));
}

/** A trial of `kind` in a process of its own; that it can be made here is known. */
std::unique_ptr<Trial> isolated_trial(const CheckOptions& options, const char* kind) {
    const CheckOptions away = isolated(options, kind);
    try {
        for (const auto& known : kKinds)
            if (std::string_view(known.id) == kind) return known.make(Subject(away));
    } catch (const NotCheckable& reason) {
        throw RuleBroken(std::string("cannot be made in a process of its own: ") + reason.what());
    }
    throw NotCheckable(std::string("there is no trial of ") + kind);
}

void works_isolated(const CheckOptions& options) {
    const bool repeats = claims_determinism(options);
    for_each_trial(options, [&](const char* kind, Trial&, const std::vector<Accepted>& inputs) {
        const auto away = isolated_trial(options, kind);
        for (const auto& input : inputs) {
            const Outcome outcome = away->run(input.draw, {});
            must(outcome.status == VLM_STATUS_OK,
                 "in a process of its own it fails on " + input.outcome.input + ": " + outcome.error);
            must(!repeats || outcome.bytes == input.outcome.bytes,
                 "in a process of its own it gives another result for " + input.outcome.input);
        }
    });
}

/** Memory that nobody may look into. */
class ForbiddenPage {
  public:
    ForbiddenPage() : page_(mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        if (page_ == MAP_FAILED) throw NotCheckable("no memory for a page that nobody may look into");
    }
    ~ForbiddenPage() { munmap(page_, kBytes); }
    ForbiddenPage(const ForbiddenPage&) = delete;
    ForbiddenPage& operator=(const ForbiddenPage&) = delete;
    void* get() const { return page_; }

  private:
    static constexpr size_t kBytes = 4096;
    void* page_;
};

/** What can be seen of the rule without a device: the compute service has no function that waits, so whoever waits
 * calls the device's library himself; a late writer changes an output after his return; and a stream is a handle that
 * goes to the compute service and nowhere else. */
void leaves_streams_alone(const CheckOptions& options) {
    static const std::set<std::string> kWaits = {"cudaDeviceSynchronize",
                                                 "cudaStreamSynchronize",
                                                 "cudaEventSynchronize",
                                                 "cudaMemcpy",
                                                 "cuCtxSynchronize",
                                                 "cuStreamSynchronize",
                                                 "cuEventSynchronize",
                                                 "hipDeviceSynchronize",
                                                 "hipStreamSynchronize",
                                                 "hipEventSynchronize",
                                                 "hipMemcpy"};
    for (const auto& name : imported_symbols(options.library))
        must(!kWaits.contains(name), "calls '" + name +
                                         "', which waits for a device; copy to the CPU by the compute service where a "
                                         "number must be read");
    if (!claims_determinism(options)) throw NotCheckable("says that it is not deterministic");
    constexpr int kSettleMs = 60;
    for_each_trial(options, [](const char*, Trial& trial, const std::vector<Accepted>& inputs) {
        const ForbiddenPage page;
        for (const auto& input : inputs) {
            Conditions conditions;
            conditions.settle_ms = kSettleMs;
            must(trial.run(input.draw, conditions).bytes == input.outcome.bytes,
                 "goes on writing after it has returned, for " + input.outcome.input);
            conditions = {};
            conditions.stream = page.get();
            must(trial.run(input.draw, conditions).bytes == input.outcome.bytes,
                 "gives another result with a stream than without, for " + input.outcome.input);
        }
    });
}

}  // namespace

std::vector<Rule> run_rules() {
    return {{"VLM-P-10", "polls for cancelling", polls_cancel},
            {"VLM-P-13", "writes only into its outputs, and inside them", writes_inside},
            {"VLM-P-15", "same input, same answer", repeats_itself},
            {"VLM-P-16", "a loaded component serves many runs at once", works_in_two_threads},
            {"VLM-P-17", "plans and results have the shapes that they say", keeps_to_the_plan},
            {"VLM-P-21", "does not wait for a device, and writes nothing after its return", leaves_streams_alone},
            {"VLM-P-22", "a failing run says why", says_why},
            {"VLM-P-23", "progress rises and ends at its total", reports_sound_progress},
            {"VLM-P-24", "a failing service makes the call fail, and nothing else", survives_failing_services},
            {kIsolationRule, kIsolationTitle, works_isolated}};
}

}  // namespace vlm
