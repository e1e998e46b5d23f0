/** @file sidecar.hpp
 *  The manifest that lies beside a plugin: `libvlm_x.so.json`, and its signature `libvlm_x.so.json.sig`.
 *
 *  It says who answers for the library and which bytes he means. The signature is over the bytes of the manifest file
 * as they are, so nothing has to be brought into a canonical form first.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vlm {

/** What a manifest beside a plugin says. */
struct Sidecar {
    /** A file that belongs to the plugin, relative to the manifest. */
    struct File {
        std::string path;
        std::string sha256;
    };
    std::string id, vendor, version;
    std::string license;   ///< SPDX expression.
    std::string platform;  ///< As this_platform().
    uint32_t abi_min = 0, abi_max = 0;
    std::string library_sha256;  ///< Of the library, 64 hex digits.
    std::vector<File> weights;   ///< Weights that the vendor ships with the library.

    /** The text of the manifest file. */
    std::string text() const;
    /** Parses the text of a manifest file; `name` is for messages. Throws INVALID_ARGUMENT with file, line and field.
     */
    static Sidecar parse(const std::string& text, const std::string& name);
};

/** "linux-x86_64": what a library was built for. */
std::string this_platform();

/** Names of the manifest and of its signature beside a library. */
std::filesystem::path sidecar_path(const std::filesystem::path& library);
std::filesystem::path signature_path(const std::filesystem::path& library);

/** A signature file: the id of the key and the signature in base64. */
struct SignatureFile {
    std::string key;
    std::string signature;
    std::string text() const;
    static SignatureFile parse(const std::string& text, const std::string& name);
};

/** The text of a small file. Throws NOT_FOUND, PERMISSION_DENIED or RESOURCE_EXHAUSTED (more than 1 MiB). */
std::string read_small_file(const std::filesystem::path& path);

}  // namespace vlm
