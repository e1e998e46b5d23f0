/** @file loader.hpp
 *  Opens plugin libraries: the one place where foreign code enters the process.
 *
 *  Libraries are opened with RTLD_NOW | RTLD_LOCAL (a missing symbol shows here and not in the middle of a run, and
 * nothing leaks into other plugins) and are never closed before exit: threads, thread-local destructors and static
 * tables of the library may outlive any reference that the host can count. Under a trust policy what is loaded is not
 * the file but the sealed copy of it that was checked (host/trust/sealed_file.hpp).
 */
#pragma once
#include <vlm/plugin.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/trust/policy.hpp"

namespace boost::dll {
class shared_library;
}

namespace vlm {

/** Range of ABI versions offered at the entry. Tests narrow or shift it to play an older or newer host. */
struct AbiRange {
    uint32_t min = VLM_ABI_VERSION_MIN;
    uint32_t max = VLM_ABI_VERSION;
};

/** A loaded plugin: its identity (checked, owned copies) and its interfaces. Lives until the process ends. The plugin
 * may also be in a process of its own (host/isolate/isolated_plugin.hpp); whoever calls its tables sees no difference.
 */
class Plugin {
  public:
    virtual ~Plugin() = default;
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    /** Opens `path` and negotiates. Throws NOT_FOUND (no such file), UNAUTHENTICATED (the trust policy refuses it; none
     * of its code has run), INVALID_ARGUMENT (not a library, not a plugin, broken identity) or UNIMPLEMENTED (no common
     * ABI version); each message names the file. */
    static std::shared_ptr<const Plugin> open(const std::filesystem::path& path, const AbiRange& range = {},
                                              const TrustPolicy& trust = host_trust());

    /** Loads the library in `descriptor`, which somebody else has checked and keeps open; messages name `path`. Throws
     * as open. */
    static std::shared_ptr<const Plugin> open_descriptor(int descriptor, const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    const std::string& id() const { return id_; }
    const std::string& name() const { return name_; }
    const std::string& vendor() const { return vendor_; }
    const std::string& version() const { return version_; }
    const std::string& license() const { return license_; }
    const std::string& url() const { return url_; }
    /** JSON object as the plugin wrote it, "{}" when it gave none. */
    const std::string& capabilities() const { return capabilities_; }
    /** The version that the plugin chose. */
    uint32_t abi_version() const { return abi_version_; }

    /** The table of `id` ("vlm.connector/1"), or NULL. Its header is checked: a size or version of 0 throws. */
    virtual const void* find_interface(const std::string& id) const;

    /** What its components are created with. */
    virtual const vlm_host_info& host() const;
    /** Whether it runs in a process of its own. */
    virtual bool isolated() const { return false; }
    /** Memory for tensors on the CPU that only this plugin and the host touch. */
    virtual const Allocator& memory() const { return Allocator::cpu(); }
    /** Why the last call of this thread failed, when the plugin had no error sink to say it; told once. */
    virtual std::string take_failure() const { return {}; }

  protected:
    Plugin() = default;
    std::filesystem::path path_;
    std::string id_, name_, vendor_, version_, license_, url_, capabilities_;
    uint32_t abi_version_ = 0;

  private:
    /** Asks a loaded library who it is. */
    static std::shared_ptr<Plugin> negotiate(boost::dll::shared_library& library, const std::filesystem::path& path,
                                             const AbiRange& range);
    const vlm_plugin* plugin_ = nullptr;
};

/** The five kinds, by interface id. */
const std::vector<std::string>& plugin_kinds();

/** The host's answer to a plugin's first call: versions, log and services. Lives until the process ends. */
const vlm_host_info& host_info(const AbiRange& range);

}  // namespace vlm
