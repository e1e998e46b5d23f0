/** @file hooks_of_call.hpp
 *  The hook service of one call: each question goes to the host, where the token reducers are.
 */
#pragma once
#include <vlm/context.h>
#include <vlm/hooks.h>

#include "host/base/tensor.hpp"
#include "host/isolate/channel.hpp"
#include "host/isolate/wire.hpp"

namespace vlm::isolate {

/** A tensor of the plugin as a compact one in plain memory. @throws Error with the status of the copy. */
Tensor compact_copy(const vlm_run_context& run, const vlm_tensor& tensor);

/** The piece of the arena that the host has set aside for tokens that are shown; kept from call to call. */
struct ShownTokens {
    const SharedMapping& arena;
    uint64_t place = 0;
    uint64_t bytes = 0;
};

/** See the file. Used by the one thread that runs the call. */
class HooksOfCall {
  public:
    /** `run` is the context that this belongs to; its compute service copies what is shown to `tokens`. */
    HooksOfCall(Channel& channel, const vlm_run_context& run, ShownTokens& tokens);
    HooksOfCall(const HooksOfCall&) = delete;
    HooksOfCall& operator=(const HooksOfCall&) = delete;
    const vlm_hooks* abi() const { return &abi_; }

  private:
    uint32_t needs(uint32_t site, int32_t layer, int32_t layers);
    vlm_status reduce(const vlm_token_view& given, const vlm_token_map** map);
    Message ask(const Message& question);
    /** Copies `tensor` to `offset` of the room and writes where and what it is. */
    void put(Writer& body, const vlm_tensor& tensor, uint64_t offset);

    Channel& channel_;
    const vlm_run_context& run_;
    ShownTokens& tokens_;
    vlm_hooks abi_{};
    Tensor groups_;
    vlm_token_map map_{};
};

}  // namespace vlm::isolate
