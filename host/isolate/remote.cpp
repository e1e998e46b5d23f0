/** @file remote.cpp
 *  See remote.hpp.
 */
#include "host/isolate/remote.hpp"

#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <map>

#include "host/base/log.hpp"
#include "host/isolate/tables.hpp"
#include "host/services/services.hpp"

namespace vlm::isolate {
namespace {

thread_local std::string failure_of_this_thread;

/** Passes on what the plugin wrote into its error sink. */
void pass_on(const Answer& answer, const vlm_run_context* run) {
    if (answer.error_text.empty()) return;
    if (run != nullptr)
        run->error(run->host, answer.error_code, answer.error_text.c_str());
    else if (answer.status != VLM_STATUS_OK)
        failure_of_this_thread = answer.error_text;
}

}  // namespace

RemoteComponent::RemoteComponent(const IsolatedPlugin& plugin, std::string kind, const vlm_component_config& config)
    : spec_(plugin.spec()), id_(plugin.id()) {
    Writer arguments;
    arguments.text(kind);
    for (const auto& text : {config.config, config.model, config.preprocessor}) arguments.text({text.data, text.size});
    create_arguments_ = arguments.bytes();
    start(plugin.take_process());
}

void RemoteComponent::start(std::unique_ptr<Process> process) {
    const Answer answer = process->call(Op::create, create_arguments_);
    if (answer.status != VLM_STATUS_OK) throw Error(answer.status, answer.error_text);
    process_ = std::move(process);
}

void RemoteComponent::restart(const vlm_run_context* run) {
    log_message(VLM_LOG_INFO, id_, "its process is started again");
    try {
        start(std::make_unique<Process>(*spec_));
        if (!load_arguments_) return;
        const Answer answer = process_->call(Op::load, *load_arguments_, run);
        if (answer.status != VLM_STATUS_OK) throw Error(answer.status, answer.error_text);
    } catch (const Error& error) {
        process_.reset();
        throw ProcessLost(error.code(), std::string("its process was started again and failed: ") + error.what());
    }
}

Answer RemoteComponent::call_locked(Op op, const std::string& arguments, const vlm_run_context* run) {
    if (!process_) restart(run);
    ++arena().counters().calls;
    try {
        return process_->call(op, arguments, run);
    } catch (const ProcessLost&) {
        process_.reset();
        throw;
    }
}

std::unique_lock<std::timed_mutex> RemoteComponent::take_turn(const vlm_run_context* run) {
    std::unique_lock lock(mutex_, std::defer_lock);
    while (!lock.try_lock_for(std::chrono::milliseconds(10)))
        if (run != nullptr && run->is_cancelled(run->host) != 0)
            throw Error(VLM_STATUS_CANCELLED, "cancelled while other calls into this plugin's process were served");
    return lock;
}

Answer RemoteComponent::call(Op op, const Writer& arguments, const vlm_run_context* run) {
    const auto turn = take_turn(run);
    Answer answer = call_locked(op, arguments.bytes(), run);
    pass_on(answer, run);
    return answer;
}

Answer RemoteComponent::call(Op op, const Writer& arguments, const vlm_run_context* run, TensorSender& tensors) {
    const auto turn = take_turn(run);
    Answer answer = call_locked(op, arguments.bytes(), run);
    if (!tensors.check_guards()) {
        process_.reset();
        throw ProcessLost(VLM_STATUS_INTERNAL,
                          "wrote outside its tensors: bytes in front of one or behind it have changed, and its process "
                          "was ended (VLM-P-13)");
    }
    if (answer.status == VLM_STATUS_OK) tensors.finish();
    pass_on(answer, run);
    return answer;
}

void RemoteComponent::release(Op op, const Writer& arguments) noexcept {
    remotely(nullptr, [&] {
        const std::scoped_lock lock(mutex_);
        return process_ ? call_locked(op, arguments.bytes(), nullptr).status : VLM_STATUS_OK;
    });
    take_failure();
}

vlm_status RemoteComponent::load(const vlm_run_context* run, const vlm_weights& weights) {
    const auto& service = *static_cast<const WeightsService*>(weights.host);
    Writer arguments;
    arguments.text(service.folder().empty() ? "" : std::filesystem::absolute(service.folder()).string());
    arguments.put(static_cast<uint32_t>(service.prefixes().size()));
    for (const auto& prefix : service.prefixes()) arguments.text(prefix);
    const Answer answer = call(Op::load, arguments, run);
    const std::scoped_lock lock(mutex_);
    if (answer.status == VLM_STATUS_OK) load_arguments_ = arguments.bytes();
    return answer.status;
}

std::string take_failure() {
    return std::exchange(failure_of_this_thread, {});
}

vlm_status report(const vlm_run_context* run, vlm_status code, const std::string& message) noexcept {
    try {
        if (run != nullptr)
            run->error(run->host, code, message.c_str());
        else
            failure_of_this_thread = message;
    } catch (...) {
        // The status alone has to do.
    }
    return code;
}

vlm_status remote_load(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights) {
    return remotely(run, [&] { return RemoteComponent::of(component).load(run, *weights); });
}

void remote_destroy(vlm_component* component) {
    delete reinterpret_cast<RemoteComponent*>(component);
}

const void* remote_table(const std::string& kind) {
    static const std::map<std::string, const void*> tables = {{VLM_KIND_VISION_ENCODER, remote_vision_encoder()},
                                                              {VLM_KIND_TOKEN_REDUCER, remote_token_reducer()},
                                                              {VLM_KIND_CONNECTOR, remote_connector()},
                                                              {VLM_KIND_BACKBONE, remote_backbone()},
                                                              {VLM_KIND_POST_PROCESSOR, remote_post_processor()}};
    const auto found = tables.find(kind);
    return found != tables.end() ? found->second : nullptr;
}

}  // namespace vlm::isolate
