/** @file loader_test.cpp
 *  Opening libraries that are plugins, are not, or break the contract at the door: the host names the file and what is
 * wrong, and goes on.
 */
#include "host/plugin/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <vlm/token_reducer.h>

#include <fstream>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using vlm::Plugin;

fs::path torture(const std::string& name) {
    return fs::path(VLM_BINARY_DIR) / "torture" / (name + ".so");
}

/** Opens and expects a refusal that names the file. */
void expect_refused(const fs::path& path, vlm_status code, const std::string& message) {
    try {
        Plugin::open(path);
        ADD_FAILURE() << path << " was accepted";
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(path.string()));
        EXPECT_THAT(error.what(), HasSubstr(message));
    }
}

TEST(Loader, OpensASoundPlugin) {
    const auto plugin = Plugin::open(torture("sound_plugin"));
    EXPECT_EQ(plugin->id(), "org.vlmhost.torture");
    EXPECT_EQ(plugin->version(), "1.0.0");
    EXPECT_EQ(plugin->license(), "Apache-2.0");
    EXPECT_EQ(plugin->abi_version(), VLM_ABI_VERSION);
    EXPECT_NE(plugin->find_interface(VLM_KIND_TOKEN_REDUCER), nullptr);
    EXPECT_EQ(plugin->find_interface("vlm.connector/1"), nullptr);
    EXPECT_EQ(plugin->find_interface(""), nullptr);
}

TEST(Loader, OpensAPluginTwice) {
    EXPECT_EQ(Plugin::open(torture("sound_plugin"))->id(), Plugin::open(torture("sound_plugin"))->id());
}

TEST(Loader, NamesFilesThatAreNoPlugins) {
    expect_refused(torture("no_such_file"), VLM_STATUS_NOT_FOUND, "no such plugin file");
    expect_refused(fs::temp_directory_path(), VLM_STATUS_INVALID_ARGUMENT, "not a file");
    expect_refused(torture("not_a_plugin"), VLM_STATUS_INVALID_ARGUMENT, "vlm_plugin_entry");
    const fs::path text = fs::temp_directory_path() / ("vlm_loader_" + std::to_string(getpid()) + ".so");
    std::ofstream(text) << "this is text";
    expect_refused(text, VLM_STATUS_INVALID_ARGUMENT, "cannot be loaded");
    std::ofstream(text, std::ios::trunc).flush();
    expect_refused(text, VLM_STATUS_INVALID_ARGUMENT, "cannot be loaded");
    fs::remove(text);
}

TEST(Loader, NamesWhatIsWrongAtTheEntry) {
    expect_refused(torture("future_abi"), VLM_STATUS_UNIMPLEMENTED, "ABI version 99");
    expect_refused(torture("refuses"), VLM_STATUS_UNIMPLEMENTED, "get one from example.com");
    expect_refused(torture("null_description"), VLM_STATUS_INVALID_ARGUMENT, "returned nothing");
    expect_refused(torture("size_zero"), VLM_STATUS_INVALID_ARGUMENT, "struct_size 0");
    expect_refused(torture("size_absurd"), VLM_STATUS_INVALID_ARGUMENT, "struct_size 1073741824");
    expect_refused(torture("no_id"), VLM_STATUS_INVALID_ARGUMENT, "'id'");
    expect_refused(torture("no_get_interface"), VLM_STATUS_INVALID_ARGUMENT, "get_interface");
}

TEST(Loader, RefusesABrokenTableWhenItIsAskedFor) {
    const auto plugin = Plugin::open(torture("table_size_zero"));
    try {
        plugin->find_interface(VLM_KIND_TOKEN_REDUCER);
        ADD_FAILURE() << "a table of size 0 was accepted";
    } catch (const vlm::Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("struct_size 0"));
        EXPECT_THAT(error.what(), HasSubstr("vlm.token_reducer/1"));
    }
}

TEST(Loader, PluginsRefuseHostsOfOtherTimes) {
    for (const vlm::AbiRange range : {vlm::AbiRange{1000, 1001}}) {
        try {
            Plugin::open(torture("sound_plugin"), range);
            ADD_FAILURE() << "a plugin of version 1 accepted a host of version " << range.min;
        } catch (const vlm::Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_UNIMPLEMENTED);
            EXPECT_THAT(error.what(), HasSubstr("1000 to 1001"));
            EXPECT_THAT(error.what(), HasSubstr("use another host"));
        }
    }
    EXPECT_EQ(Plugin::open(torture("sound_plugin"), {1, 1000})->abi_version(), 1u);
}

TEST(Loader, HostInfoIsOnePerRange) {
    EXPECT_EQ(&vlm::host_info({}), &vlm::host_info({}));
    const auto& info = vlm::host_info({3, 9});
    EXPECT_EQ(info.abi_version_min, 3u);
    EXPECT_EQ(info.abi_version_max, 9u);
    EXPECT_EQ(info.get_service(info.host, nullptr), nullptr);
    EXPECT_EQ(info.get_service(info.host, "vlm.nothing/1"), nullptr);
    EXPECT_NE(info.get_service(info.host, "vlm.image/1"), nullptr);
    info.log(info.host, nullptr, VLM_LOG_DEBUG, nullptr);
}

}  // namespace
