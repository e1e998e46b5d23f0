/** @file verify.cpp
 *  See verify.hpp.
 */
#include "host/trust/verify.hpp"

#include <vlm/version.h>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {
namespace {

std::optional<PublicKey> find_signer(const std::filesystem::path& library, const std::string& text,
                                     const std::vector<PublicKey>& keys, std::vector<std::string>& faults) {
    const auto path = signature_path(library);
    const auto file = SignatureFile::parse(read_small_file(path), path.string());
    for (const auto& key : keys) {
        if (key.id() != file.key) continue;
        if (signature_holds(key, text, file.signature)) return key;
        faults.push_back(path.string() + ": the signature by key " + file.key + " does not fit the manifest; '" +
                         sidecar_path(library).filename().string() + "' was changed after it was signed");
        return std::nullopt;
    }
    faults.push_back(path.string() + ": signed with key " + file.key + ", which this host does not know (it knows " +
                     std::to_string(keys.size()) +
                     " keys); get the vendor's public key and add it with --trust-key or VLM_TRUST_KEYS");
    return std::nullopt;
}

void check_files(const std::filesystem::path& library, const Verification& found, std::vector<std::string>& faults) {
    const auto& sidecar = *found.sidecar;
    if (found.library.sha256() != sidecar.library_sha256)
        faults.push_back(library.string() + ": has SHA-256 " + found.library.sha256() + ", its manifest says " +
                         sidecar.library_sha256 + "; the library was changed or replaced");
    if (sidecar.platform != this_platform())
        faults.push_back(library.string() + ": is for platform " + sidecar.platform + ", this is " + this_platform());
    if (sidecar.abi_max < VLM_ABI_VERSION_MIN || sidecar.abi_min > VLM_ABI_VERSION)
        faults.push_back(library.string() + ": speaks ABI versions " + std::to_string(sidecar.abi_min) + " to " +
                         std::to_string(sidecar.abi_max) + ", this host " + std::to_string(VLM_ABI_VERSION_MIN) +
                         " to " + std::to_string(VLM_ABI_VERSION));
    for (const auto& file : sidecar.weights) {
        const auto path = library.parent_path() / file.path;
        try {
            if (sha256_of_file(path) != file.sha256)
                faults.push_back(path.string() + ": is not the file that was signed (its SHA-256 differs)");
        } catch (const Error& error) {
            faults.emplace_back(error.what());
        }
    }
}

void act(const std::vector<std::string>& faults, const std::filesystem::path& library, TrustMode mode) {
    if (faults.empty() || mode == TrustMode::off) return;
    std::string all;
    for (const auto& fault : faults) all += (all.empty() ? "" : "; ") + fault;
    const std::string message = library.string() + ": is not trusted: " + all;
    if (mode == TrustMode::require)
        throw Error(VLM_STATUS_UNAUTHENTICATED, message + " (trust policy 'require', docs/trust.md)");
    log_message(VLM_LOG_WARNING, "vlmhost", message);
}

}  // namespace

Verification verify_plugin(const std::filesystem::path& library, const std::vector<PublicKey>& keys) {
    Verification found{SealedFile::read(library), std::nullopt, std::nullopt, {}};
    const auto collect = [&](auto&& step) {
        try {
            step();
        } catch (const Error& error) {
            found.faults.emplace_back(error.what());
        }
    };
    collect([&] {
        const auto path = sidecar_path(library);
        const std::string text = read_small_file(path);
        collect([&] { found.signer = find_signer(library, text, keys, found.faults); });
        found.sidecar = Sidecar::parse(text, path.string());
        check_files(library, found, found.faults);
    });
    return found;
}

void enforce(const Verification& found, const std::filesystem::path& library, TrustMode mode) {
    act(found.faults, library, mode);
}

void check_identity(const Verification& found, const std::filesystem::path& library, const std::string& id,
                    const std::string& version, TrustMode mode) {
    if (!found.sidecar) return;
    const auto& sidecar = *found.sidecar;
    if (sidecar.id != id || sidecar.version != version)
        act({"its manifest is for '" + sidecar.id + "' " + sidecar.version + ", but the library is '" + id + "' " +
             version},
            library, mode);
}

}  // namespace vlm
