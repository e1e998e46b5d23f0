/** @file hooks_of_call.cpp
 *  See hooks_of_call.hpp; the other end is hook_messages.cpp.
 */
#include "host/isolate/child/hooks_of_call.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "host/base/error.hpp"
#include "host/isolate/fields.hpp"
#include "host/isolate/hook_messages.hpp"
#include "host/pipeline/plugin_table.hpp"

namespace vlm::isolate {

Tensor compact_copy(const vlm_run_context& run, const vlm_tensor& tensor) {
    const auto& view = tensor.view;
    Tensor compact(dtype_of(view), {view.shape, view.shape + view.ndim});
    const vlm_status status = run.compute->copy(run.compute, &run, &tensor, compact.abi());
    if (status != VLM_STATUS_OK) throw Error(status, "a tensor that the host wants to see cannot be copied");
    return compact;
}

HooksOfCall::HooksOfCall(Channel& channel, const vlm_run_context& run, ShownTokens& tokens)
    : channel_(channel), run_(run), tokens_(tokens), abi_(abi_struct<vlm_hooks>()) {
    abi_.host = this;
    abi_.needs = [](void* self, uint32_t site, int32_t layer, int32_t layers) -> uint32_t {
        try {
            return static_cast<HooksOfCall*>(self)->needs(site, layer, layers);
        } catch (...) {
            return 0;  // the host is gone, and with it the reason to go on
        }
    };
    abi_.reduce = [](void* self, const vlm_run_context* context, const vlm_token_view* view,
                     const vlm_token_map** map) -> vlm_status {
        if (view == nullptr || map == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        try {
            return static_cast<HooksOfCall*>(self)->reduce(*view, map);
        } catch (const Error& error) {
            if (context != nullptr) context->error(context->host, error.code(), error.what());
            return error.code();
        } catch (...) {
            return VLM_STATUS_INTERNAL;
        }
    };
}

Message HooksOfCall::ask(const Message& question) {
    Message answer;
    if (!channel_.send(question) || !channel_.receive(answer) || answer.kind != Kind::hook_reply)
        throw Error(VLM_STATUS_UNAVAILABLE, "the host does not answer");
    return answer;
}

void HooksOfCall::put(Writer& body, const vlm_tensor& tensor, uint64_t offset) {
    const auto& view = tensor.view;
    vlm_tensor target{sizeof(target), VLM_ABI_VERSION, view, nullptr, nullptr};
    target.view.data = tokens_.arena.data() + tokens_.place + offset;
    target.view.device = {VLM_DEVICE_CPU, 0};
    target.view.strides = nullptr;
    target.view.byte_offset = 0;
    const vlm_status status = run_.compute->copy(run_.compute, &run_, &tensor, &target);
    if (status != VLM_STATUS_OK) throw Error(status, "tokens that the reducers want to see cannot be copied");
    body.put(dtype_of(view));
    body.put(static_cast<uint32_t>(view.ndim));
    for (int32_t i = 0; i < view.ndim; ++i) body.put(view.shape[i]);
    body.put(offset);
}

uint32_t HooksOfCall::needs(uint32_t site, int32_t layer, int32_t layers) {
    Writer body;
    body.put(site);
    body.put(layer);
    body.put(layers);
    return static_cast<uint32_t>(ask({Kind::hook_needs, 0, 0, body.bytes()}).code);
}

vlm_status HooksOfCall::reduce(const vlm_token_view& given, const vlm_token_map** map) {
    auto view = abi_struct<vlm_token_view>();
    std::memcpy(&view, &given, std::min<size_t>(given.struct_size, sizeof(view)));
    std::array<uint64_t, kViewMembers.size()> offsets{};
    uint64_t needed = 0;
    for (size_t i = 0; i < kViewMembers.size(); ++i) {
        const vlm_tensor* const tensor = view.*kViewMembers[i].tensor;
        if (tensor == nullptr) continue;
        offsets[i] = needed;
        needed += byte_size({tensor->view.shape, static_cast<size_t>(tensor->view.ndim)}, dtype_of(tensor->view));
        needed = (needed + kHookAlignment - 1) / kHookAlignment * kHookAlignment;
    }
    if (needed > tokens_.bytes) {
        const Message room = ask({Kind::hook_room, 0, static_cast<int64_t>(needed), {}});
        tokens_.bytes = 0;
        if (room.code != VLM_STATUS_OK)
            throw Error(static_cast<vlm_status>(room.code),
                        "no shared memory to show " + std::to_string(view.tokens) + " tokens to the reducers");
        tokens_.place = Reader(room.body).get<uint64_t>();
        tokens_.bytes = needed;
    }
    Writer body;
    put_members(body, view);
    for (size_t i = 0; i < kViewMembers.size(); ++i) {
        const vlm_tensor* const tensor = view.*kViewMembers[i].tensor;
        body.put<uint8_t>(tensor != nullptr ? 1 : 0);
        if (tensor != nullptr) put(body, *tensor, offsets[i]);
    }
    body.layout(view.layout);
    const Message answer = ask({Kind::hook_reduce, 0, 0, body.bytes()});
    *map = nullptr;
    if (answer.code != VLM_STATUS_OK) return static_cast<vlm_status>(answer.code);
    Reader reader(answer.body);
    const auto groups = reader.get<int64_t>();
    if (groups == 0) return VLM_STATUS_OK;
    const std::string_view numbers = reader.text();
    groups_ = Tensor(VLM_DTYPE_I32, {view.tokens});
    if (numbers.size() != byte_size(groups_.shape(), VLM_DTYPE_I32)) throw data_loss("the host's map has another size");
    std::copy(numbers.begin(), numbers.end(), groups_.data<char>());
    map_ = abi_struct<vlm_token_map>();
    map_.groups = groups_.abi();
    map_.group_count = groups;
    *map = &map_;
    return VLM_STATUS_OK;
}

}  // namespace vlm::isolate
