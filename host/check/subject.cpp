/** @file subject.cpp
 *  See subject.hpp.
 */
#include "host/check/subject.hpp"

#include <dlfcn.h>
#include <malloc.h>
#include <vlm/weights.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "host/plugin/loader.hpp"
#include "host/services/run.hpp"
#include "host/services/services.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {

std::string ReasonBuffer::text() const {
    const auto marked = [&](size_t begin, size_t end) {
        return std::all_of(bytes_.begin() + static_cast<std::ptrdiff_t>(begin),
                           bytes_.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return c == kMark; });
    };
    must(marked(0, kMargin) && marked(kMargin + size_, bytes_.size()),
         "wrote outside the reason buffer of " + std::to_string(size_) + " bytes");
    const char* begin = bytes_.data() + kMargin;
    const size_t length = strnlen(begin, size_);
    if (size_ == 0 || marked(kMargin, kMargin + size_)) return {};
    must(length < size_, "the reason is not NUL-terminated within its " + std::to_string(size_) + " bytes");
    const std::string text(begin, length);
    // The serialiser refuses what is not UTF-8, and keeping to one judge of that is less code than a second one.
    try {
        (void)nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
        throw RuleBroken("the reason is not UTF-8");
    }
    return text;
}

Subject::Subject(const CheckOptions& options) : options_(options) {
    if (options.isolated) return;
    const auto path = std::filesystem::absolute(options.library);
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw RuleBroken(std::string("cannot be loaded: ") + dlerror());
    entry_ = reinterpret_cast<vlm_plugin_entry_fn>(dlsym(library, VLM_PLUGIN_ENTRY_SYMBOL));
    must(entry_ != nullptr, std::string("does not export '") + VLM_PLUGIN_ENTRY_SYMBOL + "'");
}

vlm_host_info Subject::host() {
    return host_info({});
}

const vlm_plugin& Subject::plugin() const {
    const vlm_plugin* plugin = nullptr;
    ReasonBuffer reason(512);
    const vlm_status status = entry_(&options_.host(), &plugin, reason.data(), reason.size());
    must(status == VLM_STATUS_OK, std::string("refuses today's host (") + status_name(status) + "): " + reason.text());
    must(plugin != nullptr, "the entry succeeded but returned no description");
    must(plugin->struct_size >= offsetof(vlm_plugin, get_interface) + sizeof(plugin->get_interface) &&
             plugin->struct_size <= VLM_STRUCT_SIZE_MAX,
         "its description has struct_size " + std::to_string(plugin->struct_size) + ", expected at least " +
             std::to_string(sizeof(vlm_plugin)));
    must(plugin->get_interface != nullptr, "its description has no get_interface");
    return *plugin;
}

const vlm_component_api* Subject::find_interface(const std::string& kind) const {
    return static_cast<const vlm_component_api*>(options_.isolated ? options_.isolated->find_interface(kind)
                                                                   : plugin().get_interface(kind.c_str()));
}

std::vector<std::pair<std::string, const vlm_component_api*>> Subject::interfaces() const {
    std::vector<std::pair<std::string, const vlm_component_api*>> found;
    for (const auto& kind : plugin_kinds()) {
        const auto* api = find_interface(kind);
        if (api == nullptr) continue;
        must(api->struct_size >= sizeof(vlm_component_api) && api->struct_size <= VLM_STRUCT_SIZE_MAX &&
                 api->abi_version != 0,
             "the table of " + kind + " has struct_size " + std::to_string(api->struct_size) + " and abi_version " +
                 std::to_string(api->abi_version));
        must(api->create != nullptr && api->destroy != nullptr, "the table of " + kind + " lacks create or destroy");
        found.emplace_back(kind, api);
    }
    return found;
}

Created create(const vlm_component_api& api, const std::string& config, const std::string& model,
               const std::string& preprocessor, const vlm_host_info& host) {
    ReasonBuffer reason(512);
    vlm_component_config c{};
    c.struct_size = sizeof(c);
    c.abi_version = VLM_ABI_VERSION;
    c.host = &host;  // lives as long as the process (VLM-H-01): components may keep it
    c.config = {config.data(), config.size()};
    c.model = {model.data(), model.size()};
    c.preprocessor = {preprocessor.data(), preprocessor.size()};
    c.reason = reason.data();
    c.reason_size = reason.size();
    Created made;
    made.status = api.create(&c, &made.component);
    made.reason = reason.text();
    must(made.status != VLM_STATUS_OK || made.component != nullptr, "create succeeded but made no component");
    must(made.status == VLM_STATUS_OK || made.component == nullptr, "create failed but left a component behind");
    return made;
}

int64_t bytes_in_use() {
    const auto info = mallinfo2();
    return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

const vlm_weights& no_weights() {
    static WeightsService nothing(WeightStore::adopt({}), {""}, "");
    return nothing.abi();
}

MadeComponent::MadeComponent(const vlm_component_api& api, const CheckOptions& options) : api_(api) {
    const Created made = create(api, options.options, options.model, options.preprocessor, options.host());
    if (made.status != VLM_STATUS_OK)
        throw NotCheckable("needs a component, and create refused " + options.options +
                           " (give --options): " + made.reason);
    handle_ = made.component;
}

void MadeComponent::load(const vlm_run_context* run) {
    if (api_.load == nullptr) return;
    const vlm_status status = api_.load(handle_, run, &no_weights());
    if (status != VLM_STATUS_OK && status != VLM_STATUS_UNIMPLEMENTED)
        throw NotCheckable(std::string("needs weights: load without any gave ") + status_name(status));
}

}  // namespace vlm
