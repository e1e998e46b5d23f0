/** @file run_of_call.hpp
 *  The run context of one call: what the plugin asks of it goes to the host.
 */
#pragma once
#include <vlm/context.h>

#include <mutex>
#include <optional>
#include <string>

#include "host/isolate/child/hooks_of_call.hpp"
#include "host/isolate/child/server.hpp"

namespace vlm::isolate {

/** See the file. */
class Server::RunOfCall {
  public:
    RunOfCall(Channel& channel, const StatusPage& page, const vlm_compute* compute, uint32_t abi_version,
              uint32_t flags, ShownTokens* tokens);
    RunOfCall(const RunOfCall&) = delete;
    RunOfCall& operator=(const RunOfCall&) = delete;

    const vlm_run_context* context() const { return &context_; }
    vlm_status error_code() const { return error_code_; }
    const std::string& error_text() const { return error_text_; }
    void set_error(vlm_status code, std::string text);

  private:
    vlm_status show(const char* name, const vlm_tensor& tensor);

    Channel& channel_;
    const StatusPage& page_;
    vlm_run_context context_{};
    std::optional<HooksOfCall> hooks_;
    std::mutex mutex_;
    vlm_status error_code_ = VLM_STATUS_OK;
    std::string error_text_;
};

}  // namespace vlm::isolate
