/** @file policy_test.cpp
 *  Who may ask for how much, and that a broken policy is not taken for none.
 */
#include "host/trust/policy.hpp"

#include <gmock/gmock.h>

#include <cstdlib>

#include "host/base/log.hpp"
#include "host/pipeline/manifest.hpp"
#include "tests/host/trust/trust_test.hpp"

namespace vlm {
namespace {

using testing::HasSubstr;

class Policy : public SignedPlugin {
  protected:
    ~Policy() override {
        unsetenv("VLM_TRUST");
        unsetenv("VLM_TRUST_KEYS");
    }
};

TEST_F(Policy, TheStrictestWins) {
    TrustPolicy policy;
    EXPECT_EQ(policy.at_least(TrustMode::warn).mode, TrustMode::warn);
    policy.mode = TrustMode::require;
    EXPECT_EQ(policy.at_least(TrustMode::off).mode, TrustMode::require);
    const auto manifest = Manifest::from_text(R"({"model": "m", "trust": "off"})", "m.json", ".");
    EXPECT_EQ(policy.at_least(manifest.trust).mode, TrustMode::require);
    EXPECT_EQ(Manifest::from_text(R"({"model": "m", "trust": "warn"})", "m.json", ".").trust, TrustMode::warn);
    EXPECT_THROW(Manifest::from_text(R"({"model": "m", "trust": "never"})", "m.json", "."), Error);
}

TEST_F(Policy, TheEnvironmentIsRead) {
    write(folder_ / "k.pub", key_.public_key().line());
    EXPECT_EQ(host_trust().mode, TrustMode::off);
    setenv("VLM_TRUST", "require", 1);
    setenv("VLM_TRUST_KEYS", (folder_.string() + ":" + (folder_ / "k.pub").string()).c_str(), 1);
    EXPECT_EQ(host_trust().mode, TrustMode::require);
    EXPECT_EQ(host_trust().keys.size(), 2u);
    setenv("VLM_TRUST", "yes", 1);
    EXPECT_THROW(host_trust(), Error);
    setenv("VLM_TRUST", "warn", 1);
    setenv("VLM_TRUST_KEYS", "/no/such/key", 1);
    EXPECT_THROW(host_trust(), Error);
}

TEST_F(Policy, TheOperatorsFileIsFinal) {
    std::string log;
    set_log_sink([&](int, std::string_view, std::string_view text) { log += text; });
    write(folder_ / "k.pub", key_.public_key().line());
    write(folder_ / "trust.json", R"({"policy": "require", "keys": ["k.pub"]})");
    TrustPolicy policy;
    read_trust_file(folder_ / "trust.json", policy);
    EXPECT_EQ(policy.mode, TrustMode::require);
    ASSERT_EQ(policy.keys.size(), 1u);
    policy.add_keys({SecretKey::generate("mine").public_key()}, "VLM_TRUST_KEYS");
    EXPECT_EQ(policy.keys.size(), 1u);
    EXPECT_THAT(log, HasSubstr("VLM_TRUST_KEYS"));
    set_log_sink({});
}

TEST_F(Policy, TheOperatorsFileOfTheSystemCountsForEveryPrefix) {
    EXPECT_EQ(operator_trust_files().front(), "/etc/vlm/trust.json");
}

TEST_F(Policy, ABrokenFileIsNoPolicyAtAll) {
    for (const char* text : {"{", "{}", R"({"policy": "maybe"})", R"({"policy": "require", "key": []})",
                             R"({"policy": "require", "keys": ["missing.pub"]})"}) {
        write(folder_ / "trust.json", text);
        TrustPolicy policy;
        EXPECT_THROW(read_trust_file(folder_ / "trust.json", policy), Error) << text;
    }
}

}  // namespace
}  // namespace vlm
