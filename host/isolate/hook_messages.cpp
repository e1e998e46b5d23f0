/** @file hook_messages.cpp
 *  See hook_messages.hpp.
 */
#include "host/isolate/hook_messages.hpp"

#include <algorithm>

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

void get_view(Reader& reader, uint32_t site, OwnedView& view) {
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
        auto& tensor = view.tensors[i];
        tensor = get_content(reader);
        const auto& expected = kViewMembers[i];
        if (tensor.shape().size() != expected.dims || tensor.dim(0) != shown.tokens ||
            (expected.dtype == 0 ? !is_float(tensor.dtype()) : tensor.dtype() != expected.dtype))
            throw nonsense("with a tensor of shape " + shape_text(tensor.shape()) + " among those of " +
                           std::to_string(shown.tokens) + " tokens");
        view.abi.*expected.tensor = tensor.abi();
    }
    view.abi.layout = reader.layout(view.layout) ? &view.layout.abi : nullptr;
}

Message answer_hook(const Message& question, const vlm_run_context* run, uint32_t site) {
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
    OwnedView view;
    get_view(reader, site, view);
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
