/** @file api_test.cpp
 *  Versions, errors, hosts and pipelines, used wrongly: NULL, sizes of 0, the wrong order. Right use is tested by the
 * samples, too.
 */
#include <unistd.h>

#include <fstream>

#include "tests/host/api/api_fixture.hpp"

namespace {

using testing::HasSubstr;
using namespace vlm_test;

TEST_F(Api, SaysItsVersion) {
    EXPECT_STREQ(vlm_version(), "0.1.0");
    EXPECT_EQ(vlm_abi_version(), VLM_ABI_VERSION);
}

TEST_F(Api, EveryDestroyTakesNull) {
    vlm_error_destroy(nullptr);
    vlm_host_destroy(nullptr);
    vlm_pipeline_destroy(nullptr);
    vlm_session_destroy(nullptr);
    vlm_result_destroy(nullptr);
    vlm_cancel(nullptr);
    EXPECT_EQ(vlm_error_code(nullptr), VLM_STATUS_OK);
    EXPECT_STREQ(vlm_error_message(nullptr), "");
    EXPECT_EQ(vlm_result_text(nullptr).size, 0u);
    EXPECT_EQ(vlm_result_json(nullptr).size, 0u);
    EXPECT_EQ(vlm_result_token_count(nullptr), 0u);
}

TEST_F(Api, NullArgumentsAreRefusedWithAndWithoutAPlaceForTheError) {
    vlm_pipeline* pipeline = nullptr;
    vlm_session* session = nullptr;
    vlm_result* result = nullptr;
    vlm_result_token token{};
    EXPECT_EQ(vlm_host_create(nullptr, nullptr, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(error_.text(), HasSubstr("host is NULL"));
    EXPECT_EQ(vlm_host_create(nullptr, nullptr, nullptr), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_pipeline_open(nullptr, "x", nullptr, nullptr, &pipeline, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_pipeline_open(host_, nullptr, nullptr, nullptr, &pipeline, nullptr), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_pipeline_open(host_, "x", nullptr, nullptr, nullptr, nullptr), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_pipeline_open_json(host_, nullptr, nullptr, nullptr, nullptr, &pipeline, nullptr),
              VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_session_create(nullptr, &session, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_generate(nullptr, nullptr, &result, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(error_.code(), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_result_token_at(nullptr, 0, &token), VLM_STATUS_INVALID_ARGUMENT);
}

TEST_F(Api, StructsMustHaveSizeAndVersion) {
    vlm_host_options options{};
    vlm_host* host = nullptr;
    for (const auto& [size, version] :
         {std::pair<uint32_t, uint32_t>{0, 1}, {sizeof(options), 0}, {4, 1}, {VLM_STRUCT_SIZE_MAX + 1, 1}}) {
        options.struct_size = size;
        options.abi_version = version;
        EXPECT_EQ(vlm_host_create(&options, &host, error_.out()), VLM_STATUS_INVALID_ARGUMENT) << size;
        EXPECT_THAT(error_.text(), HasSubstr("vlm_host_options has struct_size " + std::to_string(size)));
        EXPECT_EQ(host, nullptr);
    }
    // A shorter struct, of an application that was built earlier, is taken as it is.
    options = {};
    options.struct_size = offsetof(vlm_host_options, log);
    options.abi_version = 1;
    options.log = [](void*, int32_t, const char*, const char*) { FAIL(); };
    EXPECT_EQ(vlm_host_create(&options, &host, error_.out()), VLM_STATUS_OK) << error_.text();
    vlm_host_destroy(host);
}

TEST_F(Api, OpeningSaysWhatIsWrong) {
    vlm_pipeline* pipeline = nullptr;
    EXPECT_EQ(vlm_pipeline_open(host_, "/no/such/manifest.json", nullptr, nullptr, &pipeline, error_.out()),
              VLM_STATUS_NOT_FOUND);
    EXPECT_THAT(error_.text(), HasSubstr("/no/such/manifest.json"));
    EXPECT_EQ(pipeline, nullptr);
    EXPECT_EQ(vlm_pipeline_open_json(host_, "{\"modle\": 1}", "/base", nullptr, nullptr, &pipeline, error_.out()),
              VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(error_.text(), HasSubstr("\"model\""));
    EXPECT_EQ(
        vlm_pipeline_open_json(host_, "{\"model\": \"nothing\"}", "/base", nullptr, nullptr, &pipeline, error_.out()),
        VLM_STATUS_NOT_FOUND);
    EXPECT_THAT(error_.text(), HasSubstr("/base/nothing"));
}

TEST_F(Api, NamesEveryCode) {
    EXPECT_STREQ(vlm_status_name(VLM_STATUS_OK), "OK");
    EXPECT_STREQ(vlm_status_name(VLM_STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    EXPECT_STREQ(vlm_status_name(17), "INTERNAL");
    EXPECT_STREQ(vlm_status_name(-1), "INTERNAL");
}

TEST_F(Api, TheLogGoesToTheLastHostThatWantsItUntilThatHostIsGone) {
    // A folder with a file that is no library makes the host warn.
    const auto folder = std::filesystem::temp_directory_path() / ("vlm_api_log_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "libbroken.so") << "no library";
    std::vector<std::string> lines[2];
    vlm_host* hosts[2] = {};
    const std::string name = folder.string();
    for (int i = 0; i < 2; ++i) {
        auto options = make_struct<vlm_host_options>();
        options.plugin_folder = name.c_str();
        options.user = &lines[i];
        options.log = [](void* user, int32_t, const char*, const char* message) {
            static_cast<std::vector<std::string>*>(user)->push_back(message);
        };
        ASSERT_EQ(vlm_host_create(&options, &hosts[i], error_.out()), VLM_STATUS_OK);
    }
    const auto open = [&] {
        vlm_pipeline* pipeline = nullptr;
        const std::string manifest = R"({"model": ")" + std::string(VLM_SOURCE_DIR) +
                                     R"(/models/rx-small", "plugins": [")" + VLM_PLUGIN_DIR +
                                     R"("], "pipeline": {"backbone": {"plugin": "no.such"}}})";
        EXPECT_EQ(
            vlm_pipeline_open_json(hosts[0], manifest.c_str(), nullptr, nullptr, nullptr, &pipeline, error_.out()),
            VLM_STATUS_NOT_FOUND)
            << error_.text();
    };
    vlm_host* const first = hosts[0];
    open();
    EXPECT_TRUE(lines[0].empty());
    EXPECT_THAT(lines[1], testing::Contains(HasSubstr("libbroken.so")));
    lines[1].clear();
    vlm_host_destroy(hosts[1]);
    testing::internal::CaptureStderr();
    open();
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("libbroken.so"));
    EXPECT_TRUE(lines[1].empty());
    vlm_host_destroy(first);
    std::filesystem::remove_all(folder);
}

}  // namespace
