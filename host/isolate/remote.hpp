/** @file remote.hpp
 *  A component in another process, as the functions of its table see it.
 *
 *  It remembers what it was made from, so that a process that was lost is replaced at the next call: created and loaded
 * again, and only what belonged to conversations is gone.
 */
#pragma once
#include <vlm/component.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/isolate/fields.hpp"
#include "host/isolate/isolated_plugin.hpp"
#include "host/isolate/process.hpp"
#include "host/isolate/wire.hpp"

namespace vlm::isolate {

/** What `vlm_component*` of an isolated plugin points at. Calls of several threads take turns. */
class RemoteComponent {
  public:
    /** Creates the component in the plugin's process. @throws Error what `create` gave as its reason. */
    RemoteComponent(const IsolatedPlugin& plugin, std::string kind, const vlm_component_config& config);

    static RemoteComponent& of(const vlm_component* component) {
        return *const_cast<RemoteComponent*>(reinterpret_cast<const RemoteComponent*>(component));
    }
    vlm_component* handle() { return reinterpret_cast<vlm_component*>(this); }

    /** Loads weights there. `weights` must be the host's own service. */
    vlm_status load(const vlm_run_context* run, const vlm_weights& weights);

    /** One call; `run` may be NULL. Starts the process again if it was lost. @throws ProcessLost. */
    Answer call(Op op, const Writer& arguments, const vlm_run_context* run);
    /** As above, with the tensors that `arguments` name. @throws ProcessLost also when the plugin wrote outside them.
     */
    Answer call(Op op, const Writer& arguments, const vlm_run_context* run, TensorSender& tensors);
    /** Frees something there, if the process that held it is still running. */
    void release(Op op, const Writer& arguments) noexcept;

    SharedArena& arena() const { return *spec_->arena; }

  private:
    std::unique_lock<std::timed_mutex> take_turn(const vlm_run_context* run);
    Answer call_locked(Op op, const std::string& arguments, const vlm_run_context* run);
    void start(std::unique_ptr<Process> process);
    void restart(const vlm_run_context* run);

    std::shared_ptr<const LaunchSpec> spec_;
    std::string id_;
    std::string create_arguments_;
    std::optional<std::string> load_arguments_;
    std::timed_mutex mutex_;
    std::unique_ptr<Process> process_;
};

/** Why the last call of this thread failed, when it had no error sink; told once. */
std::string take_failure();

/** Keeps a message for take_failure, or hands it to the error sink of `run`. Never throws. */
vlm_status report(const vlm_run_context* run, vlm_status code, const std::string& message) noexcept;

/** Runs one function of a table: what is thrown becomes a status. */
template <typename Body>
vlm_status remotely(const vlm_run_context* run, Body&& body) noexcept {
    try {
        return body();
    } catch (const Error& error) {
        return report(run, error.code(), error.what());
    } catch (const std::bad_alloc&) {
        return report(run, VLM_STATUS_RESOURCE_EXHAUSTED, "no memory for a call into a plugin's process");
    } catch (const std::exception& error) {
        return report(run, VLM_STATUS_INTERNAL, error.what());
    }
}

/** `create` of a table. */
template <const char* const* Kind>
vlm_status remote_create(const vlm_component_config* config, vlm_component** component) {
    *component = nullptr;
    const vlm_status status = remotely(nullptr, [&] {
        const auto& plugin = *static_cast<const IsolatedPlugin*>(config->host->host);
        *component = (new RemoteComponent(plugin, *Kind, *config))->handle();
        return VLM_STATUS_OK;
    });
    if (status != VLM_STATUS_OK && config->reason_size > 0) {
        const std::string why = take_failure();
        config->reason[why.copy(config->reason, config->reason_size - 1)] = '\0';
    }
    return status;
}
/** `describe` of a table. */
template <typename Description>
vlm_status remote_describe(const vlm_component* component, Description* out) {
    return remotely(nullptr, [&] {
        const Answer answer = RemoteComponent::of(component).call(Op::describe, {}, nullptr);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        get_members(reader, *out);
        return VLM_STATUS_OK;
    });
}
vlm_status remote_load(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights);
void remote_destroy(vlm_component* component);

}  // namespace vlm::isolate
