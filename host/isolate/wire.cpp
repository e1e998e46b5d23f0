/** @file wire.cpp
 *  See wire.hpp.
 */
#include "host/isolate/wire.hpp"

#include <algorithm>

#include "host/base/error.hpp"

namespace vlm::isolate {
namespace {

constexpr uint32_t kMostBlocks = 1u << 20;

}  // namespace

uint64_t byte_size(std::span<const int64_t> shape, uint32_t dtype) {
    int64_t bytes = 0;
    if (__builtin_mul_overflow(element_count(shape), dtype_bytes(dtype), &bytes))
        throw resource_exhausted("a tensor of shape " + shape_text(shape) + " cannot exist");
    return static_cast<uint64_t>(bytes);
}

void Writer::layout(const vlm_token_layout* value) {
    put<uint8_t>(value != nullptr ? 1 : 0);
    if (value == nullptr) return;
    const uint32_t blocks = value->blocks != nullptr ? std::min(value->block_count, kMostBlocks) : 0;
    put(value->tokens);
    put(blocks);
    for (uint32_t i = 0; i < blocks; ++i) {
        vlm_token_block block{};
        if (value->blocks[i] != nullptr)
            std::memcpy(&block, value->blocks[i], std::min<size_t>(value->blocks[i]->struct_size, sizeof(block)));
        bytes_.append(reinterpret_cast<const char*>(&block), sizeof(block));
    }
}

std::string_view Reader::take(uint64_t size) {
    if (size > rest_.size()) throw data_loss("a message of a plugin's process ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
}

uint32_t Reader::count(uint64_t bytes_each) {
    const auto number = get<uint32_t>();
    if (number > rest_.size() / bytes_each) throw data_loss("a message of a plugin's process ends too early");
    return number;
}

bool Reader::layout(OwnedLayout& value) {
    if (get<uint8_t>() == 0) return false;
    const auto tokens = get<int64_t>();
    const uint32_t blocks = count(sizeof(vlm_token_block));
    value.blocks.resize(blocks);
    value.pointers.clear();
    for (auto& block : value.blocks) {
        std::memcpy(&block, take(sizeof(block)).data(), sizeof(block));
        // A block that the plugin left empty stays so: whoever reads the layout says what is wrong.
        if (block.struct_size != 0) block.struct_size = sizeof(block);
        value.pointers.push_back(&block);
    }
    value.abi = {sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, blocks, 0, value.pointers.data()};
    return true;
}

namespace {

/** The elements of a view one after the other, as `bytes_each` bytes each. */
void copy_compact(const vlm_tensor_view& view, int32_t dim, const std::byte* from, size_t bytes_each, std::byte*& to) {
    if (dim == view.ndim) {
        std::memcpy(to, from, bytes_each);
        to += bytes_each;
        return;
    }
    for (int64_t i = 0; i < view.shape[dim]; ++i)
        copy_compact(view, dim + 1, from + i * view.strides[dim] * static_cast<int64_t>(bytes_each), bytes_each, to);
}

bool is_compact(const vlm_tensor_view& view) {
    int64_t expected = 1;
    for (int32_t i = view.ndim - 1; view.strides != nullptr && i >= 0; --i) {
        if (view.shape[i] != 1 && view.strides[i] != expected) return false;
        expected *= view.shape[i];
    }
    return true;
}

}  // namespace

void TensorSender::put(Writer& writer, const vlm_tensor* tensor, bool written) {
    writer.put<uint8_t>(tensor != nullptr ? 1 : 0);
    if (tensor == nullptr) return;
    const auto& view = tensor->view;
    if (view.device.device_type != VLM_DEVICE_CPU || view.ndim < 0 || view.ndim > VLM_MAX_DIMS)
        throw invalid_argument("isolated plugins take tensors on the CPU only");
    const uint64_t size = byte_size({view.shape, static_cast<size_t>(view.ndim)}, dtype_of(view));
    auto* const data = static_cast<std::byte*>(view.data) + view.byte_offset;
    const bool compact = is_compact(view);
    if (written && !compact) throw invalid_argument("isolated plugins write compact tensors only");
    auto place = compact ? arena_.place_of(data, size) : std::nullopt;
    if (!place) {
        auto memory = arena_.allocate(static_cast<int64_t>(size));
        auto* to = static_cast<std::byte*>(memory.get());
        if (!compact)
            copy_compact(view, 0, data, static_cast<size_t>(dtype_bytes(dtype_of(view))), to);
        else if (size > 0)
            std::memcpy(to, data, size);
        arena_.counters().copied_bytes += written ? 2 * size : size;
        place = arena_.place_of(memory.get(), size);
        staged_.push_back({std::move(memory), written ? data : nullptr, size});
    }
    places_.push_back(*place);
    writer.put(*place);
    writer.put(dtype_of(view));
    writer.put(static_cast<uint32_t>(view.ndim));
    for (int32_t i = 0; i < view.ndim; ++i) writer.put(view.shape[i]);
}

uint64_t TensorSender::bytes(const void* data, uint64_t size) {
    auto memory = arena_.allocate(static_cast<int64_t>(size));
    std::memcpy(memory.get(), data, size);
    arena_.counters().copied_bytes += size;
    const uint64_t place = arena_.place_of(memory.get(), size).value_or(0);
    staged_.push_back({std::move(memory), nullptr, size});
    places_.push_back(place);
    return place;
}

bool TensorSender::check_guards() {
    bool sound = true;
    for (const uint64_t place : places_) sound = arena_.mend_guards(place) && sound;
    return sound;
}

void TensorSender::finish() {
    for (const auto& staged : staged_)
        if (staged.target != nullptr && staged.size > 0) std::memcpy(staged.target, staged.memory.get(), staged.size);
}

vlm_tensor* TensorReceiver::take(Reader& reader) {
    if (reader.get<uint8_t>() == 0) return nullptr;
    auto& taken = taken_.emplace_back();
    const auto place = reader.get<uint64_t>();
    const auto dtype = reader.get<uint32_t>();
    const uint32_t dims = reader.count(sizeof(int64_t));
    if (dims > VLM_MAX_DIMS) throw invalid_argument("a tensor of too many dimensions");
    for (uint32_t i = 0; i < dims; ++i) taken.shape[i] = reader.get<int64_t>();
    auto& tensor = taken.tensor;
    tensor.struct_size = sizeof(tensor);
    tensor.abi_version = VLM_ABI_VERSION;
    tensor.view.device = {VLM_DEVICE_CPU, 0};
    tensor.view.ndim = static_cast<int32_t>(dims);
    tensor.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFFFFu), 1};
    tensor.view.shape = taken.shape.data();
    tensor.view.data = const_cast<std::byte*>(bytes(place, byte_size({taken.shape.data(), dims}, dtype)));
    return &tensor;
}

const std::byte* TensorReceiver::bytes(uint64_t place, uint64_t size) const {
    if (place > memory_.size() || size > memory_.size() - place)
        throw invalid_argument("a tensor does not lie in the shared memory");
    return memory_.data() + place;
}

}  // namespace vlm::isolate
