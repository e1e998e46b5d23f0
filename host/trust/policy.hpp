/** @file policy.hpp
 *  What this host asks of plugins before it runs any of their code.
 *
 *  The strictest of all who may speak wins: the operator's file, the environment, the command line and the manifest of
 * a pipeline can each ask for more than the others and never for less. Keys come from the host's side only; a manifest
 * that could bring its own keys would be believed because it says so.
 */
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "host/trust/keys.hpp"

namespace vlm {

/** How much is asked. */
enum class TrustMode {
    off,      ///< Nothing: manifests beside plugins are not looked at.
    warn,     ///< Everything is checked; what is wrong goes to the log.
    require,  ///< What is not signed by a known key and unchanged is not loaded.
};

/** Reads "off", "warn" or "require"; throws INVALID_ARGUMENT that begins with `where`. */
TrustMode trust_mode_of(const std::string& text, const std::string& where);
const char* trust_mode_name(TrustMode mode);

/** A mode and the keys that are believed. */
struct TrustPolicy {
    TrustMode mode = TrustMode::off;
    std::vector<PublicKey> keys;
    bool keys_are_final = false;  ///< The operator's file requires signatures: nobody may add keys to its own.

    /** The same policy, or a stricter one when `other` is stricter. */
    TrustPolicy at_least(TrustMode other) const;
    /** Adds keys; does nothing (and says so in the log) when they are final. `where` is for the message. */
    void add_keys(const std::vector<PublicKey>& more, const std::string& where);
};

/** Reads an operator's file, `{"policy": "require", "keys": ["/etc/vlm/keys"]}`, into `policy`; paths are relative to
 * it. Throws on anything that is wrong with it: a broken policy file must not mean "no policy". */
void read_trust_file(const std::filesystem::path& file, TrustPolicy& policy);

/** Where operators put their policy: `/etc/vlm/trust.json` whatever prefix the host was built for, since a package of
 * it may be installed under another one, and the one of the prefix. */
std::vector<std::filesystem::path> operator_trust_files();

/** The policy of this process: those of the operator's files that exist, then VLM_TRUST (off, warn, require) and
 * VLM_TRUST_KEYS (files or folders with colons between) of the environment, which are ignored with raised privileges;
 * then what add_host_trust added. Throws as read_trust_file. */
TrustPolicy host_trust();

/** Makes the policy of this process stricter, for command lines and applications. */
void add_host_trust(TrustMode mode, const std::vector<PublicKey>& keys);

}  // namespace vlm
