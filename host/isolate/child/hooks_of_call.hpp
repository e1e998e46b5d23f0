/** @file hooks_of_call.hpp
 *  The hook service of one call: each question goes to the host, where the token reducers are.
 */
#pragma once
#include <vlm/context.h>
#include <vlm/hooks.h>

#include "host/base/tensor.hpp"
#include "host/isolate/channel.hpp"

namespace vlm::isolate {

/** A tensor of the plugin as a compact one in plain memory. @throws Error with the status of the copy. */
Tensor compact_copy(const vlm_run_context& run, const vlm_tensor& tensor);

/** See the file. Used by the one thread that runs the call. */
class HooksOfCall {
  public:
    /** `run` is the context that this belongs to; its compute service copies what is shown. */
    HooksOfCall(Channel& channel, const vlm_run_context& run);
    HooksOfCall(const HooksOfCall&) = delete;
    HooksOfCall& operator=(const HooksOfCall&) = delete;
    const vlm_hooks* abi() const { return &abi_; }

  private:
    uint32_t needs(uint32_t site, int32_t layer, int32_t layers);
    vlm_status reduce(const vlm_token_view& view, const vlm_token_map** map);
    Message ask(const Message& question);

    Channel& channel_;
    const vlm_run_context& run_;
    vlm_hooks abi_{};
    Tensor groups_;
    vlm_token_map map_{};
};

}  // namespace vlm::isolate
