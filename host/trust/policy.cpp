/** @file policy.cpp
 *  See policy.hpp.
 */
#include "host/trust/policy.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/json/document.hpp"

namespace vlm {
namespace {

struct Added {
    std::mutex mutex;
    TrustMode mode = TrustMode::off;
    std::vector<PublicKey> keys;
};

Added& added() {
    static Added instance;
    return instance;
}

std::vector<std::string> split_path(const std::string& text) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t colon = std::min(text.find(':', begin), text.size());
        if (colon > begin) parts.push_back(text.substr(begin, colon - begin));
        begin = colon + 1;
    }
    return parts;
}

}  // namespace

TrustMode trust_mode_of(const std::string& text, const std::string& where) {
    for (const TrustMode mode : {TrustMode::off, TrustMode::warn, TrustMode::require})
        if (text == trust_mode_name(mode)) return mode;
    throw invalid_argument(where + ": unknown trust policy '" + text + "'; it is off, warn or require");
}

const char* trust_mode_name(TrustMode mode) {
    return mode == TrustMode::off ? "off" : mode == TrustMode::warn ? "warn" : "require";
}

TrustPolicy TrustPolicy::at_least(TrustMode other) const {
    TrustPolicy policy = *this;
    policy.mode = std::max(mode, other);
    return policy;
}

void TrustPolicy::add_keys(const std::vector<PublicKey>& more, const std::string& where) {
    if (keys_are_final && !more.empty()) {
        log_message(VLM_LOG_WARNING, "vlmhost",
                    where + ": its keys are not used, because the operator's policy requires signatures by its own");
        return;
    }
    keys.insert(keys.end(), more.begin(), more.end());
}

void read_trust_file(const std::filesystem::path& file, TrustPolicy& policy) {
    const auto document = json::Document::from_file(file.string());
    const auto root = document.root();
    root.check_keys({"policy", "keys", "comment"});
    const auto mode = root["policy"];
    policy.mode = std::max(policy.mode, trust_mode_of(mode.as_string(), mode.where()));
    if (const auto keys = root.find_set("keys"))
        for (const auto& path : keys->as_strings())
            policy.add_keys(read_keys(file.parent_path() / path), file.string());
    if (policy.mode == TrustMode::require) policy.keys_are_final = true;
}

std::vector<std::filesystem::path> operator_trust_files() {
    std::vector<std::filesystem::path> files = {"/etc/vlm/trust.json"};
    if (files[0] != VLM_TRUST_FILE) files.emplace_back(VLM_TRUST_FILE);
    return files;
}

TrustPolicy host_trust() {
    TrustPolicy policy;
    for (const auto& file : operator_trust_files())
        if (std::filesystem::exists(file)) read_trust_file(file, policy);
    // secure_getenv answers nothing to a process with raised privileges.
    if (const char* mode = secure_getenv("VLM_TRUST"); mode != nullptr && *mode != '\0')
        policy.mode = std::max(policy.mode, trust_mode_of(mode, "environment variable VLM_TRUST"));
    if (const char* keys = secure_getenv("VLM_TRUST_KEYS"); keys != nullptr)
        for (const auto& path : split_path(keys)) policy.add_keys(read_keys(path), "VLM_TRUST_KEYS");
    auto& more = added();
    const std::scoped_lock lock(more.mutex);
    policy.mode = std::max(policy.mode, more.mode);
    policy.add_keys(more.keys, "the command line");
    return policy;
}

void add_host_trust(TrustMode mode, const std::vector<PublicKey>& keys) {
    auto& more = added();
    const std::scoped_lock lock(more.mutex);
    more.mode = std::max(more.mode, mode);
    more.keys.insert(more.keys.end(), keys.begin(), keys.end());
}

}  // namespace vlm
