/** @file run_of_call.cpp
 *  See run_of_call.hpp.
 */
#include "host/isolate/child/run_of_call.hpp"

#include "host/base/error.hpp"
#include "host/isolate/hook_messages.hpp"

namespace vlm::isolate {

Server::RunOfCall::RunOfCall(Channel& channel, const StatusPage& page, const vlm_compute* compute, uint32_t abi_version,
                             uint32_t flags, ShownTokens* tokens)
    : channel_(channel), page_(page) {
    context_.struct_size = sizeof(context_);
    context_.abi_version = abi_version;
    context_.host = this;
    context_.compute = compute;
    context_.is_cancelled = [](void* self) -> int32_t {
        return static_cast<RunOfCall*>(self)->page_.cancelled.load(std::memory_order_relaxed) != 0 ? 1 : 0;
    };
    context_.progress = [](void* self, uint64_t done, uint64_t total) {
        try {
            Writer body;
            body.put(done);
            body.put(total);
            static_cast<RunOfCall*>(self)->channel_.send({Kind::progress, 0, 0, body.bytes()});
        } catch (...) {
            // Progress that is lost is no error.
        }
    };
    context_.log = [](void* self, int32_t level, const char* message) {
        try {
            Writer body;
            body.text("");
            body.text(message != nullptr ? message : "");
            static_cast<RunOfCall*>(self)->channel_.try_send({Kind::log, 0, level, body.bytes()});
        } catch (...) {
            // Nor is a log line.
        }
    };
    context_.error = [](void* self, vlm_status code, const char* message) {
        try {
            static_cast<RunOfCall*>(self)->set_error(code, message != nullptr ? message : "");
        } catch (...) {
            // The status is all that is left to say.
        }
    };
    if ((flags & kHooksWanted) != 0 && tokens != nullptr)
        context_.hooks = hooks_.emplace(channel, context_, *tokens).abi();
    if ((flags & kTapsWanted) == 0) return;
    context_.tap = [](void* self, const char* name, const vlm_tensor* tensor) -> vlm_status {
        if (name == nullptr || tensor == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        try {
            return static_cast<RunOfCall*>(self)->show(name, *tensor);
        } catch (const Error& error) {
            return error.code();
        } catch (...) {
            return VLM_STATUS_INTERNAL;
        }
    };
}

void Server::RunOfCall::set_error(vlm_status code, std::string text) {
    const std::scoped_lock lock(mutex_);
    error_code_ = code;
    error_text_ = std::move(text);
}

vlm_status Server::RunOfCall::show(const char* name, const vlm_tensor& tensor) {
    Writer body;
    body.text(name);
    put_content(body, compact_copy(context_, tensor));
    Message reply;
    if (!channel_.send({Kind::tap, 0, 0, body.bytes()}) || !channel_.receive(reply) || reply.kind != Kind::tap_reply)
        return VLM_STATUS_UNAVAILABLE;
    return static_cast<vlm_status>(reply.code);
}

}  // namespace vlm::isolate
