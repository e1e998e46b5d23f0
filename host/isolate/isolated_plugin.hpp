/** @file isolated_plugin.hpp
 *  A plugin that runs in a process of its own, with the same tables as if it were here.
 *
 *  Each function of these tables sends one message and waits for the answer (remote.hpp), so that nothing else in the
 * host knows the difference. Each component gets a process; a crash costs that component's state and nothing else, and
 * the next call starts the process again.
 */
#pragma once
#include <memory>
#include <string>

#include "host/isolate/process.hpp"
#include "host/plugin/loader.hpp"

namespace vlm::isolate {

/** How the plugins of one pipeline are isolated. */
struct IsolateOptions {
    std::shared_ptr<SharedArena> arena;
    DeviceOptions device;
    std::string stage;
    std::chrono::milliseconds time_limit{300'000};
    uint64_t memory_limit = 0;
    std::chrono::seconds idle_limit{10};
};

/** See the file. */
class IsolatedPlugin final : public Plugin {
  public:
    /** Starts a process that opens `path`. None of the library's code runs in this process. Throws as Plugin::open, and
     * UNAVAILABLE when the library breaks its process. */
    static std::shared_ptr<const Plugin> open(const std::filesystem::path& path, const IsolateOptions& options,
                                              const TrustPolicy& trust = host_trust());

    const void* find_interface(const std::string& id) const override;
    const vlm_host_info& host() const override { return host_; }
    bool isolated() const override { return true; }
    const Allocator& memory() const override { return spec_->arena->allocator(); }
    std::string take_failure() const override;

    const std::shared_ptr<const LaunchSpec>& spec() const { return spec_; }
    /** The process that answered who the plugin is, for the first component that asks; then new ones. */
    std::unique_ptr<Process> take_process() const;

  private:
    IsolatedPlugin() = default;
    std::shared_ptr<const LaunchSpec> spec_;
    RemoteIdentity identity_;
    vlm_host_info host_{};
    mutable std::mutex mutex_;
    mutable std::unique_ptr<Process> first_;
};

}  // namespace vlm::isolate
