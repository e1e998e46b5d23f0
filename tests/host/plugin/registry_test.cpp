/** @file registry_test.cpp
 *  Finding plugins by id among folders that also hold broken ones.
 */
#include "host/plugin/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kTorture = fs::path(VLM_BINARY_DIR) / "torture";

/** A folder that goes away. */
class Registry : public testing::Test {
  protected:
    Registry() : folder_(fs::temp_directory_path() / ("vlm_registry_" + std::to_string(getpid()))) {
        fs::create_directories(folder_);
        vlm::set_log_sink([this](int, std::string_view, std::string_view text) { log_ += std::string(text) + "\n"; });
    }
    ~Registry() override {
        vlm::set_log_sink({});
        fs::remove_all(folder_);
    }
    fs::path folder_;
    std::string log_;
};

TEST_F(Registry, FindsAPluginAmongBrokenOnes) {
    fs::copy(kTorture / "size_zero.so", folder_ / "a_broken.so");
    fs::copy(kTorture / "sound_plugin.so", folder_ / "libvlm_other_name.so");
    std::ofstream(folder_ / "text.so") << "no library";
    std::ofstream(folder_ / "notes.txt") << "no library either";
    EXPECT_EQ(vlm::find_plugin({folder_}, "org.vlmhost.torture")->id(), "org.vlmhost.torture");
    EXPECT_THAT(log_, HasSubstr("a_broken.so"));
    EXPECT_THAT(log_, testing::Not(HasSubstr("notes.txt")));
}

TEST_F(Registry, TriesTheLibraryOfThatNameFirst) {
    fs::copy(kTorture / "size_zero.so", folder_ / "a_broken.so");
    fs::copy(kTorture / "sound_plugin.so", folder_ / "libvlm_torture.so");
    EXPECT_EQ(vlm::find_plugin({folder_}, "org.vlmhost.torture")->path(), folder_ / "libvlm_torture.so");
    EXPECT_EQ(log_, "");
}

TEST_F(Registry, TakesLibraryFilesAsWellAsFolders) {
    EXPECT_EQ(vlm::find_plugin({kTorture / "sound_plugin.so"}, "org.vlmhost.torture")->id(), "org.vlmhost.torture");
}

TEST_F(Registry, SaysWhatWasFoundInstead) {
    fs::copy(kTorture / "sound_plugin.so", folder_ / "libvlm_torture.so");
    try {
        vlm::find_plugin({folder_, "/no/such/folder"}, "org.vlmhost.vit");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
        EXPECT_THAT(error.what(), HasSubstr("org.vlmhost.vit"));
        EXPECT_THAT(error.what(), HasSubstr("org.vlmhost.torture"));
        EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
    }
}

TEST_F(Registry, ReadsTheSearchPathOfTheEnvironment) {
    setenv("VLM_PLUGIN_PATH", "/first::/second:", 1);
    const auto folders = vlm::plugin_folders({"/given"});
    unsetenv("VLM_PLUGIN_PATH");
    ASSERT_GE(folders.size(), 3u);
    EXPECT_EQ(folders[0], "/given");
    EXPECT_EQ(folders[1], "/first");
    EXPECT_EQ(folders[2], "/second");
}

TEST_F(Registry, FindsRecipesInAndBesidePluginFolders) {
    fs::create_directories(folder_ / "plugins" / "recipes");
    fs::create_directories(folder_ / "recipes");
    const auto folders = vlm::recipe_folders({folder_ / "plugins", folder_ / "plugins", "/no/such/folder"});
    EXPECT_EQ(folders, (std::vector<fs::path>{folder_ / "plugins" / "recipes", folder_ / "recipes"}));
}

}  // namespace
