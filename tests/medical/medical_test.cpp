/** @file medical_test.cpp
 *  The medical sample from image to answer, through the built command as a user starts it. The shipped checkpoint is
 * part of what is tested, so the bars are those that it has to keep, not its present scores.
 */
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Pair = std::pair<std::string, std::string>;

const fs::path kHost = VLM_BINARY_DIR "/vlmhost";
const fs::path kSample = VLM_SOURCE_DIR "/samples/medical";
const fs::path kPages = fs::path(VLM_GOLDEN_DIR) / "../../prescriptions/pages";

/** Results by file name of the command on an image or a folder. */
std::map<std::string, json> read_pages(const fs::path& image) {
    const std::string command = "'" + kHost.string() + "' --manifest '" + (kSample / "medical.json").string() +
                                "' --image '" + image.string() + "' --json";
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return {};
    char buffer[4096];
    for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    EXPECT_EQ(pclose(pipe), 0) << command;
    std::map<std::string, json> results;
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t end = std::min(out.find('\n', at), out.size());
        const json result = json::parse(out.substr(at, end - at), nullptr, false);
        if (result.is_object()) results[fs::path(result["image"].get<std::string>()).filename().string()] = result;
        at = end + 1;
    }
    return results;
}

json read_json(const fs::path& path) {
    std::ifstream file(path);
    return json::parse(file, nullptr, false);
}

TEST(Medical, SamplePageIsReadAsExpected) {
    if (!fs::exists(kHost)) GTEST_SKIP() << kHost << " is not built";
    if (!fs::exists(kSample / "prescription.png")) GTEST_SKIP() << "the sample page is not there";
    const json expected = read_json(kSample / "prescription.expected.json");
    ASSERT_TRUE(expected.is_object());
    const auto results = read_pages(kSample / "prescription.png");
    ASSERT_EQ(results.size(), 1u);
    json found = json::array();
    for (const json& d : results.begin()->second["drugs"])
        found.push_back({{"name", d["name"]}, {"dosage", d["dosage"]}, {"status", d["status"]}});
    EXPECT_EQ(found, expected["drugs"]);
}

TEST(Medical, SharedPagesKeepTheBar) {
    if (!fs::exists(kHost)) GTEST_SKIP() << kHost << " is not built";
    if (!fs::exists(kPages / "truth.json")) GTEST_SKIP() << kPages << " is not there: no pages with known answers";
    const auto results = read_pages(kPages);
    std::size_t right = 0, all = 0, unlisted_accepted = 0;
    for (const json& page : read_json(kPages / "truth.json")) {
        const auto found = results.find(page["file"].get<std::string>());
        ASSERT_NE(found, results.end()) << page["file"];
        std::multiset<Pair> truth;
        std::set<std::string> names;
        bool unlisted = false;
        for (const json& d : page["drugs"]) {
            if (!d["listed"].get<bool>()) {
                unlisted = true;
                continue;
            }
            truth.insert(Pair(d["name"].get<std::string>(), d["dosage"].get<std::string>()));
            names.insert(d["name"].get<std::string>());
        }
        all += truth.size();
        bool extra = false;
        for (const json& d : found->second["drugs"]) {
            if (d["name"].is_null()) continue;
            ++all;
            extra = extra || !names.contains(d["name"].get<std::string>());
            const auto same = truth.find(
                Pair(d["name"].get<std::string>(), d["dosage"].is_null() ? "" : d["dosage"].get<std::string>()));
            if (same == truth.end()) continue;
            ++right;
            truth.erase(same);
        }
        unlisted_accepted += unlisted && extra;
    }
    EXPECT_GE(2.0 * static_cast<double>(right) / static_cast<double>(all), 0.95);
    EXPECT_EQ(unlisted_accepted, 0u);
}

}  // namespace
