/** @file loader.cpp
 *  See loader.hpp. Every check here has a message that says what a person can do about it.
 */
#include "host/plugin/loader.hpp"

#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <array>
#include <boost/dll/shared_library.hpp>
#include <map>
#include <mutex>
#include <optional>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/plugin/library_file.hpp"
#include "host/services/services.hpp"
#include "host/trust/verify.hpp"

namespace vlm {
namespace {

const char* const kHostName = "vlmhost";
const char* const kHostVersion = "0.1.0";

const void* get_service(void*, const char* id) {
    return id != nullptr ? find_service(id) : nullptr;
}

void log_for_plugin(void*, const char* plugin_id, int32_t level, const char* message) {
    const bool named = plugin_id != nullptr && *plugin_id != '\0';
    log_message(level, named ? plugin_id : "plugin", message != nullptr ? message : "");
}

using Library = boost::dll::shared_library;

/** Libraries stay open until the process ends, whatever happens to the objects that use them. */
Library& keep_open(Library&& library) {
    static auto* const open_libraries = new std::vector<std::unique_ptr<Library>>();
    static std::mutex mutex;
    const std::scoped_lock lock(mutex);
    open_libraries->push_back(std::make_unique<Library>(std::move(library)));
    return *open_libraries->back();
}

/** Loads what `file` names; messages speak of `path`. */
Library& load_library(const std::filesystem::path& file, const std::filesystem::path& path) {
    check_library_file(file, path);
    boost::dll::fs::error_code error;
    Library library(boost::dll::fs::path(file.string()), error,
                    boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (error)
        throw invalid_argument(path.string() + ": cannot be loaded as a shared library (" + error.message() +
                               "); is it built for this machine, and are its dependencies installed?");
    if (!library.has(VLM_PLUGIN_ENTRY_SYMBOL))
        throw invalid_argument(path.string() + ": is a shared library but no plugin: it does not export '" +
                               VLM_PLUGIN_ENTRY_SYMBOL + "'");
    return keep_open(std::move(library));
}

/** Loads the bytes that were checked, each set of bytes once. The sealed copy is kept: the system's loader knows
 * libraries by name, and the name of a closed descriptor would soon be that of another file. */
Library& load_sealed(SealedFile&& sealed, const std::filesystem::path& path) {
    struct Loaded {
        SealedFile file;
        Library* library;
    };
    static auto* const loaded = new std::map<std::string, Loaded>();
    static std::mutex mutex;
    const std::scoped_lock lock(mutex);
    const auto known = loaded->find(sealed.sha256());
    if (known != loaded->end()) return *known->second.library;
    Library& library = load_library(sealed.path(), path);
    const std::string hash = sealed.sha256();
    loaded->emplace(hash, Loaded{std::move(sealed), &library});
    return library;
}

std::string identity_text(const char* text, const char* field, const std::filesystem::path& path, bool required) {
    if (text != nullptr && *text != '\0') return text;
    if (required) throw invalid_argument(path.string() + ": the plugin gives no '" + field + "' in its identity");
    return {};
}

/** Reads a pointer member of `plugin`, or NULL when the plugin's struct is too short to have it. */
template <typename T>
T member(const vlm_plugin& plugin, T vlm_plugin::*field) {
    const auto end = reinterpret_cast<const char*>(&(plugin.*field) + 1) - reinterpret_cast<const char*>(&plugin);
    return static_cast<uint64_t>(end) <= plugin.struct_size ? plugin.*field : nullptr;
}

}  // namespace

const std::vector<std::string>& plugin_kinds() {
    static const std::vector<std::string> kinds = {VLM_KIND_VISION_ENCODER, VLM_KIND_CONNECTOR, VLM_KIND_BACKBONE,
                                                   VLM_KIND_TOKEN_REDUCER, VLM_KIND_POST_PROCESSOR};
    return kinds;
}

const vlm_host_info& host_info(const AbiRange& range) {
    static std::map<std::pair<uint32_t, uint32_t>, vlm_host_info> infos;
    static std::mutex mutex;
    const std::scoped_lock lock(mutex);
    auto [entry, added] = infos.try_emplace({range.min, range.max});
    if (added)
        entry->second = {sizeof(vlm_host_info), range.max, range.min,   range.max,     kHostName,
                         kHostVersion,          nullptr,   get_service, log_for_plugin};
    return entry->second;
}

std::shared_ptr<const Plugin> Plugin::open(const std::filesystem::path& path, const AbiRange& range,
                                           const TrustPolicy& trust) {
    if (!std::filesystem::exists(path)) throw not_found(path.string() + ": no such plugin file");
    if (!std::filesystem::is_regular_file(path))
        throw invalid_argument(path.string() + ": a plugin is a shared library file, and this is not a file");
    std::optional<Verification> checked;
    if (trust.mode != TrustMode::off) {
        checked = verify_plugin(path, trust.keys);
        enforce(*checked, path, trust.mode);
    }
    auto& library =
        checked ? load_sealed(std::move(checked->library), path) : load_library(std::filesystem::absolute(path), path);
    auto plugin = negotiate(library, path, range);
    if (checked) check_identity(*checked, path, plugin->id(), plugin->version(), trust.mode);
    return plugin;
}

std::shared_ptr<const Plugin> Plugin::open_descriptor(int descriptor, const std::filesystem::path& path) {
    return negotiate(load_library("/proc/self/fd/" + std::to_string(descriptor), path), path, {});
}

std::shared_ptr<Plugin> Plugin::negotiate(boost::dll::shared_library& library, const std::filesystem::path& path,
                                          const AbiRange& range) {
    const auto entry = reinterpret_cast<vlm_plugin_entry_fn>(
        &library.get<vlm_status(const vlm_host_info*, const vlm_plugin**, char*, uint64_t)>(VLM_PLUGIN_ENTRY_SYMBOL));

    std::array<char, 512> reason{};
    const vlm_plugin* plugin = nullptr;
    const vlm_status status = entry(&host_info(range), &plugin, reason.data(), reason.size());
    reason.back() = '\0';
    if (status != VLM_STATUS_OK)
        throw Error(status == VLM_STATUS_UNIMPLEMENTED ? VLM_STATUS_UNIMPLEMENTED : VLM_STATUS_INVALID_ARGUMENT,
                    path.string() + ": the plugin refused this host (ABI versions " + std::to_string(range.min) +
                        " to " + std::to_string(range.max) +
                        "): " + (reason[0] != '\0' ? reason.data() : "it gave no reason"));
    if (plugin == nullptr)
        throw invalid_argument(path.string() + ": the plugin's entry succeeded but returned nothing");
    if (plugin->struct_size < offsetof(vlm_plugin, id) + sizeof(plugin->id) ||
        plugin->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument(path.string() + ": the plugin's description has struct_size " +
                               std::to_string(plugin->struct_size) + ", expected about " +
                               std::to_string(sizeof(vlm_plugin)));
    if (plugin->abi_version < range.min || plugin->abi_version > range.max)
        throw Error(VLM_STATUS_UNIMPLEMENTED, path.string() + ": the plugin chose ABI version " +
                                                  std::to_string(plugin->abi_version) + ", but this host speaks " +
                                                  std::to_string(range.min) + " to " + std::to_string(range.max) +
                                                  "; a newer host or an older plugin is needed");

    auto result = std::shared_ptr<Plugin>(new Plugin());
    result->path_ = path;
    result->plugin_ = plugin;
    result->abi_version_ = plugin->abi_version;
    result->id_ = identity_text(member(*plugin, &vlm_plugin::id), "id", path, true);
    result->name_ = identity_text(member(*plugin, &vlm_plugin::name), "name", path, false);
    result->vendor_ = identity_text(member(*plugin, &vlm_plugin::vendor), "vendor", path, false);
    result->version_ = identity_text(member(*plugin, &vlm_plugin::version), "version", path, true);
    result->license_ = identity_text(member(*plugin, &vlm_plugin::license), "license", path, false);
    result->url_ = identity_text(member(*plugin, &vlm_plugin::url), "url", path, false);
    result->capabilities_ = identity_text(member(*plugin, &vlm_plugin::capabilities), "capabilities", path, false);
    if (result->capabilities_.empty()) result->capabilities_ = "{}";
    if (member(*plugin, &vlm_plugin::get_interface) == nullptr)
        throw invalid_argument(path.string() + ": the plugin '" + result->id_ + "' has no get_interface");
    return result;
}

const vlm_host_info& Plugin::host() const {
    return host_info({});
}

const void* Plugin::find_interface(const std::string& id) const {
    const void* table = plugin_->get_interface(id.c_str());
    if (table == nullptr) return nullptr;
    const auto* header = static_cast<const vlm_component_api*>(table);
    const bool size_ok = header->struct_size >= sizeof(vlm_component_api) && header->struct_size <= VLM_STRUCT_SIZE_MAX;
    if (!size_ok || header->abi_version == 0)
        throw invalid_argument(path_.string() + ": interface '" + id + "' of '" + id_ + "' has struct_size " +
                               std::to_string(header->struct_size) + " and abi_version " +
                               std::to_string(header->abi_version) + ", which no version of this ABI has");
    return table;
}

}  // namespace vlm
