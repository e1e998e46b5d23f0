/** @file progress_test.cpp
 *  What a progress bar says; that it says nothing without a terminal is tested with the commands.
 */
// The command line tool is no library, so its source is compiled in here.
#include "host/cli/progress.cpp"

#include <gtest/gtest.h>

namespace vlm::cli {
namespace {

const std::string kHalf = " [###############               ]  50 %";

TEST(Progress, BytesAreToldInLargeUnits) {
    EXPECT_EQ(progress_text("loading", ProgressBar::kBytes, 1'400'000'000, 2'800'000'000, 2),
              "loading" + kHalf + "  1.4/2.8 GB, 700.0 MB/s, 2 s left");
    EXPECT_EQ(progress_text("loading", ProgressBar::kBytes, 5'000'000, 10'000'000, 0.5),
              "loading" + kHalf + "  5.0/10.0 MB, 10.0 MB/s, 0 s left");
}

TEST(Progress, OtherThingsAreCounted) {
    EXPECT_EQ(progress_text("reading", "pages", 2, 4, 1), "reading" + kHalf + "  2/4 pages, 2.0/s, 1 s left");
    EXPECT_EQ(progress_text("loading", "", 1, 2, 1), "loading" + kHalf);
}

TEST(Progress, NoRateIsMadeUp) {
    const std::string begin = "loading [" + std::string(30, ' ') + "]   0 %";
    EXPECT_EQ(progress_text("loading", ProgressBar::kBytes, 0, 10, 3), begin);
    EXPECT_EQ(progress_text("loading", ProgressBar::kBytes, 5, 10, 0), "loading" + kHalf);
    EXPECT_EQ(progress_text("x", "", 20, 10, 1), "x [" + std::string(30, '#') + "] 100 %");
}

}  // namespace
}  // namespace vlm::cli
