/** @file subject.hpp
 *  The plugin under test as the checks see it: raw, with nothing between them and the C functions. Only made inside a
 * child process.
 */
#pragma once
#include <vlm/component.h>
#include <vlm/plugin.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/check/child.hpp"
#include "host/check/load_faults.hpp"
#include "host/check/service_faults.hpp"
#include "host/compute/device.hpp"
#include "host/plugin/loader.hpp"

namespace vlm {

/** How to check. */
struct CheckOptions {
    std::filesystem::path library;
    uint64_t seed = 1;                 ///< Of everything that is random; the same seed repeats a failure.
    std::string options = "{}";        ///< JSON object that makes a component of the plugin.
    std::string model = "{}";          ///< JSON object: the checkpoint's config.json.
    std::string preprocessor = "{}";   ///< JSON object: the checkpoint\'s image processor.
    std::filesystem::path checkpoint;  ///< Folder whose stage of the plugin's kind gives configuration and weights.
    std::vector<std::string> only;     ///< Rules to check; empty: all.
    int limit_ms = 20'000;             ///< Time for each check.
    int total_ms = 0;                  ///< Time for all checks; what does not fit is skipped. 0: no limit.
    std::shared_ptr<LoadFaults> load_faults;  ///< Set: what fails while a component is loaded.
    std::shared_ptr<const Plugin> isolated;  ///< Set: its tables are tried, in a process of its own, and not `library`.

    bool watched = false;  ///< Services of the host obey ServiceFaults.

    /** The host as the plugin and its components are told of it. */
    const vlm_host_info& host() const { return isolated ? isolated->host() : watched ? watched_host() : host_info({}); }
};

/** Throws RuleBroken with `message` unless `condition` holds. */
inline void must(bool condition, const std::string& message) {
    if (!condition) throw RuleBroken(message);
}

/** A reason buffer with marks on both sides, so that a plugin that writes too much is seen. */
class ReasonBuffer {
  public:
    explicit ReasonBuffer(uint64_t size) : size_(size) { bytes_.fill(kMark); }
    char* data() { return bytes_.data() + kMargin; }
    uint64_t size() const { return size_; }
    /** The text. Throws RuleBroken when it is not NUL-terminated, not UTF-8 or written beyond its buffer. */
    std::string text() const;

  private:
    static constexpr char kMark = '\x5A';
    static constexpr size_t kMargin = 64;
    std::array<char, 1024> bytes_;
    uint64_t size_;
};

/** A loaded plugin. */
class Subject {
  public:
    /** Opens the library; throws RuleBroken when it cannot be loaded or has no entry. */
    explicit Subject(const CheckOptions& options);

    const CheckOptions& options() const { return options_; }
    vlm_plugin_entry_fn entry() const { return entry_; }
    /** The description that today's host gets. Throws RuleBroken when the plugin refuses. */
    const vlm_plugin& plugin() const;
    /** Today's host, as the entry takes it. */
    static vlm_host_info host();
    /** The table of `kind`, or NULL. */
    const vlm_component_api* find_interface(const std::string& kind) const;
    /** Tables of the kinds that the plugin offers: interface id and table. */
    std::vector<std::pair<std::string, const vlm_component_api*>> interfaces() const;

  private:
    CheckOptions options_;
    vlm_plugin_entry_fn entry_ = nullptr;
};

/** Outcome of one `create`. */
struct Created {
    vlm_status status = VLM_STATUS_OK;
    std::string reason;
    vlm_component* component = nullptr;
};

/** Calls `create` with `config`; checks the reason buffer. The caller destroys what was made. */
Created create(const vlm_component_api& api, const std::string& config, const std::string& model = "{}",
               const std::string& preprocessor = "{}", const vlm_host_info& host = host_info({}));

/** A component made with the options of the check, destroyed at the end. Throws NotCheckable when the plugin refuses
 * the options (it says why). */
class MadeComponent {
  public:
    MadeComponent(const vlm_component_api& api, const CheckOptions& options);
    ~MadeComponent() { api_.destroy(handle_); }
    MadeComponent(const MadeComponent&) = delete;
    MadeComponent& operator=(const MadeComponent&) = delete;
    vlm_component* get() const { return handle_; }
    /** Loads with a checkpoint that has no tensors. Throws NotCheckable when the plugin needs weights. */
    void load(const vlm_run_context* run);

  private:
    const vlm_component_api& api_;
    vlm_component* handle_ = nullptr;
};

/** Bytes that malloc has given out, of which a plugin gives back what it took. */
int64_t bytes_in_use();

/** A checkpoint without any tensor; isolated plugins take it too. */
const vlm_weights& no_weights();

/** The table of `kind` as its own type, members that the plugin does not have being NULL. Throws NotCheckable when the
 * plugin is of another kind. */
template <typename Table>
Table table_of(const Subject& subject, const char* kind) {
    for (const auto& [id, api] : subject.interfaces()) {
        if (id != kind) continue;
        Table table{};
        std::memcpy(&table, api, std::min<size_t>(api->struct_size, sizeof(Table)));
        return table;
    }
    throw NotCheckable(std::string("the plugin does not offer ") + kind);
}

}  // namespace vlm
