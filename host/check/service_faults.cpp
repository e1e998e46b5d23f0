/** @file service_faults.cpp
 *  See service_faults.hpp.
 */
#include "host/check/service_faults.hpp"

#include <vlm/hooks.h>
#include <vlm/image.h>
#include <vlm/text.h>

#include <string_view>
#include <type_traits>

#include "host/plugin/loader.hpp"
#include "host/services/services.hpp"

namespace vlm {
namespace {

/** The one in force; plugins may call from threads of their own. */
std::atomic<ServiceFaults*> in_force{nullptr};

template <typename Table>
constexpr HostService kServiceOf = std::is_same_v<Table, vlm_image_service> ? HostService::image : HostService::text;

template <typename Table>
const Table& real_table() {
    static const auto* const table = static_cast<const Table*>(
        find_service(std::is_same_v<Table, vlm_image_service> ? VLM_SERVICE_IMAGE : VLM_SERVICE_TEXT));
    return *table;
}

template <auto Slot>
struct Watched;

template <typename Table, typename... Args, vlm_status (*Table::*Slot)(Args...)>
struct Watched<Slot> {
    static vlm_status call(Args... args) {
        if (ServiceFaults::fails(kServiceOf<Table>)) return VLM_STATUS_INTERNAL;
        return (real_table<Table>().*Slot)(args...);
    }
};

/** The real table with those slots watched that can fail. */
template <typename Table, auto... Slots>
const Table& watched_table() {
    static const Table table = [] {
        Table made = real_table<Table>();
        ((made.*Slots = &Watched<Slots>::call), ...);
        return made;
    }();
    return table;
}

const void* get_watched_service(void*, const char* id) {
    if (id == nullptr || ServiceFaults::fails(HostService::lookup)) return nullptr;
    using Image = vlm_image_service;
    using Text = vlm_text_service;
    if (std::string_view(id) == VLM_SERVICE_IMAGE)
        return &watched_table<Image, &Image::resize, &Image::window, &Image::normalize>();
    if (std::string_view(id) == VLM_SERVICE_TEXT) return &watched_table<Text, &Text::open, &Text::encode>();
    return find_service(id);
}

vlm_status watched_tap(void*, const char*, const vlm_tensor*) {
    return ServiceFaults::fails(HostService::tap) ? VLM_STATUS_INTERNAL : VLM_STATUS_OK;
}

uint32_t watched_needs(void* needs, uint32_t, int32_t, int32_t) {
    return *static_cast<const uint32_t*>(needs);
}

vlm_status watched_reduce(void*, const vlm_run_context*, const vlm_token_view*, const vlm_token_map** map) {
    if (ServiceFaults::fails(HostService::hooks)) return VLM_STATUS_INTERNAL;
    if (map != nullptr) *map = nullptr;
    return VLM_STATUS_OK;
}

}  // namespace

const char* name_of(HostService service) {
    switch (service) {
        case HostService::hooks:
            return "the hooks";
        case HostService::tap:
            return "the tap";
        case HostService::emit:
            return "emit";
        case HostService::lookup:
            return "get_service";
        case HostService::image:
            return "the image service";
        case HostService::text:
            return "the text service";
    }
    return "a service";
}

ServiceFaults::ServiceFaults(HostService service, int at, uint32_t needs) : service_(service), at_(at), needs_(needs) {
    in_force = this;
}

ServiceFaults::~ServiceFaults() {
    in_force = nullptr;
}

bool ServiceFaults::fails(HostService service) {
    ServiceFaults* const faults = in_force.load();
    return faults != nullptr && faults->service_ == service && faults->calls_.fetch_add(1) == faults->at_;
}

void ServiceFaults::attach(vlm_run_context& context) {
    ServiceFaults* const faults = in_force.load();
    if (faults == nullptr) return;
    static vlm_hooks hooks{};
    hooks = {sizeof(hooks), VLM_ABI_VERSION, &faults->needs_, watched_needs, watched_reduce};
    if (faults->service_ == HostService::hooks) context.hooks = &hooks;
    if (faults->service_ == HostService::tap) context.tap = watched_tap;
}

const vlm_host_info& watched_host() {
    static const vlm_host_info host = [] {
        vlm_host_info made = host_info({});
        made.get_service = get_watched_service;
        return made;
    }();
    return host;
}

}  // namespace vlm
