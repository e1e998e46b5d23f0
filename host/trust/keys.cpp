/** @file keys.cpp
 *  See keys.hpp. All arithmetic is libsodium's.
 */
#include "host/trust/keys.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "host/base/error.hpp"
#include "host/base/sha256.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublicWord = "vlm-ed25519-public";
constexpr const char* kSecretWord = "vlm-ed25519-secret";
constexpr std::string_view kPurpose = "VLM plugin manifest, version 1\n";
constexpr size_t kLongestFile = 4096;

void start_sodium() {
    if (sodium_init() < 0) throw Error(VLM_STATUS_INTERNAL, "libsodium cannot be initialised");
}

std::string base64(const unsigned char* bytes, size_t size) {
    std::string text(sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes, size, sodium_base64_VARIANT_ORIGINAL);
    text.resize(std::strlen(text.c_str()));
    return text;
}

template <size_t N>
bool from_base64(const std::string& text, std::array<unsigned char, N>& bytes) {
    size_t size = 0;
    const char* end = nullptr;
    return sodium_base642bin(bytes.data(), N, text.data(), text.size(), nullptr, &size, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           size == N && end == text.data() + text.size();
}

std::string signed_text(std::string_view message) {
    return std::string(kPurpose).append(message);
}

/** Word, base64 and comment of a key file. */
struct KeyLine {
    std::string word, key, comment;
};

KeyLine read_line(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error)) throw not_found(path.string() + ": no such key file");
    if (!fs::is_regular_file(path, error)) throw invalid_argument(path.string() + ": a key is a file of one line");
    std::ifstream file(path, std::ios::binary);
    std::string text(kLongestFile, '\0');
    file.read(text.data(), kLongestFile);
    if (file.bad() || (!file && file.gcount() == 0))
        throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": the key file is empty or cannot be read");
    text.resize(static_cast<size_t>(file.gcount()));
    KeyLine line;
    std::istringstream words(text.substr(0, text.find('\n')));
    words >> line.word >> line.key;
    std::getline(words >> std::ws, line.comment);
    return line;
}

}  // namespace

std::string PublicKey::id() const {
    constexpr size_t kDigits = 16;
    return Sha256().add(std::span<const unsigned char>(bytes)).hex().substr(0, kDigits);
}

std::string PublicKey::line() const {
    return std::string(kPublicWord) + " " + base64(bytes.data(), bytes.size()) + (comment.empty() ? "" : " ") +
           comment + "\n";
}

PublicKey PublicKey::from_file(const fs::path& path) {
    const KeyLine line = read_line(path);
    if (line.word == kSecretWord)
        throw invalid_argument(path.string() +
                               ": is a secret key; to verify, give the .pub file beside it and keep this one private");
    PublicKey key;
    if (line.word != kPublicWord || !from_base64(line.key, key.bytes))
        throw invalid_argument(path.string() + ": is no public key; expected a line '" + kPublicWord +
                               " BASE64 comment' as `vlmhost keygen` writes it");
    key.comment = line.comment;
    return key;
}

SecretKey SecretKey::from_seed(const std::array<unsigned char, 32>& seed, const std::string& comment) {
    SecretKey key;
    key.seed_ = seed;
    crypto_sign_seed_keypair(key.public_.bytes.data(), key.secret_.data(), seed.data());
    key.public_.comment = comment;
    return key;
}

SecretKey::~SecretKey() {
    sodium_memzero(seed_.data(), seed_.size());
    sodium_memzero(secret_.data(), secret_.size());
}

SecretKey SecretKey::generate(const std::string& comment) {
    start_sodium();
    if (comment.find('\n') != std::string::npos) throw invalid_argument("the comment of a key is one line");
    std::array<unsigned char, 32> seed{};
    randombytes_buf(seed.data(), seed.size());
    return from_seed(seed, comment);
}

SecretKey SecretKey::from_file(const fs::path& path) {
    start_sodium();
    const KeyLine line = read_line(path);
    std::array<unsigned char, 32> seed{};
    if (line.word != kSecretWord || !from_base64(line.key, seed))
        throw invalid_argument(path.string() + ": is no secret key; expected a line '" + kSecretWord +
                               " BASE64 comment' as `vlmhost keygen` writes it");
    struct stat info {};
    constexpr mode_t kOthers = S_IRWXG | S_IRWXO;
    if (stat(path.c_str(), &info) == 0 && (info.st_mode & kOthers) != 0)
        throw Error(VLM_STATUS_PERMISSION_DENIED,
                    path.string() + ": others than its owner may use this secret key; run chmod 600 on it");
    return from_seed(seed, line.comment);
}

void SecretKey::save(const fs::path& path) const {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno == EEXIST)
        throw Error(VLM_STATUS_ALREADY_EXISTS, path.string() + ": exists already, and keys are never overwritten");
    if (fd < 0) throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": cannot be made: " + std::strerror(errno));
    const std::string line = std::string(kSecretWord) + " " + base64(seed_.data(), seed_.size()) +
                             (public_.comment.empty() ? "" : " ") + public_.comment + "\n";
    const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (close(fd) != 0 || !written) throw data_loss(path.string() + ": cannot be written");
}

std::string SecretKey::sign(std::string_view message) const {
    const std::string text = signed_text(message);
    std::array<unsigned char, crypto_sign_BYTES> signature{};
    crypto_sign_detached(signature.data(), nullptr, reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                         secret_.data());
    return base64(signature.data(), signature.size());
}

bool signature_holds(const PublicKey& key, std::string_view message, const std::string& signature) {
    start_sodium();
    std::array<unsigned char, crypto_sign_BYTES> bytes{};
    if (!from_base64(signature, bytes)) return false;
    const std::string text = signed_text(message);
    return crypto_sign_verify_detached(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                       key.bytes.data()) == 0;
}

std::vector<PublicKey> read_keys(const fs::path& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) return {PublicKey::from_file(path)};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path))
        if (entry.path().extension() == ".pub") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<PublicKey> keys;
    for (const auto& file : files) keys.push_back(PublicKey::from_file(file));
    return keys;
}

}  // namespace vlm
