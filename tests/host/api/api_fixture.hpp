/** @file api_fixture.hpp
 *  A host, and a session with the shipped reader, for the tests of the application API.
 */
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vlm/host.h>

#include <filesystem>
#include <string>
#include <vector>
#include <vlm/sdk/structs.hpp>

namespace vlm_test {

using vlm::sdk::make_struct;

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
        ASSERT_EQ(vlm_pipeline_open(host, folder.c_str(), nullptr, nullptr, &pipeline_, error_.out()), VLM_STATUS_OK)
            << error_.text();
        vlm_host_destroy(host);  // handles are counted: the pipeline keeps what it needs
        session_ = new_session();
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
    void TearDown() override {
        vlm_pipeline_destroy(pipeline_);  // before the session, which keeps it alive
        vlm_session_destroy(session_);
    }
    vlm_session* new_session() {
        vlm_session* session = nullptr;
        EXPECT_EQ(vlm_session_create(pipeline_, &session, error_.out()), VLM_STATUS_OK) << error_.text();
        return session;
    }
    void use_pixels() {
        source_.pixels = pixels_.data();
        source_.width = source_.height = 64;
    }
    /** Visual tokens of the source; empty when it was refused. */
    std::vector<float> encoded() {
        vlm_managed_tensor* tensor = nullptr;
        EXPECT_EQ(vlm_encode_image(session_, &source_, nullptr, &tensor, error_.out()), VLM_STATUS_OK) << error_.text();
        if (tensor == nullptr) return {};
        const auto* values = static_cast<const float*>(tensor->view.data);
        std::vector<float> copy(values, values + tensor->view.shape[0] * tensor->view.shape[1]);
        vlm_managed_tensor_destroy(tensor);
        return copy;
    }
    /** Why the request was refused. */
    std::string refusal() {
        vlm_result* result = nullptr;
        EXPECT_NE(vlm_generate(session_, &request_, &result, error_.out()), VLM_STATUS_OK);
        EXPECT_EQ(result, nullptr);
        return error_.text();
    }

    vlm_pipeline* pipeline_ = nullptr;
    vlm_session* session_ = nullptr;
    std::vector<uint8_t> pixels_;
    vlm_image_source source_{};
    const vlm_image_source* images_[1] = {&source_};
    vlm_generation_options generation_{};
    vlm_generate_request request_{};
};

}  // namespace vlm_test
