/** @file isolated_plugin.cpp
 *  See isolated_plugin.hpp.
 */
#include "host/isolate/isolated_plugin.hpp"

#include "host/base/error.hpp"
#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"
#include "host/trust/verify.hpp"

namespace vlm::isolate {

std::shared_ptr<const Plugin> IsolatedPlugin::open(const std::filesystem::path& path, const IsolateOptions& options,
                                                   const TrustPolicy& trust) {
    if (!std::filesystem::exists(path)) throw not_found(path.string() + ": no such plugin file");
    if (!std::filesystem::is_regular_file(path))
        throw invalid_argument(path.string() + ": a plugin is a shared library file, and this is not a file");
    auto spec = std::make_shared<LaunchSpec>();
    spec->library = path;
    spec->arena = options.arena;
    spec->device = options.device;
    spec->stage = options.stage;
    spec->time_limit = options.time_limit;
    spec->memory_limit = options.memory_limit;
    spec->idle_limit = options.idle_limit;
    std::optional<Verification> checked;
    if (trust.mode != TrustMode::off) {
        checked = verify_plugin(path, trust.keys);
        enforce(*checked, path, trust.mode);
        spec->sealed = std::make_shared<const SealedFile>(std::move(checked->library));
    }
    auto process = std::make_unique<Process>(*spec);
    const std::shared_ptr<IsolatedPlugin> plugin(new IsolatedPlugin());
    plugin->spec_ = std::move(spec);
    plugin->identity_ = process->identity();
    plugin->first_ = std::move(process);
    const auto& who = plugin->identity_;
    plugin->path_ = path;
    plugin->id_ = who.id;
    plugin->name_ = who.name;
    plugin->vendor_ = who.vendor;
    plugin->version_ = who.version;
    plugin->license_ = who.license;
    plugin->url_ = who.url;
    plugin->capabilities_ = who.capabilities;
    plugin->abi_version_ = who.abi_version;
    plugin->host_ = host_info({});
    plugin->host_.host = plugin.get();
    if (checked) check_identity(*checked, path, plugin->id_, plugin->version_, trust.mode);
    return plugin;
}

const void* IsolatedPlugin::find_interface(const std::string& id) const {
    for (const auto& [kind, fault] : identity_.kinds) {
        if (kind != id) continue;
        if (!fault.empty()) throw invalid_argument(fault);
        return remote_table(id);
    }
    return nullptr;
}

std::string IsolatedPlugin::take_failure() const {
    return isolate::take_failure();
}

std::unique_ptr<Process> IsolatedPlugin::take_process() const {
    {
        const std::scoped_lock lock(mutex_);
        if (first_) return std::move(first_);
    }
    return std::make_unique<Process>(*spec_);
}

}  // namespace vlm::isolate
