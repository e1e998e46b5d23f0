/** @file checker_test.cpp
 *  The checker against plugins that are sound and plugins that break one rule each (tests/torture): it must name the
 * rule that is broken, and outlive every one of them.
 */
#include "host/check/checker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "host/base/error.hpp"

namespace {

using testing::HasSubstr;
using vlm::Verdict;

vlm::CheckOptions options_for(const std::string& plugin, const std::vector<std::string>& only = {}) {
    vlm::CheckOptions options;
    options.library = std::string(VLM_BINARY_DIR) + "/torture/" + plugin + ".so";
    options.only = only;
    return options;
}

TEST(Checker, FindsNothingWrongWithASoundPlugin) {
    for (const auto& result : vlm::check_plugin(options_for("sound_plugin")))
        EXPECT_EQ(result.verdict.status, Verdict::Status::pass) << result.id << ": " << result.verdict.message;
}

struct Fault {
    const char* plugin;
    const char* rule;
    const char* message;
};
void PrintTo(const Fault& fault, std::ostream* out) {
    *out << fault.plugin;
}

class CheckerFault : public testing::TestWithParam<Fault> {};

TEST_P(CheckerFault, IsNamed) {
    auto options = options_for(GetParam().plugin, {GetParam().rule});
    options.limit_ms = 10'000;
    const auto results = vlm::check_plugin(options);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::fail);
    EXPECT_THAT(results[0].verdict.message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Torture, CheckerFault,
    testing::Values(
        Fault{"not_a_plugin", "VLM-P-01", "does not export 'vlm_plugin_entry'"},
        Fault{"extra_symbol", "VLM-P-01", "helper_of_the_plugin"},
        Fault{"unstable_entry", "VLM-P-02", "another description"},
        Fault{"future_abi", "VLM-P-03", "chose ABI version 99"},
        Fault{"refuses", "VLM-P-03", "get one from example.com"},
        Fault{"reason_overrun", "VLM-P-03", "outside the reason buffer"},
        Fault{"trusting_entry", "VLM-P-04", "crashed"},
        Fault{"null_description", "VLM-P-03", "returned no description"},
        Fault{"size_zero", "VLM-P-06", "struct_size 0"}, Fault{"size_absurd", "VLM-P-06", "struct_size 1073741824"},
        Fault{"no_id", "VLM-P-05", "gives no id"}, Fault{"bad_identity", "VLM-P-05", "reverse-DNS"},
        Fault{"bad_version", "VLM-P-05", "'latest' is not semantic"},
        Fault{"no_get_interface", "VLM-P-06", "get_interface"}, Fault{"table_size_zero", "VLM-P-06", "struct_size 0"},
        Fault{"same_table_for_all", "VLM-P-06", "unknown interface"}, Fault{"ignores_options", "VLM-P-07", "accepted"},
        Fault{"create_nothing", "VLM-P-07", "made no component"},
        Fault{"create_crashes", "VLM-P-07", "crashed: Aborted"},
        Fault{"create_exits", "VLM-P-12", "ended the process with status 0"},
        Fault{"leaks", "VLM-P-09", "bytes are lost"}, Fault{"destroy_null_crashes", "VLM-P-09", "crashed"},
        Fault{"prints", "VLM-P-11", "Hello from a plugin!"}, Fault{"takes_signals", "VLM-P-12", "signal handler"},
        Fault{"reduce_overruns", "VLM-P-13", "outside of 'groups'"},
        Fault{"reduce_writes_input", "VLM-P-13", "into its input"}, Fault{"reduce_bad_group", "VLM-P-14", "into group"},
        Fault{"reduce_empty_group", "VLM-P-14", "empty"}, Fault{"reduce_too_many", "VLM-P-14", "groups of"},
        Fault{"reduce_unknown_status", "VLM-P-14", "reduce gave"}, Fault{"reduce_random", "VLM-P-15", "differs"},
        Fault{"reduce_ignores_cancel", "VLM-P-10", "went on for"}),
    [](const auto& info) { return std::string(info.param.plugin); });

TEST(Checker, EndsAPluginThatHangs) {
    auto options = options_for("create_hangs", {"VLM-P-07"});
    options.limit_ms = 300;
    const auto results = vlm::check_plugin(options);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_THAT(results[0].verdict.message, HasSubstr("did not end within 300 ms"));
    EXPECT_LT(results[0].verdict.milliseconds, 5'000);
}

TEST(Checker, SaysWhatItCouldNotTry) {
    const auto results = vlm::check_plugin(options_for("create_fails", {"VLM-P-14"}));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::skip);
    EXPECT_THAT(results[0].verdict.message, HasSubstr("the moon is in the wrong phase"));
}

TEST(Checker, RefusesUnknownRulesAndMissingFiles) {
    EXPECT_THROW(vlm::check_plugin(options_for("sound_plugin", {"VLM-P-99"})), vlm::Error);
    EXPECT_THROW(vlm::check_plugin(options_for("no_such_plugin")), vlm::Error);
}

TEST(Checker, RulesAreNumberedOnce) {
    auto rules = vlm::checkable_rules();
    EXPECT_GE(rules.size(), 16u);
    EXPECT_EQ(
        std::adjacent_find(rules.begin(), rules.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
        rules.end());
}

}  // namespace
