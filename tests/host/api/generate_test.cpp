/** @file generate_test.cpp
 *  The life of a call: cancelling early, late and in time, busy sessions, turns that fail, batches.
 */
#include <cmath>
#include <thread>

#include "tests/host/api/api_fixture.hpp"

namespace {

using testing::HasSubstr;
using namespace vlm_test;

class ApiCalls : public ApiWithModel {
  protected:
    void SetUp() override {
        ApiWithModel::SetUp();
        source_.path = page_.c_str();
    }
    const std::string page_ = std::string(VLM_SOURCE_DIR) + "/tests/data/rx_rows/english_entry.png";
    /** Text of the answer, or the name of the code. */
    std::string answer() {
        vlm_result* result = nullptr;
        const vlm_status status = vlm_generate(session_, &request_, &result, error_.out());
        if (status != VLM_STATUS_OK) return vlm_status_name(status);
        const vlm_string json = vlm_result_text(result);
        std::string text(json.data, json.size);
        vlm_result_destroy(result);
        return "=" + text;
    }
};

TEST_F(ApiCalls, ACancelThatComesEarlyStopsTheNextCallAndOnlyThat) {
    vlm_cancel(session_);
    EXPECT_EQ(answer(), "CANCELLED");
    EXPECT_EQ(answer()[0], '=');
    vlm_cancel(session_);
    vlm_cancel_reset(session_);
    EXPECT_EQ(answer()[0], '=');
    vlm_cancel_reset(nullptr);
}

TEST_F(ApiCalls, ACancelIsMetByACallThatFailsForAnotherReason) {
    vlm_cancel(session_);
    source_.path = "/no/such.png";
    EXPECT_EQ(answer(), "CANCELLED");
    EXPECT_EQ(answer(), "NOT_FOUND");
    source_.path = page_.c_str();
    EXPECT_EQ(answer()[0], '=');
}

TEST_F(ApiCalls, ACancelDuringTheCallStopsItAndLeavesTheConversationAsItWas) {
    request_.raw_prompt = 1;
    const std::string alone = answer();
    vlm_session* const first = session_;
    session_ = new_session();
    generation_.max_new_tokens = 1000000;
    request_.user = session_;
    request_.stream = [](void* user, const char*, uint64_t) {
        vlm_cancel(static_cast<vlm_session*>(user));
        return 1;
    };
    EXPECT_EQ(answer(), "CANCELLED");
    request_.stream = nullptr;
    generation_.max_new_tokens = 3;
    EXPECT_EQ(answer(), alone);
    vlm_session_destroy(first);
}

TEST_F(ApiCalls, ASessionThatIsBusySaysSo) {
    struct Seen {
        vlm_session* session;
        vlm_generate_request* request;
        std::string message;
    } seen{session_, nullptr, ""};
    auto inner = request_;
    seen.request = &inner;
    request_.user = &seen;
    request_.stream = [](void* user, const char*, uint64_t) {
        auto& s = *static_cast<Seen*>(user);
        vlm_result* result = nullptr;
        Error error;
        EXPECT_EQ(vlm_generate(s.session, s.request, &result, error.out()), VLM_STATUS_ABORTED);
        s.message = error.text();
        return 0;
    };
    EXPECT_EQ(answer()[0], '=');
    EXPECT_THAT(seen.message, HasSubstr("in another call"));
}

TEST_F(ApiCalls, OptionsOutsideTheirRangeAreRefused) {
    const auto refused = [&](auto change) {
        const auto kept = generation_;
        change(generation_);
        const std::string said = answer();
        generation_ = kept;
        return said;
    };
    EXPECT_THAT(refused([](auto& g) { g.max_new_tokens = -5; }), HasSubstr("INVALID_ARGUMENT"));
    EXPECT_THAT(refused([](auto& g) { g.temperature = std::nanf(""); }), HasSubstr("INVALID_ARGUMENT"));
    EXPECT_THAT(refused([](auto& g) { g.top_p = -0.5F; }), HasSubstr("INVALID_ARGUMENT"));
    EXPECT_THAT(refused([](auto& g) { g.min_p = 2; }), HasSubstr("INVALID_ARGUMENT"));
    EXPECT_THAT(refused([](auto& g) { g.repetition_penalty = -1; }), HasSubstr("INVALID_ARGUMENT"));
}

TEST_F(ApiCalls, StoppingTheStreamEndsTheAnswer) {
    generation_.max_new_tokens = 50;
    int calls = 0;
    request_.user = &calls;
    request_.stream = [](void* user, const char*, uint64_t) { return ++*static_cast<int*>(user), 0; };
    EXPECT_EQ(answer()[0], '=');
    EXPECT_EQ(calls, 1);
}

TEST_F(ApiCalls, SessionsAnswerAtTheSameTime) {
    const std::string alone = answer();
    std::vector<std::string> answers(3);
    std::vector<std::thread> threads;
    for (auto& one : answers)
        threads.emplace_back([this, &one] {
            vlm_session* session = new_session();
            vlm_result* result = nullptr;
            if (vlm_generate(session, &request_, &result, nullptr) == VLM_STATUS_OK)
                one = "=" + std::string(vlm_result_text(result).data, vlm_result_text(result).size);
            vlm_result_destroy(result);
            vlm_session_destroy(session);
        });
    for (auto& thread : threads) thread.join();
    EXPECT_THAT(answers, testing::Each(alone));
}

TEST_F(ApiCalls, ABatchGivesTheAnswersOfItsRequestsAndStreamsEachToItsOwn) {
    generation_.max_new_tokens = 12;
    const std::string read = answer();
    auto gray = make_struct<vlm_image_source>();
    gray.pixels = pixels_.data();
    gray.width = gray.height = 64;
    const vlm_image_source* grays[] = {&gray};
    vlm_session* const first = session_;
    session_ = new_session();
    request_.images = grays;
    const std::string nothing = answer();
    EXPECT_NE(read, nothing);
    vlm_session_destroy(first);

    std::string streamed[2];
    vlm_generate_request requests[2] = {request_, request_};
    requests[0].images = images_;
    for (int i = 0; i < 2; ++i) {
        requests[i].generation = nullptr;
        requests[i].user = &streamed[i];
        requests[i].answer_stream = [](void* user, uint64_t index, const char* text, uint64_t size) {
            EXPECT_EQ(index, 0u);
            static_cast<std::string*>(user)->append(text, size);
            return 1;
        };
    }
    const vlm_generate_request* pointers[] = {&requests[0], &requests[1]};
    vlm_result* results[2] = {};
    ASSERT_EQ(vlm_generate_batch(session_, pointers, 2, &generation_, results, error_.out()), VLM_STATUS_OK)
        << error_.text();
    const std::string expected[] = {read, nothing};
    for (int i = 0; i < 2; ++i) {
        const vlm_string text = vlm_result_text(results[i]);
        EXPECT_EQ("=" + std::string(text.data, text.size), expected[i]);
        EXPECT_EQ("=" + streamed[i], expected[i]);
        vlm_result_destroy(results[i]);
    }
}

TEST_F(ApiCalls, ABatchSucceedsOrFailsAsAWhole) {
    vlm_result* results[2] = {reinterpret_cast<vlm_result*>(1), reinterpret_cast<vlm_result*>(1)};
    auto bad = request_;
    auto source = source_;
    source.path = "/no/such.png";
    const vlm_image_source* sources[] = {&source};
    bad.images = sources;
    bad.generation = nullptr;
    auto good = bad;
    good.images = images_;
    const vlm_generate_request* pointers[] = {&good, &bad};
    EXPECT_EQ(vlm_generate_batch(session_, pointers, 2, nullptr, results, error_.out()), VLM_STATUS_NOT_FOUND);
    EXPECT_EQ(results[0], nullptr);
    EXPECT_EQ(results[1], nullptr);
    pointers[1] = &request_;
    EXPECT_EQ(vlm_generate_batch(session_, pointers, 2, nullptr, results, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(error_.text(), HasSubstr("given once, for all"));
    pointers[1] = nullptr;
    EXPECT_EQ(vlm_generate_batch(session_, pointers, 2, nullptr, results, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(vlm_generate_batch(session_, nullptr, 0, nullptr, nullptr, error_.out()), VLM_STATUS_OK);
    EXPECT_EQ(vlm_generate_batch(session_, nullptr, 1, nullptr, results, error_.out()), VLM_STATUS_INVALID_ARGUMENT);
    vlm_cancel(session_);
    EXPECT_EQ(vlm_generate_batch(session_, pointers, 1, nullptr, results, error_.out()), VLM_STATUS_CANCELLED);
}

}  // namespace
