/** @file served_table.hpp
 *  What all kinds share: the copied table and the component. There is no destroy: the component goes with its process.
 */
#pragma once
#include "host/base/error.hpp"
#include "host/isolate/child/server.hpp"
#include "host/isolate/fields.hpp"
#include "host/pipeline/plugin_table.hpp"

namespace vlm::isolate {

/** `Api` is a table that begins with vlm_component_api. */
template <typename Api>
class ServedTable : public Served {
  public:
    explicit ServedTable(const void* table) : api_(copy_table<Api>(table)) {}
    vlm_status create(const vlm_component_config& config) override { return api_.base.create(&config, &component_); }
    vlm_status load(const vlm_run_context* run, const vlm_weights& weights) override {
        return api_.base.load != nullptr ? api_.base.load(component_, run, &weights) : VLM_STATUS_OK;
    }
    bool made() const override { return component_ != nullptr; }

  protected:
    static Error unknown_call() { return {VLM_STATUS_UNIMPLEMENTED, "this kind of plugin has no such function"}; }
    /** What the plugin says of itself. */
    template <typename Description>
    vlm_status describe(ServedCall& call) {
        auto made = abi_struct<Description>();
        const vlm_status status = api_.describe(component_, &made);
        put_members(call.result, made);
        return status;
    }
    const Api api_;
    vlm_component* component_ = nullptr;
};

}  // namespace vlm::isolate
