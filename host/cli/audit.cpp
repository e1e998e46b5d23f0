/** @file audit.cpp
 *  See audit.hpp.
 */
#include "host/cli/audit.hpp"

#include <vlm/version.h>

#include <array>
#include <ctime>
#include <iterator>

#include "host/base/sha256.hpp"
#include "host/trust/sealed_file.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

ordered_json file_record(const std::filesystem::path& path) {
    return {{"file", path.string()}, {"sha256", sha256_of_file(path)}};
}

ordered_json plugin_record(const Plugin& plugin) {
    return {{"id", plugin.id()},
            {"version", plugin.version()},
            {"file", plugin.path()},
            {"sha256", sha256_of_file(plugin.path())}};
}

/** The manifest's file, or null for a pipeline that `--model` made. */
ordered_json manifest_record(const Manifest& manifest) {
    if (manifest.file.empty()) return nullptr;
    return file_record(manifest.file);
}

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

}  // namespace

AuditTrail::AuditTrail(const Pipeline& pipeline) {
    const auto& manifest = pipeline.manifest();
    ordered_json plugins = ordered_json::array();
    plugins.push_back(plugin_record(pipeline.encoder().plugin()));
    for (const auto& reducer : pipeline.reducers()) plugins.push_back(plugin_record(reducer->plugin()));
    plugins.push_back(plugin_record(pipeline.connector().plugin()));
    plugins.push_back(plugin_record(pipeline.backbone().plugin()));
    ordered_json options = ordered_json::object();
    for (const auto& post : pipeline.post_processors()) plugins.push_back(plugin_record(post->plugin()));
    for (const auto& stage : manifest.post_processors) options[stage.plugin] = ordered_json::parse(stage.options);
    ordered_json weights = ordered_json::array();
    for (const auto& file : pipeline.checkpoint().weights()->files())
        weights.push_back({{"file", file.name()}, {"sha256", file.sha256()}});

    shared_ = {{"host", {{"version", VLM_HOST_VERSION}, {"abi", VLM_ABI_VERSION}}},
               {"device", pipeline.devices().description()},
               {"manifest", manifest_record(manifest)},
               {"weights", weights},
               {"plugins", plugins},
               {"options", options}};
    key_ = Sha256().add(shared_.dump()).hex();
}

ordered_json AuditTrail::record(const std::string& image, const std::string& image_sha256, double duration_ms) const {
    ordered_json record = {{"key", key_},
                           {"image", image},
                           {"image_sha256", image_sha256},
                           {"time", utc_now()},
                           {"duration_ms", duration_ms}};
    record.update(shared_);
    return record;
}

}  // namespace vlm::cli
