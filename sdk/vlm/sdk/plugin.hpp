/** @file plugin.hpp
 *  Declares a plugin: its identity and its component classes.
 *
 *      static constexpr vlm::sdk::Identity kIdentity = {.id = "com.example.thing", …};
 *      VLM_SDK_PLUGIN(kIdentity, Thing)
 *
 *  That defines the one exported symbol. It may be called any number of times, from any thread, and answers with static
 * data; the version is the newest that both sides speak.
 */
#pragma once
#include <vlm/plugin.h>

#include "vlm/sdk/edge.hpp"
#include "vlm/sdk/hooks.hpp"

namespace vlm::sdk {

/** Who a plugin is; see vlm_plugin. All texts must live until the process ends. */
struct Identity {
    const char* id;                   ///< Reverse domain name, "com.example.reader".
    const char* name;                 ///< For people.
    const char* vendor;               ///< Who ships it.
    const char* version;              ///< "major.minor.patch".
    const char* license;              ///< SPDX expression.
    const char* url;                  ///< Home page or paper.
    const char* capabilities = "{}";  ///< JSON object: kinds, architectures, devices, dtypes, hooks, deterministic.
};

namespace detail {

/** Table of the component that implements the interface `id`, or NULL. */
template <typename... Classes>
const void* get_interface(const char* id) {
    const void* table = nullptr;
    if (id != nullptr) ((std::string_view(id) == Classes::kKind ? table = table_of<Classes>() : nullptr), ...);
    return table;
}

/** Body of `vlm_plugin_entry`; `storage` is the static description of this plugin. */
template <typename... Classes>
vlm_status entry(const Identity& identity, const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                 uint64_t reason_size) noexcept {
    static_assert(VLM_ABI_VERSION == 1,
                  "with a second version, keep one static description per version that is spoken");
    return guard(
        [&] {
            const auto info = read_struct(host, "host info");
            if (plugin == nullptr) throw invalid_argument("vlm_plugin_entry: the place for the plugin is NULL");
            *plugin = nullptr;
            if (info.abi_version_max < VLM_ABI_VERSION_MIN || info.abi_version_min > VLM_ABI_VERSION)
                throw unimplemented(std::string(identity.id) + " " + identity.version + " speaks ABI version " +
                                    std::to_string(VLM_ABI_VERSION) + ", this host speaks " +
                                    std::to_string(info.abi_version_min) + " to " +
                                    std::to_string(info.abi_version_max) +
                                    "; use a plugin built for this host, or another host");
            static const vlm_plugin kPlugin = {
                sizeof(vlm_plugin), VLM_ABI_VERSION,  identity.id,  identity.name,         identity.vendor,
                identity.version,   identity.license, identity.url, identity.capabilities, &get_interface<Classes...>};
            *plugin = &kPlugin;
        },
        [&](vlm_status, const char* message) { write_reason(reason, reason_size, message); });
}

}  // namespace detail
}  // namespace vlm::sdk

/** Defines the exported entry for component classes, at most one of each kind. */
#define VLM_SDK_PLUGIN(identity, ...)                                                                       \
    extern "C" VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, \
                                                      char* reason, uint64_t reason_size) {                 \
        return vlm::sdk::detail::entry<__VA_ARGS__>(identity, host, plugin, reason, reason_size);           \
    }
