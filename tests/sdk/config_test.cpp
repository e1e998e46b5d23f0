/** @file config_test.cpp
 *  Typed reading, paths in messages, and the refusal of what nobody read.
 */
#include "vlm/sdk/config.hpp"

#include <gtest/gtest.h>

namespace {

using vlm::sdk::Config;

template <typename Body>
std::string message_of(Body&& body) {
    try {
        body();
    } catch (const vlm::sdk::Error& error) {
        EXPECT_EQ(error.status(), VLM_STATUS_INVALID_ARGUMENT);
        return error.what();
    }
    return "nothing was thrown";
}

TEST(Config, ReadsTypesAndDefaults) {
    const auto c =
        Config::parse(R"({"a": 3, "b": 1.5, "c": "x", "d": true, "e": null, "f": [1, 2], "g": 7})", "config");
    EXPECT_EQ(c.get("a", 0), 3);
    EXPECT_EQ(c.get("a", 0.0), 3.0);
    EXPECT_EQ(c.get("b", 0.F), 1.5F);
    EXPECT_EQ(c.get("c", "y"), "x");
    EXPECT_TRUE(c.get("d", false));
    EXPECT_EQ(c.get("e", 9), 9);
    EXPECT_EQ(c.get("none", "y"), "y");
    EXPECT_EQ(c.list<int>("f", {}), (std::vector<int>{1, 2}));
    EXPECT_EQ(c.list<int>("g", {}), std::vector<int>{7});
    EXPECT_FALSE(c.has("e"));
}

TEST(Config, MessagesNameThePath) {
    const auto c = Config::parse(R"({"outer": {"n": "text", "big": 3000000000, "list": [1, "two"]}})", "config");
    const auto outer = c.section("outer");
    EXPECT_EQ(message_of([&] { outer.get("n", 0); }), "config: outer.n: expected an integer, found \"text\"");
    EXPECT_NE(message_of([&] { outer.get<int32_t>("big", 0); }).find("out of range"), std::string::npos);
    EXPECT_NE(message_of([&] { outer.list<int>("list", {}); }).find("outer.list[1]"), std::string::npos);
    EXPECT_NE(message_of([&] { outer.require<int>("gone"); }).find("outer.gone: is missing"), std::string::npos);
    EXPECT_NE(message_of([&] { c.integer("k", 5, 1, 4); }).find("expected 1 to 4"), std::string::npos);
    EXPECT_NE(message_of([&] {
                  outer.choice<int>("n", "a", {{"a", 1}, {"b", 2}});
              }).find("known are 'a', 'b'"),
              std::string::npos);
    EXPECT_NE(message_of([] { Config::parse("[1]", "config"); }).find("expected a JSON object"), std::string::npos);
    EXPECT_NE(message_of([] { Config::parse("{", "config"); }).find("not valid JSON"), std::string::npos);
}

TEST(Config, RefusesWhatNobodyRead) {
    const auto c = Config::parse(R"({"read": 1, "torch_dtype": "float32", "typo": 2, "unset": null})", "config");
    c.get("read", 0);
    EXPECT_NE(message_of([&] { c.refuse_unknown(); }).find("config: typo: "), std::string::npos);
    c.refuse_unknown({"typo"});
    c.ignore({"typo"});
    c.refuse_unknown();
}

TEST(Config, RefusalReachesIntoSections) {
    const auto c = Config::parse(R"({"inner": {"a": 1, "b": 2}})", "config");
    EXPECT_EQ(c.section("inner").get("a", 0), 1);
    EXPECT_NE(message_of([&] { c.refuse_unknown(); }).find("config: inner.b: "), std::string::npos);
    c.section("inner").get("b", 0);  // A second look at the section adds to what was read.
    c.refuse_unknown();
}

TEST(Config, ExpectAcceptsOneValueOrNone) {
    const auto c = Config::parse(R"({"mode": "fast"})", "config");
    c.expect<std::string>("mode", "fast");
    c.expect<std::string>("absent", "fast");
    EXPECT_NE(message_of([&] { c.expect<std::string>("mode", "slow"); }).find("only \"slow\""), std::string::npos);
}

}  // namespace
