/** @file component.hpp
 *  A plugin's component behind a typed, safe face.
 *
 *  The table of the plugin is copied: what an older plugin lacks becomes a stub that returns UNIMPLEMENTED, so that
 * nothing behind this file ever compares a slot with NULL.
 */
#pragma once
#include <vlm/component.h>

#include <memory>
#include <string>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/pipeline/plugin_table.hpp"
#include "host/plugin/loader.hpp"
#include "host/services/run.hpp"

namespace vlm {

/** JSON texts that a component is made from; see vlm_component_config. */
struct ComponentConfig {
    std::string config = "{}";
    std::string model = "{}";
    std::string preprocessor = "{}";
};

/** A plugin broke rule `rule` of docs/abi.md. */
inline Error broken(const Plugin& plugin, const char* rule, const std::string& what) {
    return {VLM_STATUS_INTERNAL, plugin.id() + ": " + what + "; this is a fault of the plugin (" + rule + ")"};
}

/** Owner of one `vlm_component`. `Api` is a table that begins with vlm_component_api. */
template <typename Api>
class Component {
  public:
    /** Looks the interface up and creates the component. Throws with the plugin's own reason. */
    Component(std::shared_ptr<const Plugin> plugin, const char* kind, const ComponentConfig& config)
        : plugin_(std::move(plugin)) {
        const void* table = plugin_->find_interface(kind);
        if (table == nullptr)
            throw invalid_argument(plugin_->path().string() + ": plugin '" + plugin_->id() + "' does not offer '" +
                                   kind + "'; see `vlmhost plugins` for what it offers");
        api_ = copy_table<Api>(table);

        char reason[1024] = "";
        vlm_component_config c{};
        c.struct_size = sizeof(c);
        c.abi_version = plugin_->abi_version();
        c.host = &plugin_->host();
        c.config = {config.config.data(), config.config.size()};
        c.model = {config.model.data(), config.model.size()};
        c.preprocessor = {config.preprocessor.data(), config.preprocessor.size()};
        c.reason = reason;
        c.reason_size = sizeof(reason);
        const vlm_status status = api_.base.create(&c, &handle_);
        reason[sizeof(reason) - 1] = '\0';
        if (status != VLM_STATUS_OK)
            throw Error(status, plugin_->id() + ": cannot be configured: " +
                                    (reason[0] != '\0' ? reason : "the plugin gave no reason") + " (" +
                                    status_name(status) + ")");
        if (handle_ == nullptr)
            throw Error(VLM_STATUS_INTERNAL, plugin_->id() + ": create succeeded but made no component");
    }
    ~Component() { api_.base.destroy(handle_); }
    Component(const Component&) = delete;
    Component& operator=(const Component&) = delete;

    /** Reads and packs weights; a plugin without `load` needs none. */
    void load(Run& run, const vlm_weights& weights) {
        if (api_.base.load == nullptr) return;
        vlm_status status = VLM_STATUS_OK;
        std::string logged;  // what packs weights has no run context to complain to
        {
            const ErrorCapture said;
            status = api_.base.load(handle_, context(run), &weights);
            logged = said.text();
        }
        run.check(status, plugin_->id() + ": load", logged);
    }

    const Plugin& plugin() const { return *plugin_; }

  protected:
    const vlm_run_context* context(Run& run) const { return run.context(plugin_->abi_version()); }
    /** Checks the status of `function`. */
    void check(Run& run, vlm_status status, const char* function) const {
        run.check(status, plugin_->id() + ": " + function);
    }
    /** Checks a call that has no run context and so no error sink. */
    void check(vlm_status status, const char* function) const {
        if (status == VLM_STATUS_OK) return;
        const std::string why = plugin_->take_failure();
        throw Error(status, plugin_->id() + ": " + function + (why.empty() ? " failed" : ": " + why) + " (" +
                                status_name(status) + ")");
    }

    Api api_{};
    vlm_component* handle_ = nullptr;

  private:
    std::shared_ptr<const Plugin> plugin_;
};

}  // namespace vlm
