/** @file served_table.hpp
 *  What all kinds share: the copied table and the component. There is no destroy: the component goes with its process.
 */
#pragma once
#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"
#include "host/isolate/child/server.hpp"
#include "host/pipeline/component.hpp"

namespace vlm::isolate {

/** `Api` is a table that begins with vlm_component_api. */
template <typename Api>
class ServedTable : public Served {
  public:
    explicit ServedTable(const void* table) {
        const auto* header = static_cast<const vlm_component_api*>(table);
        std::memcpy(&api_, table, std::min<size_t>(header->struct_size, sizeof(Api)));
        fill_stub(api_.base.create);
    }
    vlm_status create(const vlm_component_config& config) override { return api_.base.create(&config, &component_); }
    vlm_status load(const vlm_run_context* run, const vlm_weights& weights) override {
        return api_.base.load != nullptr ? api_.base.load(component_, run, &weights) : VLM_STATUS_OK;
    }
    bool made() const override { return component_ != nullptr; }

  protected:
    static Error unknown_call() { return {VLM_STATUS_UNIMPLEMENTED, "this kind of plugin has no such function"}; }
    Api api_{};
    vlm_component* component_ = nullptr;
};

}  // namespace vlm::isolate
