/** @file budget_test.cpp
 *  Budgets against a curve written by hand: which point is taken, and what is said when none can be.
 */
#include "host/pipeline/budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/base/error.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kCurve = R"({"kind": "reducer_curve", "model": "m", "fits": {"backbone_layers": 4}, "points": [
  {"name": "no reducer", "visual_tokens": 576, "ttft_ms": {"min": 900, "median": 1000}, "token_reducers": []},
  {"name": "half, slow", "visual_tokens": 288, "ttft_ms": {"min": 500, "median": 600},
   "token_reducers": [{"plugin": "org.vlmhost.fastv", "options": {"layer": 3}}]},
  {"name": "half", "visual_tokens": 288, "ttft_ms": {"min": 480, "median": 500},
   "token_reducers": [{"plugin": "org.vlmhost.fastv", "options": {"layer": 2, "protect": true}}]},
  {"name": "few", "visual_tokens": 72, "ttft_ms": {"min": 200, "median": 250},
   "token_reducers": [{"plugin": "org.vlmhost.dymu", "options": {"tokens": 72}}]}]})";

/** A curve file that goes when the test ends. */
class Budget : public testing::Test {
  protected:
    void SetUp() override { write(kCurve); }
    void TearDown() override { fs::remove(file_); }
    void write(const std::string& text) { std::ofstream(file_) << text; }
    vlm::BudgetManifest budget(double max_ms, int64_t tokens) const {
        vlm::BudgetManifest b;
        b.max_ms = max_ms;
        b.visual_tokens = tokens;
        b.curve = file_;
        return b;
    }
    static std::string refusal(const vlm::BudgetManifest& budget) {
        try {
            return "chose " + vlm::choose_by_budget(budget).name;
        } catch (const vlm::Error& error) {
            return error.what();
        }
    }

    fs::path file_ = fs::temp_directory_path() / ("vlm_budget_" + std::to_string(::getpid()) + ".json");
};

TEST_F(Budget, TakesTheMostTokensWithinTheLimits) {
    EXPECT_EQ(vlm::choose_by_budget(budget(2000, 0)).name, "no reducer");
    EXPECT_EQ(vlm::choose_by_budget(budget(1000, 0)).name, "no reducer") << "a limit may be met exactly";
    EXPECT_EQ(vlm::choose_by_budget(budget(700, 0)).name, "half") << "the faster of two";
    EXPECT_EQ(vlm::choose_by_budget(budget(0, 300)).name, "half");
    EXPECT_EQ(vlm::choose_by_budget(budget(0, 128)).name, "few");
    EXPECT_EQ(vlm::choose_by_budget(budget(300, 300)).name, "few") << "both limits hold";
    const auto few = vlm::choose_by_budget(budget(0, 72));
    ASSERT_EQ(few.reducers.size(), 1U);
    EXPECT_EQ(few.reducers[0].plugin, "org.vlmhost.dymu");
    EXPECT_EQ(few.to_json(), R"({"chosen":"few","visual_tokens":72,"measured_ttft_ms":250})");
    const auto half = vlm::choose_by_budget(budget(500, 0));
    EXPECT_GT(half.reducers.at(0).protect, 0) << "options of the host are kept";
    EXPECT_THAT(half.reducers[0].options, testing::Not(HasSubstr("protect")));
}

TEST_F(Budget, SaysWhatIsNearestWhenNothingFits) {
    EXPECT_THAT(refusal(budget(100, 0)), AllOf(HasSubstr("100 ms"), HasSubstr("\"few\""), HasSubstr("250 ms")));
    EXPECT_THAT(refusal(budget(0, 10)), AllOf(HasSubstr("10 visual tokens"), HasSubstr("72 visual tokens")));
}

TEST_F(Budget, NeedsACurve) {
    auto without = budget(100, 0);
    without.curve.clear();
    EXPECT_THAT(refusal(without), AllOf(HasSubstr("needs \"curve\""), HasSubstr("--sweep reducers")));
    without.curve = "/no/such/curve.json";
    EXPECT_THAT(refusal(without), AllOf(HasSubstr("/no/such/curve.json"), HasSubstr("does not exist")));
    write("{}");
    EXPECT_THAT(refusal(budget(100, 0)), HasSubstr("is not a curve"));
    write(R"({"kind": "reducer_curve", "points": [{"name": 3}]})");
    EXPECT_THAT(refusal(budget(100, 0)), HasSubstr("name"));
    write(R"({"kind": "reducer_curve", "points": []})");
    EXPECT_THAT(refusal(budget(100, 0)), HasSubstr("no setting"));
}

TEST_F(Budget, ManifestsGiveLimitsOrReducersNotBoth) {
    const auto read = [](const std::string& text) -> std::string {
        try {
            const auto manifest = vlm::Manifest::from_text(text, "m.json", "/folder");
            return manifest.budget.curve.string();
        } catch (const vlm::Error& error) {
            return error.what();
        }
    };
    EXPECT_EQ(read(R"({"model": "m", "budget": {"max_ms": 400, "curve": "c.json"}})"), "/folder/c.json");
    EXPECT_THAT(read(R"({"model": "m", "budget": {"curve": "c.json"}})"), HasSubstr("max_ms"));
    EXPECT_THAT(read(R"({"model": "m", "budget": {"max_ms": 0}})"), HasSubstr("max_ms"));
    EXPECT_THAT(read(R"({"model": "m", "budget": {"visual_tokens": 0}})"), HasSubstr("visual_tokens"));
    EXPECT_THAT(read(R"({"model": "m", "budget": {"milliseconds": 3}})"), HasSubstr("milliseconds"));
    EXPECT_THAT(read(R"({"model": "m", "budget": {"max_ms": 4}, "pipeline": {"token_reducers": [{"plugin": "p"}]}})"),
                HasSubstr("keep one of them"));
}

}  // namespace
