/** @file result_test.cpp
 *  Results as structs, tokens, JSON and tensors.
 */
#include "tests/host/api/api_fixture.hpp"

namespace {

using testing::HasSubstr;
using namespace vlm_test;

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

TEST_F(ApiWithModel, AnswersAndUsageAreStructs) {
    use_pixels();
    generation_.max_new_tokens = 2;
    vlm_result* result = nullptr;
    ASSERT_EQ(vlm_generate(session_, &request_, &result, error_.out()), VLM_STATUS_OK) << error_.text();
    ASSERT_EQ(vlm_result_answer_count(result), 1u);
    auto answer = make_struct<vlm_result_answer>();
    ASSERT_EQ(vlm_result_answer_at(result, 0, &answer), VLM_STATUS_OK);
    const vlm_string text = vlm_result_text(result);
    EXPECT_EQ(std::string(answer.text.data, answer.text.size), std::string(text.data, text.size));
    EXPECT_EQ(answer.token_begin, 0u);
    EXPECT_EQ(answer.token_count, vlm_result_token_count(result));
    EXPECT_EQ(answer.finish_reason, answer.token_count < 2 ? VLM_FINISH_STOP_TOKEN : VLM_FINISH_LENGTH);
    EXPECT_EQ(vlm_result_answer_at(result, 1, &answer), VLM_STATUS_OUT_OF_RANGE);
    EXPECT_EQ(vlm_result_answer_at(result, 0, nullptr), VLM_STATUS_INVALID_ARGUMENT);

    auto usage = make_struct<vlm_result_usage>();
    ASSERT_EQ(vlm_result_get_usage(result, &usage), VLM_STATUS_OK);
    EXPECT_GT(usage.visual_tokens, 0);
    EXPECT_EQ(usage.generated_tokens, static_cast<int64_t>(answer.token_count));
    EXPECT_GT(usage.kv_bytes, 0);
    usage = {};
    EXPECT_EQ(vlm_result_get_usage(result, &usage), VLM_STATUS_INVALID_ARGUMENT);

    const auto find = [&](const char* path) {
        vlm_string value{};
        const vlm_status status = vlm_result_find(result, path, &value);
        return status == VLM_STATUS_OK ? "=" + std::string(value.data, value.size) : vlm_status_name(status);
    };
    EXPECT_EQ(find("/text"), "=" + std::string(text.data, text.size));
    EXPECT_EQ(find("/tokens/generated"), "=" + std::to_string(answer.token_count));
    EXPECT_EQ(find("/image"), "=image");
    EXPECT_EQ(find("/drugs/0/name"), "NOT_FOUND");
    EXPECT_EQ(find("/image/0"), "NOT_FOUND");
    EXPECT_EQ(find("text"), "INVALID_ARGUMENT");
    EXPECT_EQ(find("/tokens/~7"), "INVALID_ARGUMENT");
    EXPECT_EQ(vlm_result_find(nullptr, "/text", nullptr), VLM_STATUS_INVALID_ARGUMENT);

    vlm_managed_tensor* tensor = nullptr;
    EXPECT_EQ(vlm_result_tensor(result, "image_embeddings", 0, &tensor, error_.out()), VLM_STATUS_NOT_FOUND);
    EXPECT_THAT(error_.text(), HasSubstr("models that generate text have none"));
    EXPECT_EQ(vlm_result_tensor(result, "weights", 0, &tensor, error_.out()), VLM_STATUS_NOT_FOUND);
    EXPECT_THAT(error_.text(), HasSubstr("\"weights\""));
    EXPECT_EQ(tensor, nullptr);
    vlm_managed_tensor_destroy(tensor);
    vlm_result_destroy(result);
}

TEST_F(ApiWithModel, VisualTokensAreADlpackTensor) {
    use_pixels();
    vlm_managed_tensor* tokens = nullptr;
    ASSERT_EQ(vlm_encode_image(session_, &source_, nullptr, &tokens, error_.out()), VLM_STATUS_OK) << error_.text();
    // The tensor outlives what it came from.
    vlm_session_destroy(session_);
    session_ = nullptr;
    EXPECT_EQ(tokens->view.ndim, 2);
    EXPECT_EQ(tokens->view.dtype.code, VLM_TYPE_FLOAT);
    EXPECT_EQ(tokens->view.dtype.bits, 32);
    EXPECT_EQ(tokens->view.device.device_type, VLM_DEVICE_CPU);
    EXPECT_GT(tokens->view.shape[0], 0);
    const auto* values = static_cast<const float*>(tokens->view.data);
    float largest = 0;
    for (int64_t i = 0; i < tokens->view.shape[0] * tokens->view.shape[1]; ++i)
        largest = std::max(largest, std::abs(values[i]));
    EXPECT_GT(largest, 0);
    EXPECT_LT(largest, 1e6);
    vlm_managed_tensor* second = vlm_managed_tensor_share(tokens);
    vlm_managed_tensor_destroy(tokens);
    EXPECT_EQ(second->view.data, values);
    EXPECT_EQ(second->view.ndim, 2);
    vlm_managed_tensor_destroy(second);
    EXPECT_EQ(vlm_managed_tensor_share(nullptr), nullptr);
}

}  // namespace
