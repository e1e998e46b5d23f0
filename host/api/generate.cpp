/** @file generate.cpp
 *  The calls that work on a session: answering, batches, encoding, and stopping them.
 */
#include "host/api/handles.hpp"
#include "host/api/request.hpp"

namespace {

using vlm::api::guard;
using vlm::api::read_request;
using vlm::api::read_struct;
using vlm::api::require;

/** The session belongs to one call; the cancel that it met ends with it, also when the call fails for another reason.
 */
class SessionCall {
  public:
    explicit SessionCall(vlm_session& session) : session_(session) {
        if (session.busy.exchange(true))
            throw vlm::Error(
                VLM_STATUS_ABORTED,
                "the session is in another call; use one session per thread, and none in its own callback");
    }
    ~SessionCall() {
        session_.session.reset_cancel();
        session_.busy.store(false);
    }
    SessionCall(const SessionCall&) = delete;
    SessionCall& operator=(const SessionCall&) = delete;

    /** CANCELLED when vlm_cancel came before the call. */
    void begin() const {
        if (session_.session.cancelled())
            throw vlm::Error(VLM_STATUS_CANCELLED, "cancelled by the caller before it began");
    }

  private:
    vlm_session& session_;
};

}  // namespace

extern "C" {

vlm_status vlm_generate(vlm_session* session, const vlm_generate_request* theirs, vlm_result** result,
                        vlm_error** error) {
    return guard(error, [&] {
        require(result != nullptr, "result is NULL");
        *result = nullptr;
        require(session != nullptr && theirs != nullptr, "session or request is NULL");
        const SessionCall call(*session);
        call.begin();
        const auto given = read_struct(theirs, "vlm_generate_request");
        const auto options = vlm::api::read_options(given.generation, session->pipeline->manifest().generation);
        const auto request = read_request(given, *session->pipeline);
        *result = new vlm_result(session->session.generate(request, options, request.stream));
    });
}

vlm_status vlm_generate_batch(vlm_session* session, const vlm_generate_request* const* theirs, uint32_t count,
                              const vlm_generation_options* generation, vlm_result** results, vlm_error** error) {
    return guard(error, [&] {
        require(count == 0 || results != nullptr, "results is NULL");
        std::fill_n(results, count, nullptr);
        require(session != nullptr && (count == 0 || theirs != nullptr), "session or requests is NULL");
        const SessionCall call(*session);
        call.begin();
        const auto options = vlm::api::read_options(generation, session->pipeline->manifest().generation);
        std::vector<vlm::Request> requests;
        for (uint32_t i = 0; i < count; ++i) {
            require(theirs[i] != nullptr, "a request of the batch is NULL");
            const auto given = read_struct(theirs[i], "vlm_generate_request");
            require(given.generation == nullptr,
                    "a request of a batch has generation options; they are given once, for all");
            requests.push_back(read_request(given, *session->pipeline));
        }
        if (requests.empty()) return;
        std::vector<std::unique_ptr<vlm_result>> made;
        for (auto& answered : session->session.answer(requests, options))
            made.push_back(std::make_unique<vlm_result>(std::move(answered)));
        for (size_t i = 0; i < made.size(); ++i) results[i] = made[i].release();
    });
}

vlm_status vlm_encode_image(vlm_session* session, const vlm_image_source* image, const char* prompt,
                            vlm_managed_tensor** tokens, vlm_error** error) {
    return guard(error, [&] {
        require(tokens != nullptr, "tokens is NULL");
        *tokens = nullptr;
        require(session != nullptr && image != nullptr, "session or image is NULL");
        const SessionCall call(*session);
        call.begin();
        *tokens = vlm::api::share_tensor(
            session->session.encode(vlm::api::read_image(image, *session->pipeline), prompt != nullptr ? prompt : ""));
    });
}

void vlm_cancel(vlm_session* session) {
    if (session != nullptr) session->session.cancel();
}

void vlm_cancel_reset(vlm_session* session) {
    if (session != nullptr && !session->busy.load()) session->session.reset_cancel();
}

}  // extern "C"
