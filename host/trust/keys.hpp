/** @file keys.hpp
 *  Ed25519 keys as files of one line, and signatures with them.
 *
 *  A key file is text ("vlm-ed25519-public BASE64 comment", as ssh does it), so that it can be mailed, reviewed and put
 * into version control. What is signed begins with a fixed sentence, so that a signature made for a plugin manifest can
 * never be taken for one made for anything else with the same key.
 */
#pragma once
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vlm {

/** Whose signatures are believed. */
struct PublicKey {
    std::array<unsigned char, 32> bytes{};
    std::string comment;  ///< Rest of the line in its file: whose key it is.

    /** First 8 bytes of the SHA-256 of the key as hex: what messages and signatures call it. */
    std::string id() const;
    /** The line of a key file. */
    std::string line() const;
    /** Reads a key file. Throws NOT_FOUND, or INVALID_ARGUMENT when it is no public key (a secret key is refused by
     * name: it does not belong on the machine that verifies). */
    static PublicKey from_file(const std::filesystem::path& path);
};

/** What a vendor signs with. */
class SecretKey {
  public:
    /** A new key from the system's random numbers. */
    static SecretKey generate(const std::string& comment);
    /** Reads a key file. Throws NOT_FOUND, INVALID_ARGUMENT, or PERMISSION_DENIED when others than its owner may read
     * it. */
    static SecretKey from_file(const std::filesystem::path& path);
    /** Writes a new file that only its owner can read. Throws ALREADY_EXISTS rather than overwrite a key. */
    void save(const std::filesystem::path& path) const;

    const PublicKey& public_key() const { return public_; }
    /** Base64 of the signature of `message`. */
    std::string sign(std::string_view message) const;

    ~SecretKey();
    SecretKey(const SecretKey&) = default;
    SecretKey& operator=(const SecretKey&) = default;

  private:
    SecretKey() = default;
    static SecretKey from_seed(const std::array<unsigned char, 32>& seed, const std::string& comment);
    std::array<unsigned char, 32> seed_{};
    std::array<unsigned char, 64> secret_{};
    PublicKey public_;
};

/** True when `signature` (base64) is `key`'s of `message`. */
bool signature_holds(const PublicKey& key, std::string_view message, const std::string& signature);

/** The keys of a file, or of all `*.pub` files of a folder, sorted by name. Throws as PublicKey::from_file. */
std::vector<PublicKey> read_keys(const std::filesystem::path& path);

}  // namespace vlm
