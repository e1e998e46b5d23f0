/** @file verify.hpp
 *  Is this library the one that its vendor signed? Answered without running any of its code.
 */
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/trust/policy.hpp"
#include "host/trust/sealed_file.hpp"
#include "host/trust/sidecar.hpp"

namespace vlm {

/** What was found. */
struct Verification {
    SealedFile library;               ///< The very bytes that were checked: load these.
    std::optional<Sidecar> sidecar;   ///< What the manifest says, when there is a readable one.
    std::optional<PublicKey> signer;  ///< Whose signature holds.
    std::vector<std::string> faults;  ///< Sentences with file names; empty: all is well.
};

/** Reads and hashes `library`, its manifest, its signature and the weights that it names, and compares them: signature
 * by one of `keys`, hashes, platform, ABI versions. Faults are collected, not thrown; throws as SealedFile::read when
 * the library itself cannot be read. */
Verification verify_plugin(const std::filesystem::path& library, const std::vector<PublicKey>& keys);

/** Does with the faults what `mode` says: UNAUTHENTICATED when it requires and there are any, a warning in the log when
 * it warns. */
void enforce(const Verification& found, const std::filesystem::path& library, TrustMode mode);

/** Refuses (throws, or warns) a plugin whose identity is not the one that was signed. Called after the library was
 * asked who it is: its code is the signed one by then, but a manifest may belong to another plugin of that vendor. */
void check_identity(const Verification& found, const std::filesystem::path& library, const std::string& id,
                    const std::string& version, TrustMode mode);

}  // namespace vlm
