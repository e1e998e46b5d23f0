/** @file hook_messages.hpp
 *  Token reducers inside the layers of an isolated plugin: the plugin's process asks, and the reducers answer where
 * they are.
 *
 *  The tokens lie in the memory of that process, so it copies them, once, into a piece of the arena that the host sets
 * aside for it, and names them by their place there. What comes from there is checked before a reducer sees it.
 */
#pragma once
#include <vlm/context.h>
#include <vlm/hooks.h>

#include <array>

#include "host/base/tensor.hpp"
#include "host/isolate/arena.hpp"
#include "host/isolate/channel.hpp"
#include "host/isolate/wire.hpp"

namespace vlm::isolate {

/** Tensor members of a view: the pointer, its number of dimensions, and its element type (0: f32, bf16 or f16). */
struct ViewMember {
    const vlm_tensor* vlm_token_view::*tensor;
    size_t dims;
    uint32_t dtype;
};
constexpr std::array<ViewMember, 8> kViewMembers = {{{&vlm_token_view::hidden, 2, 0},
                                                     {&vlm_token_view::keys, 2, 0},
                                                     {&vlm_token_view::scores, 1, VLM_DTYPE_F32},
                                                     {&vlm_token_view::score_sums, 1, VLM_DTYPE_F32},
                                                     {&vlm_token_view::sizes, 1, VLM_DTYPE_F32},
                                                     {&vlm_token_view::images, 1, VLM_DTYPE_I32},
                                                     {&vlm_token_view::origins, 1, VLM_DTYPE_I32},
                                                     {&vlm_token_view::keep, 1, VLM_DTYPE_U8}}};

/** A tensor with its numbers. */
void put_content(Writer& writer, const Tensor& tensor);
/** @throws Error DATA_LOSS when size and shape differ. */
Tensor get_content(Reader& reader);

/** Where the tensors of a view begin, so that vectors may be read from there. */
constexpr uint64_t kHookAlignment = 64;

/** The piece of the arena where one process puts the tokens that it shows; grows when that process asks. */
class HookRoom {
  public:
    explicit HookRoom(std::shared_ptr<SharedArena> arena) : arena_(std::move(arena)) {}
    /** Makes room for `bytes` and returns its place in the arena. @throws Error RESOURCE_EXHAUSTED. */
    uint64_t make(int64_t bytes);
    /** The tensor at `offset`, without a copy. @throws Error DATA_LOSS when it does not lie inside. */
    Tensor at(uint64_t offset, uint32_t dtype, std::vector<int64_t> shape) const;
    CallCounters& counters() const { return arena_->counters(); }

  private:
    std::shared_ptr<SharedArena> arena_;
    std::shared_ptr<void> memory_;
    uint64_t bytes_ = 0;
};

/** A view whose numbers for the host are its own. */
struct OwnedView {
    vlm_token_view abi{};
    OwnedLayout layout;
    std::array<Tensor, kViewMembers.size()> tensors;
};
/** Features and keys stay where they are; what has one number for each token is copied, because reducers count and
 * index by it, and it must not change meanwhile. @throws Error DATA_LOSS for a view that no plugin may show at `site`:
 * other tokens than its tensors have, elements of other types, protected tokens that there are not. */
void get_view(Reader& reader, uint32_t site, const HookRoom& room, OwnedView& view);

/** The host's end: asks the hooks of `run` what `question` (hook_needs, hook_room or hook_reduce) wants to know and
 * makes the answer. A plugin asks about its own `site` only. @throws Error DATA_LOSS for a question that makes no
 * sense. */
Message answer_hook(const Message& question, const vlm_run_context* run, uint32_t site, HookRoom& room);

}  // namespace vlm::isolate
