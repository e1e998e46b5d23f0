/** @file sidecar.cpp
 *  See sidecar.hpp.
 */
#include "host/trust/sidecar.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm {
namespace {

constexpr const char* kSchema = "vlm-plugin/1";
constexpr int64_t kLargestVersion = 0xFFFFFFFF;

std::string hash_text(json::Value value) {
    std::string text = value.as_string();
    constexpr size_t kDigits = 64;
    if (text.size() != kDigits || text.find_first_not_of("0123456789abcdef") != std::string::npos)
        throw value.error("must be a SHA-256 as 64 lower-case hex digits");
    return text;
}

std::string full_text(json::Value root, const char* key) {
    std::string text = root[key].as_string();
    if (text.empty()) throw root[key].error("must not be empty");
    return text;
}

}  // namespace

std::string Sidecar::text() const {
    json::Writer writer(2);
    writer.begin_object().member("schema", kSchema).member("id", id).member("vendor", vendor);
    writer.member("version", version).member("license", license).member("platform", platform);
    writer.key("abi").begin_object().member("min", abi_min).member("max", abi_max).end_object();
    writer.member("library_sha256", library_sha256).key("weights").begin_array();
    for (const auto& file : weights)
        writer.begin_object().member("path", file.path).member("sha256", file.sha256).end_object();
    return writer.end_array().end_object().take() + "\n";
}

Sidecar Sidecar::parse(const std::string& text, const std::string& name) {
    const auto document = json::Document::from_text(text, name);
    const auto root = document.root();
    root.check_keys({"schema", "id", "vendor", "version", "license", "platform", "abi", "library_sha256", "weights"});
    (void)root["schema"].as_one_of({kSchema});
    Sidecar sidecar;
    sidecar.id = full_text(root, "id");
    sidecar.vendor = full_text(root, "vendor");
    sidecar.version = full_text(root, "version");
    sidecar.license = full_text(root, "license");
    sidecar.platform = full_text(root, "platform");
    const auto abi = root["abi"];
    abi.check_keys({"min", "max"});
    sidecar.abi_min = static_cast<uint32_t>(abi["min"].as_int(1, kLargestVersion));
    sidecar.abi_max = static_cast<uint32_t>(abi["max"].as_int(sidecar.abi_min, kLargestVersion));
    sidecar.library_sha256 = hash_text(root["library_sha256"]);
    if (const auto weights = root.find_set("weights"))
        for (const auto& item : weights->as_array()) {
            item.check_keys({"path", "sha256"});
            File file{full_text(item, "path"), hash_text(item["sha256"])};
            const std::filesystem::path path(file.path);
            if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
                throw item["path"].error("must be relative to this file and stay in its folder");
            sidecar.weights.push_back(std::move(file));
        }
    return sidecar;
}

std::string this_platform() {
    utsname name{};
    uname(&name);
    std::string system = name.sysname;
    std::transform(system.begin(), system.end(), system.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return system + "-" + name.machine;
}

std::filesystem::path sidecar_path(const std::filesystem::path& library) {
    return library.string() + ".json";
}
std::filesystem::path signature_path(const std::filesystem::path& library) {
    return library.string() + ".json.sig";
}

std::string SignatureFile::text() const {
    json::Writer writer(2);
    writer.begin_object().member("algorithm", "Ed25519").member("key", key).member("signature", signature);
    return writer.end_object().take() + "\n";
}

SignatureFile SignatureFile::parse(const std::string& text, const std::string& name) {
    const auto document = json::Document::from_text(text, name);
    document.root().check_keys({"algorithm", "key", "signature"});
    (void)document["algorithm"].as_one_of({"Ed25519"});
    return {document["key"].as_string(), document["signature"].as_string()};
}

std::string read_small_file(const std::filesystem::path& path) {
    constexpr std::streamsize kMost = std::streamsize{1} << 20;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) throw not_found(path.string() + ": no such file");
    if (!std::filesystem::is_regular_file(path, error)) throw invalid_argument(path.string() + ": is not a file");
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": cannot be read: " + std::strerror(errno));
    std::string text(static_cast<size_t>(kMost) + 1, '\0');
    file.read(text.data(), kMost + 1);
    if (file.gcount() > kMost) throw resource_exhausted(path.string() + ": is larger than 1 MiB");
    text.resize(static_cast<size_t>(file.gcount()));
    return text;
}

}  // namespace vlm
