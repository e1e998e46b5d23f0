/** @file sign.cpp
 *  `vlmhost keygen` and `vlmhost sign`: what a vendor does with a finished library. The manifest is written from the
 * library itself, so that the two cannot say different things.
 */
#include <cstdio>
#include <fstream>

#include "host/cli/options.hpp"
#include "host/plugin/loader.hpp"
#include "host/trust/sealed_file.hpp"
#include "host/trust/sidecar.hpp"

namespace vlm::cli {
namespace {

namespace fs = std::filesystem;

/** Writes beside the target and renames: whoever reads sees the old file or the new one. */
void write_file(const fs::path& path, const std::string& text) {
    const fs::path unfinished = path.string() + ".new";
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw Error(VLM_STATUS_PERMISSION_DENIED, unfinished.string() + ": cannot be written");
    fs::rename(unfinished, path);
}

/** Whether the plugin works for a host that speaks this version and no other. */
bool speaks(const fs::path& library, uint32_t version) {
    try {
        return Plugin::open(library, {version, version}, TrustPolicy{})->abi_version() == version;
    } catch (const Error& error) {
        if (error.code() == VLM_STATUS_UNIMPLEMENTED) return false;
        throw;
    }
}

Sidecar describe(const fs::path& library, const std::vector<std::string>& weights) {
    const auto plugin = Plugin::open(library, {}, TrustPolicy{});
    Sidecar sidecar;
    sidecar.id = plugin->id();
    sidecar.vendor = plugin->vendor();
    sidecar.version = plugin->version();
    sidecar.license = plugin->license();
    if (sidecar.vendor.empty() || sidecar.license.empty())
        throw invalid_argument(library.string() + ": the plugin gives no vendor or no licence (VLM-P-05)");
    sidecar.platform = this_platform();
    sidecar.abi_min = sidecar.abi_max = plugin->abi_version();
    for (uint32_t version = VLM_ABI_VERSION_MIN; version < plugin->abi_version(); ++version)
        if (speaks(library, version)) sidecar.abi_min = std::min(sidecar.abi_min, version);
    sidecar.library_sha256 = sha256_of_file(library);
    const fs::path folder = fs::absolute(library).parent_path();
    for (const auto& file : weights) {
        const fs::path relative = fs::absolute(file).lexically_normal().lexically_relative(folder.lexically_normal());
        if (relative.empty() || *relative.begin() == "..")
            throw invalid_argument(file + ": weights that are signed with a plugin lie in its folder, " +
                                   folder.string());
        sidecar.weights.push_back({relative.string(), sha256_of_file(file)});
    }
    return sidecar;
}

}  // namespace

int keygen_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("file", po::value<std::string>(), "where to write the secret key; the public key goes to FILE.pub");
    add("comment", po::value<std::string>()->default_value(""), "whose key it is, \"Example Ltd 2026\"");
    po::positional_options_description positional;
    positional.add("file", 1);
    const auto values = parse(arguments, options, positional,
                              "vlmhost keygen FILE: makes an Ed25519 key to sign plugins with. FILE stays with you; "
                              "FILE.pub goes to those who run your plugins.\n");
    if (!values) return kSuccess;
    if (!values->contains("file")) throw invalid_argument("give the file for the secret key; see --help");
    const std::string file = (*values)["file"].as<std::string>();
    if (fs::exists(file + ".pub"))
        throw Error(VLM_STATUS_ALREADY_EXISTS, file + ".pub: exists already, and keys are never overwritten");
    const auto key = SecretKey::generate((*values)["comment"].as<std::string>());
    key.save(file);
    write_file(file + ".pub", key.public_key().line());
    std::printf("key %s\n  secret %s\n  public %s.pub\n", key.public_key().id().c_str(), file.c_str(), file.c_str());
    return kSuccess;
}

int sign_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("plugin", po::value<std::string>(), "library to sign");
    add("key", po::value<std::string>(), "secret key, as `vlmhost keygen` writes it");
    add("weights", po::value<std::vector<std::string>>()->composing(),
        "file in the library's folder that belongs to it; repeat");
    po::positional_options_description positional;
    positional.add("plugin", 1);
    const auto values = parse(arguments, options, positional,
                              "vlmhost sign PLUGIN.so --key FILE: writes PLUGIN.so.json (who, which version, which "
                              "bytes) and PLUGIN.so.json.sig. Runs the plugin's entry to ask who it is.\n");
    if (!values) return kSuccess;
    if (!values->contains("plugin") || !values->contains("key"))
        throw invalid_argument("give the library to sign and --key FILE; see --help");
    const fs::path library = (*values)["plugin"].as<std::string>();
    const auto key = SecretKey::from_file((*values)["key"].as<std::string>());
    std::vector<std::string> weights;
    if (values->contains("weights")) weights = (*values)["weights"].as<std::vector<std::string>>();
    const std::string text = describe(library, weights).text();
    write_file(sidecar_path(library), text);
    write_file(signature_path(library), SignatureFile{key.public_key().id(), key.sign(text)}.text());
    std::printf("wrote %s\nwrote %s, signed with key %s\n", sidecar_path(library).c_str(),
                signature_path(library).c_str(), key.public_key().id().c_str());
    return kSuccess;
}

}  // namespace vlm::cli
