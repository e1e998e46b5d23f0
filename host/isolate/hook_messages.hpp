/** @file hook_messages.hpp
 *  Token reducers inside the layers of an isolated plugin: the plugin's process asks, and the reducers answer where
 * they are.
 *
 *  The tokens lie in the memory of that process, so they travel in the message and not by their place. What comes from
 * there is checked before a reducer sees it.
 */
#pragma once
#include <vlm/context.h>
#include <vlm/hooks.h>

#include <array>

#include "host/base/tensor.hpp"
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

/** A view with memory of its own. */
struct OwnedView {
    vlm_token_view abi{};
    OwnedLayout layout;
    std::array<Tensor, kViewMembers.size()> tensors;
};
/** @throws Error DATA_LOSS for a view that no plugin may show at `site`: other tokens than its tensors have, elements
 * of other types, protected tokens that there are not. */
void get_view(Reader& reader, uint32_t site, OwnedView& view);

/** The host's end: asks the hooks of `run` what `question` (hook_needs or hook_reduce) wants to know and makes the
 * answer. A plugin asks about its own `site` only. @throws Error DATA_LOSS for a question that makes no sense. */
Message answer_hook(const Message& question, const vlm_run_context* run, uint32_t site);

}  // namespace vlm::isolate
