/** @file api_test.cpp
 *  The application API used wrongly: NULL, sizes of 0, the wrong order. Right use is tested by the sample in C.
 */
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vlm/host.h>

#include <filesystem>
#include <string>

namespace {

using testing::HasSubstr;

/** An error that is freed. */
class Error {
  public:
    ~Error() { vlm_error_destroy(error_); }
    vlm_error** out() {
        vlm_error_destroy(error_);
        error_ = nullptr;
        return &error_;
    }
    std::string text() const { return vlm_error_message(error_); }
    vlm_status code() const { return vlm_error_code(error_); }

  private:
    vlm_error* error_ = nullptr;
};

class Api : public testing::Test {
  protected:
    Api() { EXPECT_EQ(vlm_host_create(nullptr, &host_, nullptr), VLM_STATUS_OK); }
    ~Api() override { vlm_host_destroy(host_); }
    vlm_host* host_ = nullptr;
    Error error_;
};

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

/** The shipped reader, when its weights are there. */
class ApiWithModel : public Api {
  protected:
    void SetUp() override {
        const std::string folder = std::string(VLM_SOURCE_DIR) + "/models/rx-small";
        if (!std::filesystem::exists(folder + "/model.safetensors")) GTEST_SKIP() << "models/rx-small has no weights";
        vlm_host_options options{};
        options.struct_size = sizeof(options);
        options.abi_version = VLM_ABI_VERSION;
        options.plugin_folder = VLM_PLUGIN_DIR;
        vlm_host* host = nullptr;
        ASSERT_EQ(vlm_host_create(&options, &host, error_.out()), VLM_STATUS_OK) << error_.text();
        vlm_pipeline* pipeline = nullptr;
        ASSERT_EQ(vlm_pipeline_open(host, folder.c_str(), nullptr, nullptr, &pipeline, error_.out()), VLM_STATUS_OK)
            << error_.text();
        ASSERT_EQ(vlm_session_create(pipeline, &session_, error_.out()), VLM_STATUS_OK) << error_.text();
        // Handles are counted: the session keeps what it needs.
        vlm_pipeline_destroy(pipeline);
        vlm_host_destroy(host);
        source_.struct_size = sizeof(source_);
        source_.abi_version = VLM_ABI_VERSION;
        pixels_.assign(64 * 64 * 3, 200);
        generation_.struct_size = sizeof(generation_);
        generation_.abi_version = VLM_ABI_VERSION;
        generation_.max_new_tokens = 3;
        request_.struct_size = sizeof(request_);
        request_.abi_version = VLM_ABI_VERSION;
        request_.prompt = "<|vision_start|><|image_pad|><|vision_end|>";
        request_.generation = &generation_;
        request_.images = images_;
        request_.image_count = 1;
    }
    void TearDown() override { vlm_session_destroy(session_); }
    void use_pixels() {
        source_.pixels = pixels_.data();
        source_.width = source_.height = 64;
    }
    std::string refusal() {
        vlm_result* result = nullptr;
        EXPECT_NE(vlm_generate(session_, &request_, &result, error_.out()), VLM_STATUS_OK);
        EXPECT_EQ(result, nullptr);
        return error_.text();
    }

    vlm_session* session_ = nullptr;
    std::vector<uint8_t> pixels_;
    vlm_image_source source_{};
    const vlm_image_source* images_[1] = {&source_};
    vlm_generation_options generation_{};
    vlm_generate_request request_{};
};

TEST_F(ApiWithModel, AnImageIsGivenInOneWay) {
    EXPECT_THAT(refusal(), HasSubstr("exactly one"));
    use_pixels();
    source_.path = "x.png";
    EXPECT_THAT(refusal(), HasSubstr("exactly one"));
    source_.path = nullptr;
    source_.width = 0;
    EXPECT_THAT(refusal(), HasSubstr("width and height"));
    source_.width = 2'000'000'000;
    source_.height = 2'000'000'000;
    EXPECT_THAT(refusal(), HasSubstr("size limit"));
    source_.pixels = nullptr;
    source_.encoded = pixels_.data();
    source_.encoded_size = pixels_.size();
    source_.name = "scan 7";
    EXPECT_THAT(refusal(), HasSubstr("scan 7"));
    images_[0] = nullptr;
    EXPECT_THAT(refusal(), HasSubstr("NULL"));
    request_.images = nullptr;
    EXPECT_THAT(refusal(), HasSubstr("images is NULL"));
}

TEST_F(ApiWithModel, RequestsMustBeWellFormed) {
    use_pixels();
    generation_.struct_size = 0;
    EXPECT_THAT(refusal(), HasSubstr("vlm_generation_options"));
    generation_.struct_size = sizeof(generation_);
    generation_.stop_count = 1;
    EXPECT_THAT(refusal(), HasSubstr("stops is NULL"));
    generation_.stop_count = 0;
    request_.abi_version = 0;
    EXPECT_THAT(refusal(), HasSubstr("vlm_generate_request"));
    request_.abi_version = VLM_ABI_VERSION;
    source_.struct_size = 3;
    EXPECT_THAT(refusal(), HasSubstr("vlm_image_source"));
}

TEST_F(ApiWithModel, AnswersAndTokensCanBeRead) {
    use_pixels();
    vlm_result* result = nullptr;
    ASSERT_EQ(vlm_generate(session_, &request_, &result, error_.out()), VLM_STATUS_OK) << error_.text();
    const uint64_t count = vlm_result_token_count(result);
    EXPECT_LE(count, 3u);
    EXPECT_EQ(vlm_result_json(result).data[0], '{');
    vlm_result_token token{};
    token.struct_size = sizeof(token);
    token.abi_version = VLM_ABI_VERSION;
    EXPECT_EQ(vlm_result_token_at(result, count, &token), VLM_STATUS_OUT_OF_RANGE);
    EXPECT_EQ(vlm_result_token_at(result, 0, nullptr), VLM_STATUS_INVALID_ARGUMENT);
    if (count > 0) {
        EXPECT_EQ(vlm_result_token_at(result, 0, &token), VLM_STATUS_OK);
        EXPECT_LE(token.log_probability, 0);
        // An older caller's struct is shorter; nothing is written behind its end.
        token = {};
        token.struct_size = offsetof(vlm_result_token, piece);
        token.abi_version = VLM_ABI_VERSION;
        EXPECT_EQ(vlm_result_token_at(result, 0, &token), VLM_STATUS_OK);
        EXPECT_EQ(token.piece.data, nullptr);
        token.struct_size = 0;
        EXPECT_EQ(vlm_result_token_at(result, 0, &token), VLM_STATUS_INVALID_ARGUMENT);
    }
    vlm_result_destroy(result);
}

}  // namespace
