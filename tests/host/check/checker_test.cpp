/** @file checker_test.cpp
 *  The checker against plugins that are sound and plugins that break one rule each (tests/torture): it must name the
 * rule that is broken, and outlive every one of them.
 */
#include "host/check/checker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

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

TEST(Checker, FindsNothingWrongWithSoundPlugins) {
    for (const char* plugin : {"sound_plugin", "sound_encoder", "sound_connector", "sound_post"}) {
        size_t passed = 0;
        for (const auto& result : vlm::check_plugin(options_for(plugin))) {
            EXPECT_NE(result.verdict.status, Verdict::Status::fail)
                << plugin << ": " << result.id << ": " << result.verdict.message;
            passed += result.verdict.status == Verdict::Status::pass ? 1 : 0;
        }
        EXPECT_GE(passed, 17u) << plugin;
    }
}

TEST(Checker, KeepsToItsTimeLimit) {
    auto options = options_for("create_hangs");
    options.limit_ms = 300;
    options.total_ms = 400;
    const auto results = vlm::check_plugin(options);
    EXPECT_EQ(results.size(), vlm::checkable_rules().size());
    EXPECT_THAT(results[results.size() - 2].verdict.message, HasSubstr("the time limit for all checks was over"));
}

TEST(Checker, SaysWhenThisSystemCannotIsolate) {
    setenv("VLM_PLUGIN_HOST", "/no/such/program", 1);
    const auto results = vlm::check_plugin(options_for("sound_post", {"VLM-P-26"}));
    setenv("VLM_PLUGIN_HOST", VLM_BINARY_DIR "/vlm-plugin-host", 1);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::skip);
    EXPECT_THAT(results[0].verdict.message, HasSubstr("/no/such/program"));
}

/** The checker's processes inherit it; the program lies beside vlmhost, and not beside the tests. */
class WithPluginHost : public testing::Environment {
    void SetUp() override { setenv("VLM_PLUGIN_HOST", VLM_BINARY_DIR "/vlm-plugin-host", 1); }
};
[[maybe_unused]] const auto* const plugin_host = testing::AddGlobalTestEnvironment(new WithPluginHost);

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
        Fault{"sets_environment", "VLM-P-12", "environment variable OMP_NUM_THREADS"},
        Fault{"reduce_overruns", "VLM-P-13", "outside of 'groups'"},
        Fault{"reduce_writes_input", "VLM-P-13", "into its input"}, Fault{"reduce_bad_group", "VLM-P-14", "into group"},
        Fault{"reduce_empty_group", "VLM-P-14", "empty"}, Fault{"reduce_too_many", "VLM-P-14", "groups of"},
        Fault{"reduce_unknown_status", "VLM-P-14", "reduce gave"}, Fault{"reduce_random", "VLM-P-15", "another result"},
        Fault{"reduce_fails", "VLM-P-14", "the table of thresholds is torn"},
        Fault{"reduce_ignores_cancel", "VLM-P-10", "went on for"},
        Fault{"reduce_one_at_a_time", "VLM-P-16", "two threads"},
        Fault{"reduce_reads_unasked", "VLM-P-17", "'needs' has not asked for"},
        Fault{"reduce_unknown_need", "VLM-P-17", "flags that there are not"},
        Fault{"reduce_late", "VLM-P-21", "after it has returned"}, Fault{"reduce_reads_stream", "VLM-P-21", "crashed"},
        Fault{"reduce_waits", "VLM-P-21", "'cudaStreamSynchronize'"},
        Fault{"reduce_silent", "VLM-P-22", "said nothing to the error sink"},
        Fault{"reduce_bad_progress", "VLM-P-23", "done after"},
        Fault{"reduce_hides_failure", "VLM-P-24", "hides that the compute service failed"},
        Fault{"encoder_ignores_cancel", "VLM-P-10", "went on for"},
        Fault{"encoder_overruns", "VLM-P-13", "outside of 'features'"},
        Fault{"encoder_writes_input", "VLM-P-13", "into its input 'pixels'"},
        Fault{"encoder_random", "VLM-P-15", "another result"}, Fault{"encoder_wrong_rows", "VLM-P-17", "were planned"},
        Fault{"encoder_bad_layout", "VLM-P-17", "VLM-P-18"},
        Fault{"encoder_silent", "VLM-P-22", "said nothing to the error sink"},
        Fault{"encoder_bad_progress", "VLM-P-23", "done"},
        Fault{"encoder_hides_failure", "VLM-P-24", "hides that the compute service failed"},
        Fault{"encoder_hides_reducers", "VLM-P-24", "hides that the hooks failed"},
        Fault{"connector_hides_tap", "VLM-P-24", "hides that the tap failed"},
        Fault{"connector_hides_image", "VLM-P-24", "hides that the image service failed"},
        Fault{"connector_trusts_host", "VLM-P-24", "crashed"},
        Fault{"post_hides_emit", "VLM-P-24", "hides that emit failed"},
        Fault{"post_leaks_on_failure", "VLM-P-24", "bytes are lost"},
        Fault{"load_hides_failure", "VLM-P-24", "compute service failed during load"},
        Fault{"connector_wrong_rows", "VLM-P-17", "were planned"},
        Fault{"connector_bad_layout", "VLM-P-17", "VLM-P-18"},
        Fault{"connector_writes_input", "VLM-P-13", "into its input 'features'"},
        Fault{"connector_late", "VLM-P-21", "after it has returned"},
        Fault{"connector_reads_stream", "VLM-P-21", "crashed"},
        Fault{"connector_waits", "VLM-P-21", "'cudaDeviceSynchronize'"},
        Fault{"connector_one_at_a_time", "VLM-P-16", "two threads"}, Fault{"post_emits_twice", "VLM-P-17", "2 times"},
        Fault{"post_no_json", "VLM-P-17", "no JSON object"}, Fault{"post_crashes", "VLM-P-17", "crashed"},
        Fault{"post_opens_file", "VLM-P-26", "'openat'"}),
    [](const auto& info) { return std::string(info.param.plugin); });

/** A shipped plugin, the options that make a component of it, and a golden checkpoint with weights for it ("" for
 * none). */
struct Shipped {
    const char* plugin;
    const char* options;
    const char* checkpoint;
};
void PrintTo(const Shipped& shipped, std::ostream* out) {
    *out << shipped.plugin;
}

class CheckerShipped : public testing::TestWithParam<Shipped> {};

/** Every rule that can be tried is kept, and of those about running nearly all can be tried. */
TEST_P(CheckerShipped, KeepsEveryRule) {
    vlm::CheckOptions options;
    options.library = std::string(VLM_PLUGIN_DIR) + "/libvlm_" + GetParam().plugin + ".so";
    options.options = GetParam().options;
    const std::string data = std::string(VLM_SOURCE_DIR) + "/tests/data/";
    if (const size_t at = options.options.find("@DATA@/"); at != std::string::npos)
        options.options.replace(at, 7, data);
    const std::string checkpoint = GetParam().checkpoint;
    if (checkpoint == "rx-small")
        options.checkpoint = std::string(VLM_SOURCE_DIR) + "/models/rx-small";
    else if (!checkpoint.empty())
        options.checkpoint = std::string(VLM_GOLDEN_DIR) + "/" + checkpoint;
    if (!options.checkpoint.empty() && !std::filesystem::exists(options.checkpoint))
        GTEST_SKIP() << options.checkpoint << " is not there";
    options.limit_ms = 60'000;
    size_t passed = 0;
    std::string skipped;
    for (const auto& result : vlm::check_plugin(options)) {
        EXPECT_NE(result.verdict.status, Verdict::Status::fail) << result.id << ": " << result.verdict.message;
        passed += result.verdict.status == Verdict::Status::pass ? 1 : 0;
        if (result.verdict.status == Verdict::Status::skip) skipped += result.id + ": " + result.verdict.message + "\n";
    }
    EXPECT_GE(passed, 16u) << skipped;
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, CheckerShipped,
    testing::Values(Shipped{"vit", "{}", "rx-small"}, Shipped{"mlp_projector", "{}", "rx-small"},
                    Shipped{"decoder", "{}", "rx-small"}, Shipped{"fuyu_patcher", "{}", ""},
                    Shipped{"perceiver", "{}", "idefics"}, Shipped{"qformer", "{}", "blip2"},
                    Shipped{"single_stream", "{}", "vilt"}, Shipped{"dual_encoder", "{}", "clip"},
                    Shipped{"dymu", R"({"r": [3]})", ""}, Shipped{"fastv", "{}", ""}, Shipped{"similarity", "{}", ""},
                    Shipped{"boxes", "{}", ""}, Shipped{"action_decoder", "{}", "openvla"},
                    Shipped{"drug_validator", R"({"formulary": "@DATA@/drug_validator/formulary.csv"})", ""}),
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

TEST(Checker, TakesTensorsOfACheckpointAwayOneByOne) {
    auto options = options_for("load_trusts_weights", {"VLM-P-24"});
    options.checkpoint = std::string(VLM_SOURCE_DIR) + "/models/rx-small";
    if (!std::filesystem::exists(options.checkpoint / "model.safetensors"))
        GTEST_SKIP() << options.checkpoint << " has no weights";
    const auto results = vlm::check_plugin(options);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_THAT(results[0].verdict.message, HasSubstr("crashed"));
}

TEST(Checker, ARuleThatFindsNothingToTryIsNoPass) {
    const auto results = vlm::check_plugin(options_for("sound_plugin", {"VLM-P-24"}));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::skip);
    EXPECT_THAT(results[0].verdict.message, HasSubstr("could fail"));
}

TEST(Checker, SaysWhichServicesFailed) {
    const auto results = vlm::check_plugin(options_for("sound_post", {"VLM-P-24"}));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::pass);
    EXPECT_THAT(results[0].verdict.message, testing::StartsWith("failed on purpose: emit; not tried"));
    EXPECT_THAT(results[0].verdict.message, HasSubstr("the tap"));
}

TEST(Checker, ARefusalToLoadWithoutAServiceIsNoLoad) {
    auto options = options_for("", {"VLM-P-24"});
    options.library = std::string(VLM_PLUGIN_DIR) + "/libvlm_qformer.so";
    options.checkpoint = std::string(VLM_GOLDEN_DIR) + "/instructblip";
    if (!std::filesystem::exists(options.checkpoint)) GTEST_SKIP() << options.checkpoint << " is not there";
    options.limit_ms = 60'000;
    const auto results = vlm::check_plugin(options);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::pass) << results[0].verdict.message;
    EXPECT_THAT(results[0].verdict.message, HasSubstr("get_service, the compute service, the tap, the text service"));
}

TEST(Checker, HooksFailToo) {
    const auto results = vlm::check_plugin(options_for("asking_encoder", {"VLM-P-24"}));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].verdict.status, Verdict::Status::pass) << results[0].verdict.message;
    EXPECT_THAT(results[0].verdict.message,
                testing::StartsWith("failed on purpose: the compute service, the hooks; not tried"));
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
