/** @file entry_rules.cpp
 *  What can be asked of a plugin before anything is made with it.
 */
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/check/elf.hpp"
#include "host/check/identity.hpp"
#include "host/check/rules.hpp"
#include "host/services/run.hpp"

namespace vlm {
namespace {

void exports_one_symbol(const CheckOptions& options) {
    std::string foreign;
    bool has_entry = false;
    for (const auto& name : exported_symbols(options.library)) {
        // The linker's own marks and sanitizer runtimes are not the author's doing.
        if (name == VLM_PLUGIN_ENTRY_SYMBOL)
            has_entry = true;
        else if (name != "_init" && name != "_fini" && name != "__bss_start" && name != "_edata" && name != "_end" &&
                 !name.starts_with("__asan") && !name.starts_with("__odr_asan") && !name.starts_with("__gcov"))
            foreign += (foreign.empty() ? "" : ", ") + name;
    }
    must(has_entry, std::string("does not export '") + VLM_PLUGIN_ENTRY_SYMBOL + "'");
    must(foreign.empty(), "also exports " + foreign + "; link with the SDK's plugin.map and -fvisibility=hidden");
}

void entry_is_repeatable(const CheckOptions& options) {
    const Subject subject(options);
    const vlm_plugin* first = &subject.plugin();
    const std::string id = first->id != nullptr ? first->id : "";
    must(&subject.plugin() == first, "the second call of the entry returned another description than the first");
    constexpr int kCalls = 200;
    std::array<const vlm_plugin*, 2> seen{};
    std::array<std::thread, 2> threads;
    for (size_t t = 0; t < threads.size(); ++t)
        threads[t] = std::thread([&, t] {
            for (int i = 0; i < kCalls; ++i) {
                const vlm_host_info host = Subject::host();
                char reason[256] = "";
                const vlm_plugin* plugin = nullptr;
                if (subject.entry()(&host, &plugin, reason, sizeof(reason)) != VLM_STATUS_OK) plugin = nullptr;
                seen[t] = i == 0 || seen[t] == plugin ? plugin : nullptr;
            }
        });
    for (auto& thread : threads) thread.join();
    for (const auto* plugin : seen) must(plugin == first, "calls from two threads at once gave different answers");
    must(first->id != nullptr && id == first->id, "the id changed between calls");
}

/** One call of the entry as a host that speaks `min` to `max`. */
struct Negotiated {
    vlm_status status;
    const vlm_plugin* plugin;
    std::string reason;
};
Negotiated negotiate(const Subject& subject, const vlm_host_info& host, uint64_t reason_size = 512) {
    Negotiated answer{VLM_STATUS_OK, nullptr, {}};
    ReasonBuffer reason(reason_size);
    answer.status = subject.entry()(&host, &answer.plugin, reason.data(), reason.size());
    answer.reason = reason.text();
    return answer;
}

void negotiates(const CheckOptions& options) {
    const Subject subject(options);
    must(subject.plugin().abi_version >= VLM_ABI_VERSION_MIN && subject.plugin().abi_version <= VLM_ABI_VERSION,
         "chose ABI version " + std::to_string(subject.plugin().abi_version) + ", but the host offered " +
             std::to_string(VLM_ABI_VERSION_MIN) + " to " + std::to_string(VLM_ABI_VERSION));

    // A host of a later version that still serves ours: its info is longer, and what stands behind is not ours to read.
    constexpr uint32_t kLater = VLM_ABI_VERSION + 1000;
    std::array<unsigned char, sizeof(vlm_host_info) + 64> longer;
    longer.fill(0xFF);
    vlm_host_info host = Subject::host();
    host.struct_size = longer.size();
    host.abi_version = host.abi_version_max = kLater;
    std::memcpy(longer.data(), &host, sizeof(host));
    alignas(vlm_host_info) std::array<unsigned char, sizeof(longer)> aligned = longer;
    const auto later = negotiate(subject, *reinterpret_cast<const vlm_host_info*>(aligned.data()));
    must(later.status == VLM_STATUS_OK && later.plugin != nullptr,
         "refuses a later host that still serves version " + std::to_string(VLM_ABI_VERSION) + ": " + later.reason);
    must(later.plugin->abi_version <= kLater && later.plugin->abi_version >= VLM_ABI_VERSION_MIN,
         "chose a version outside the range of a later host");

    const auto must_refuse = [&](uint32_t min, uint32_t max, const std::string& what) {
        vlm_host_info other = Subject::host();
        other.abi_version = std::max(max, uint32_t{1});  // 0 would be a malformed struct, which is another rule
        other.abi_version_min = min;
        other.abi_version_max = max;
        const auto answer = negotiate(subject, other);
        must(answer.status == VLM_STATUS_UNIMPLEMENTED || answer.status == VLM_STATUS_INVALID_ARGUMENT,
             std::string("answers a host ") + what + " with " + status_name(answer.status) +
                 ", expected UNIMPLEMENTED and a reason");
        must(answer.reason.size() >= 10, "refuses a host " + what + " (it serves versions " + std::to_string(min) +
                                             " to " + std::to_string(max) + ") without a sentence in `reason`" +
                                             (answer.reason.empty() ? "" : ", only '" + answer.reason + "'"));
        // A short buffer gets a shorter reason, never more bytes than it has.
        for (const uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{17}})
            must(negotiate(subject, other, size).status != VLM_STATUS_OK,
                 "accepts a host " + what + " when the reason buffer is short");
    };
    must_refuse(kLater, kLater + 1, "that is too new");
    must_refuse(0, 0, "that is too old");
}

void entry_refuses_nonsense(const CheckOptions& options) {
    const Subject subject(options);
    const auto refused = [](vlm_status status, const std::string& what) {
        must(status != VLM_STATUS_OK, "the entry accepted " + what);
    };
    const vlm_host_info host = Subject::host();
    const vlm_plugin* plugin = nullptr;
    char reason[256] = "";
    refused(subject.entry()(nullptr, &plugin, reason, sizeof(reason)), "a NULL host");
    refused(subject.entry()(&host, nullptr, reason, sizeof(reason)), "a NULL place for its answer");
    refused(subject.entry()(nullptr, nullptr, nullptr, 0), "nothing but NULL");
    vlm_host_info empty = host;
    empty.struct_size = 0;
    refused(subject.entry()(&empty, &plugin, reason, sizeof(reason)), "a host info of struct_size 0");
    empty = host;
    empty.abi_version = 0;
    refused(subject.entry()(&empty, &plugin, reason, sizeof(reason)), "a host info of abi_version 0");
    must(subject.entry()(&host, &plugin, nullptr, 0) == VLM_STATUS_OK,
         "the entry needs a reason buffer even when there is nothing to say");
}

void identity_is_complete(const CheckOptions& options) {
    const Subject subject(options);
    const auto& plugin = subject.plugin();
    const auto text = [](const char* value, const char* field) {
        must(value != nullptr && *value != '\0', std::string("gives no ") + field);
        return std::string(value);
    };
    const std::string id = text(plugin.id, "id");
    must(is_plugin_id(id), "its id '" + id + "' is not in reverse-DNS form, such as com.example.plugin");
    text(plugin.name, "name");
    text(plugin.vendor, "vendor");
    const std::string version = text(plugin.version, "version");
    must(is_semantic_version(version), "its version '" + version + "' is not semantic, such as 1.2.0");
    const std::string license = text(plugin.license, "licence");
    must(is_spdx_expression(license),
         "its licence '" + license + "' is no SPDX expression, such as Apache-2.0 or LicenseRef-Vendor");
    if (plugin.capabilities != nullptr)
        must(nlohmann::json::parse(plugin.capabilities, nullptr, false).is_object(),
             "its capabilities are not a JSON object");
}

void tables_are_sound(const CheckOptions& options) {
    const Subject subject(options);
    const auto& plugin = subject.plugin();
    const auto offered = subject.interfaces();
    must(!offered.empty(), "offers none of the kinds that this host knows");
    for (const auto& [kind, table] : offered)
        must(plugin.get_interface(kind.c_str()) == table, "returns another table of " + kind + " at the second call");
    for (const char* unknown : {"", "vlm.token_reducer", "vlm.token_reducer/999", "com.example.nothing/1"})
        must(plugin.get_interface(unknown) == nullptr,
             std::string("returns a table for the unknown interface '") + unknown + "'");
    must(plugin.get_interface(nullptr) == nullptr, "returns a table for a NULL interface id");
    const auto capabilities =
        nlohmann::json::parse(plugin.capabilities != nullptr ? plugin.capabilities : "{}", nullptr, false);
    if (!capabilities.is_object() || !capabilities.contains("kinds")) return;
    for (const auto& kind : capabilities["kinds"])
        must(kind.is_string() && plugin.get_interface(kind.get<std::string>().c_str()) != nullptr,
             "claims the kind " + kind.dump() + " but has no table for it");
}

}  // namespace

std::vector<Rule> entry_rules() {
    return {{"VLM-P-01", "exports vlm_plugin_entry and nothing else", exports_one_symbol},
            {"VLM-P-02", "the entry may be called again, from any thread", entry_is_repeatable},
            {"VLM-P-03", "negotiates with older, current and later hosts", negotiates},
            {"VLM-P-04", "the entry refuses NULL and malformed arguments", entry_refuses_nonsense},
            {"VLM-P-05", "says who it is", identity_is_complete},
            {"VLM-P-06", "tables of the claimed kinds, and no others", tables_are_sound}};
}

}  // namespace vlm
