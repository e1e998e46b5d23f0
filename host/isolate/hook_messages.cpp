/** @file hook_messages.cpp
 *  See hook_messages.hpp.
 */
#include "host/isolate/hook_messages.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"
#include "host/isolate/fields.hpp"
#include "host/pipeline/plugin_table.hpp"

namespace vlm::isolate {
namespace {

constexpr int32_t kMostLayers = 1 << 16;

bool is_float(uint32_t dtype) {
    return dtype == VLM_DTYPE_F32 || dtype == VLM_DTYPE_BF16 || dtype == VLM_DTYPE_F16;
}

Error nonsense(const std::string& what) {
    return data_loss("its process showed tokens to the reducers " + what);
}

}  // namespace

void put_content(Writer& writer, const Tensor& tensor) {
    writer.put(tensor.dtype());
    writer.put(static_cast<uint32_t>(tensor.shape().size()));
    for (const int64_t size : tensor.shape()) writer.put(size);
    writer.text({tensor.data<char>(), byte_size(tensor.shape(), tensor.dtype())});
}

Tensor get_content(Reader& reader) {
    const auto dtype = reader.get<uint32_t>();
    std::vector<int64_t> shape(reader.count(sizeof(int64_t)));
    for (auto& size : shape) size = reader.get<int64_t>();
    const std::string_view data = reader.text();
    if (shape.size() > VLM_MAX_DIMS || byte_size(shape, dtype) != data.size())
        throw data_loss("its process sent a tensor whose shape and size differ");
    Tensor tensor(dtype, std::move(shape));
    std::copy(data.begin(), data.end(), tensor.data<char>());
    return tensor;
}

uint64_t HookRoom::make(int64_t bytes) {
    memory_.reset();  // the arena may have it for the larger one
    bytes_ = 0;
    memory_ = arena_->allocate(bytes);
    bytes_ = static_cast<uint64_t>(bytes);
    return arena_->place_of(memory_.get(), bytes_).value_or(0);
}

Tensor HookRoom::at(uint64_t offset, uint32_t dtype, std::vector<int64_t> shape) const {
    const uint64_t size = byte_size(shape, dtype);
    if (offset % kHookAlignment != 0 || offset > bytes_ || size > bytes_ - offset)
        throw nonsense("that lie outside of the memory that it was given for them");
    Allocator here;
    here.allocate = [&](int64_t) { return std::shared_ptr<void>(memory_, static_cast<char*>(memory_.get()) + offset); };
    return {dtype, std::move(shape), here};
}

void get_view(Reader& reader, uint32_t site, const HookRoom& room, OwnedView& view) {
    view.abi = abi_struct<vlm_token_view>();
    get_members(reader, view.abi);
    const auto& shown = view.abi;
    if (shown.site != site) throw nonsense("of a site that is not its own");
    if (shown.layer < 0 || shown.layers > kMostLayers || shown.layer >= shown.layers)
        throw nonsense("of layer " + std::to_string(shown.layer) + " of " + std::to_string(shown.layers));
    if (shown.tokens < 1 || shown.protected_tokens < 0 || shown.protected_tokens > shown.tokens)
        throw nonsense("that are " + std::to_string(shown.tokens) + ", " + std::to_string(shown.protected_tokens) +
                       " of them protected");
    for (size_t i = 0; i < kViewMembers.size(); ++i) {
        if (reader.get<uint8_t>() == 0) continue;
        const auto& expected = kViewMembers[i];
        const auto dtype = reader.get<uint32_t>();
        std::vector<int64_t> shape(reader.count(sizeof(int64_t)));
        for (auto& size : shape) size = reader.get<int64_t>();
        if (shape.size() != expected.dims || shape[0] != shown.tokens ||
            (expected.dtype == 0 ? !is_float(dtype) : dtype != expected.dtype))
            throw nonsense("with a tensor of shape " + shape_text(shape) + " among those of " +
                           std::to_string(shown.tokens) + " tokens");
        auto& tensor = view.tensors[i];
        tensor = room.at(reader.get<uint64_t>(), dtype, shape);
        const uint64_t bytes = byte_size(shape, dtype);
        room.counters().copied_bytes += bytes;
        if (expected.dims == 1) {
            Tensor own(dtype, shape);
            std::memcpy(own.data<char>(), tensor.data<char>(), bytes);
            room.counters().copied_bytes += bytes;
            tensor = std::move(own);
        }
        view.abi.*expected.tensor = tensor.abi();
    }
    view.abi.layout = reader.layout(view.layout) ? &view.layout.abi : nullptr;
}

Message answer_hook(const Message& question, const vlm_run_context* run, uint32_t site, HookRoom& room) {
    if (run == nullptr || run->hooks == nullptr || site == 0)
        throw data_loss("its process asks for token reducers in a call that has none");
    const auto& hooks = *run->hooks;
    Reader reader(question.body);
    if (question.kind == Kind::hook_needs) {
        const auto asked = reader.get<uint32_t>();
        const auto layer = reader.get<int32_t>();
        const auto layers = reader.get<int32_t>();
        const bool sound = asked == site && layer >= -1 && layers >= 0 && layers <= kMostLayers && layer <= layers;
        return {Kind::hook_reply, 0, sound ? hooks.needs(hooks.host, site, layer, layers) : 0, {}};
    }
    if (question.kind == Kind::hook_room) {
        try {
            Writer body;
            body.put(room.make(question.code));
            return {Kind::hook_reply, 0, VLM_STATUS_OK, body.bytes()};
        } catch (const Error& error) {
            return {Kind::hook_reply, 0, error.code(), {}};
        }
    }
    OwnedView view;
    get_view(reader, site, room, view);
    const vlm_token_map* map = nullptr;
    const vlm_status status = hooks.reduce(hooks.host, run, &view.abi, &map);
    Writer body;
    body.put(map != nullptr && status == VLM_STATUS_OK ? map->group_count : int64_t{0});
    if (map != nullptr && status == VLM_STATUS_OK) {
        const auto& groups = map->groups->view;
        body.text({static_cast<const char*>(groups.data) + groups.byte_offset,
                   byte_size({groups.shape, static_cast<size_t>(groups.ndim)}, VLM_DTYPE_I32)});
    }
    return {Kind::hook_reply, 0, status, body.bytes()};
}

}  // namespace vlm::isolate
