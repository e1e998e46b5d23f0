/** @file trial.cpp
 *  See trial.hpp.
 */
#include "host/check/trial.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "host/pipeline/checkpoint.hpp"
#include "host/pipeline/recipe.hpp"
#include "host/plugin/loader.hpp"
#include "host/plugin/registry.hpp"
#include "host/weights/convert.hpp"

namespace vlm {
namespace {

constexpr size_t kReason = 512;

/** What the plugin wrote into the error sink of `run`, also when the call succeeded; empty: nothing. */
std::string reason_of(Run& run, vlm_status status) {
    try {
        run.check(status == VLM_STATUS_OK ? VLM_STATUS_UNKNOWN : status, "");
    } catch (const Error& error) {
        const std::string text = error.what();
        if (text.find("failed and gave no reason") == std::string::npos) return text.substr(2);
    }
    return {};
}

}  // namespace

bool take_rows(Outcome& outcome, const std::string& function, const GuardedTensor& tensor, int64_t made,
               int64_t planned) {
    if (made < 0 || made > planned) {
        outcome.misshapen =
            function + " made " + std::to_string(made) + " rows where " + std::to_string(planned) + " were planned";
        return false;
    }
    const uint64_t row = tensor.bytes() / static_cast<uint64_t>(std::max<int64_t>(1, planned));
    const auto rows = tensor.content(row * static_cast<uint64_t>(made));
    outcome.bytes.insert(outcome.bytes.end(), rows.begin(), rows.end());
    return true;
}

void Draw::fill(GuardedTensor& tensor, uint32_t dtype) {
    const bool wide = dtype == VLM_DTYPE_F32;
    const uint64_t count = tensor.bytes() / (wide ? sizeof(float) : sizeof(uint16_t));
    for (uint64_t i = 0; i < count; ++i) {
        const float value = real();
        if (wide)
            tensor.data<float>()[i] = value;
        else  // bf16: the upper half of the bits
            tensor.data<uint16_t>()[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    }
}

StageConfig stage_config_of(const std::string& kind, const CheckOptions& options) {
    if (options.checkpoint.empty()) return {options.options, options.model, "{}", {""}};
    const Checkpoint checkpoint(options.checkpoint);
    const std::string stage = kind.substr(4, kind.find('/') - 4);  // "vlm.connector/1" → "connector"
    const Recipe recipe = find_recipe(recipe_folders(plugin_folders({options.library})), checkpoint.model_type(),
                                      (checkpoint.folder() / "config.json").string());
    StageConfig made{options.options, checkpoint.config().dump(), checkpoint.preprocessor(), {""}};
    const auto found = recipe.stages.find(stage);
    if (found != recipe.stages.end()) {
        made.config = stage_config(found->second, checkpoint.config(), options.options);
        made.weight_prefixes = found->second.weight_prefixes;
    }
    return made;
}

Trial::Trial() : device_(open_device("cpu", {"f32", "f32", 2})) {}

Outcome Trial::call(const std::string& input, const Conditions& conditions,
                    const std::function<vlm_status(const vlm_run_context*)>& body) const {
    Outcome outcome;
    outcome.input = input;
    uint64_t last = 0;
    Listeners listeners;
    listeners.cancelled = conditions.cancelled;
    listeners.progress = [&](uint64_t done, uint64_t total) {
        if (done > total)
            outcome.progress = "reports " + std::to_string(done) + " of " + std::to_string(total) + " done";
        if (done < last) outcome.progress = "reports " + std::to_string(done) + " done after " + std::to_string(last);
        last = done;
    };
    Run run(conditions.compute != nullptr ? conditions.compute : device_->compute(), &listeners, nullptr,
            conditions.stream);
    vlm_run_context context = *run.context(VLM_ABI_VERSION);
    ServiceFaults::attach(context);
    const auto begin = std::chrono::steady_clock::now();
    outcome.status = body(&context);
    outcome.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    if (conditions.settle_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(conditions.settle_ms));
    device_->end_run(&context);
    outcome.error = reason_of(run, outcome.status);
    return outcome;
}

LoadedComponent::LoadedComponent(const vlm_component_api& api, const std::string& kind, const CheckOptions& options,
                                 Device& device)
    : api_(api) {
    const StageConfig stage = stage_config_of(kind, options);
    ReasonBuffer reason(kReason);
    vlm_component_config c{};
    c.struct_size = sizeof(c);
    c.abi_version = VLM_ABI_VERSION;
    c.host = &options.host();
    c.config = {stage.config.data(), stage.config.size()};
    c.model = {stage.model.data(), stage.model.size()};
    c.preprocessor = {stage.preprocessor.data(), stage.preprocessor.size()};
    c.reason = reason.data();
    c.reason_size = reason.size();
    const vlm_status created = api.create(&c, &handle_);
    if (created != VLM_STATUS_OK)
        throw NotCheckable("needs a component, and create refused " + options.options +
                           " (give --options or --checkpoint): " + reason.text());
    if (api.load == nullptr) return;
    if (!options.checkpoint.empty())
        weights_ = std::make_unique<WeightsService>(Checkpoint(options.checkpoint).weights(), stage.weight_prefixes,
                                                    options.checkpoint.string());
    Listeners quiet;
    LoadFaults* const faults = options.load_faults.get();
    const vlm_weights& weights = weights_ ? weights_->abi() : no_weights();
    Run run(faults != nullptr ? faults->compute(*device.compute()) : device.compute(), &quiet);
    const vlm_status loaded =
        api.load(handle_, run.context(VLM_ABI_VERSION), faults != nullptr ? &faults->weights(weights) : &weights);
    device.end_run(run.context(VLM_ABI_VERSION));
    std::string message = reason_of(run, loaded);
    // Without a word, UNIMPLEMENTED is "no weights"; with one, something that the plugin needs is not there.
    if (loaded == VLM_STATUS_OK || (loaded == VLM_STATUS_UNIMPLEMENTED && message.empty())) return;
    if (faults != nullptr) faults->ended(loaded, message);
    api.destroy(std::exchange(handle_, nullptr));
    if (message.empty()) message = std::string(status_name(loaded)) + ", without a reason";
    if (!options.checkpoint.empty()) throw RuleBroken("cannot be loaded from the checkpoint: " + message);
    throw NotCheckable("needs weights (give --checkpoint): " + message);
}

LoadedComponent::~LoadedComponent() {
    if (handle_ != nullptr) api_.destroy(handle_);
}

}  // namespace vlm
