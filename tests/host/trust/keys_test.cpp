/** @file keys_test.cpp
 *  Key files as people handle them: mixed up, readable by everyone, cut short.
 */
#include "host/trust/keys.hpp"

#include <gmock/gmock.h>

#include "tests/host/trust/trust_test.hpp"

namespace vlm {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Keys : public SignedPlugin {};

template <typename Body>
void expect_error(vlm_status code, const std::string& message, Body&& body) {
    try {
        body();
        ADD_FAILURE() << "no error, expected: " << message;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(message));
    }
}

TEST_F(Keys, ComeBackFromTheirFiles) {
    key_.save(folder_ / "key");
    write(folder_ / "key.pub", key_.public_key().line());
    const auto secret = SecretKey::from_file(folder_ / "key");
    const auto open = PublicKey::from_file(folder_ / "key.pub");
    EXPECT_EQ(open.bytes, key_.public_key().bytes);
    EXPECT_EQ(open.comment, "Example Ltd");
    EXPECT_EQ(open.id().size(), 16u);
    EXPECT_TRUE(signature_holds(open, "text", secret.sign("text")));
    EXPECT_FALSE(signature_holds(open, "texT", secret.sign("text")));
    EXPECT_FALSE(signature_holds(SecretKey::generate("").public_key(), "text", secret.sign("text")));
    for (const std::string broken : {"", "AAAA", "not base64!", "===="})
        EXPECT_FALSE(signature_holds(open, "text", broken)) << broken;
}

TEST_F(Keys, AreNotOverwrittenNorShared) {
    key_.save(folder_ / "key");
    expect_error(VLM_STATUS_ALREADY_EXISTS, "never overwritten", [&] { key_.save(folder_ / "key"); });
    fs::permissions(folder_ / "key", fs::perms::group_read, fs::perm_options::add);
    expect_error(VLM_STATUS_PERMISSION_DENIED, "chmod 600", [&] { SecretKey::from_file(folder_ / "key"); });
}

TEST_F(Keys, OfTheWrongKindAreNamed) {
    key_.save(folder_ / "key");
    write(folder_ / "key.pub", key_.public_key().line());
    expect_error(VLM_STATUS_INVALID_ARGUMENT, "is a secret key", [&] { PublicKey::from_file(folder_ / "key"); });
    expect_error(VLM_STATUS_INVALID_ARGUMENT, "no secret key", [&] { SecretKey::from_file(folder_ / "key.pub"); });
    expect_error(VLM_STATUS_NOT_FOUND, "no such key file", [&] { PublicKey::from_file(folder_ / "missing"); });
    expect_error(VLM_STATUS_INVALID_ARGUMENT, "one line", [&] { PublicKey::from_file(folder_); });
    write(folder_ / "short", key_.public_key().line().substr(0, 40));
    expect_error(VLM_STATUS_INVALID_ARGUMENT, "no public key", [&] { PublicKey::from_file(folder_ / "short"); });
    write(folder_ / "empty", "");
    EXPECT_THROW(PublicKey::from_file(folder_ / "empty"), Error);
}

TEST_F(Keys, OfAFolderAreReadInOrder) {
    write(folder_ / "b.pub", key_.public_key().line());
    write(folder_ / "a.pub", SecretKey::generate("first").public_key().line());
    write(folder_ / "notes.txt", "no key");
    const auto keys = read_keys(folder_);
    ASSERT_EQ(keys.size(), 2u);
    EXPECT_EQ(keys[0].comment, "first");
}

}  // namespace
}  // namespace vlm
