/** @file safetensors.cpp
 *  Tensors of all files in one sorted array: lookups are rare (once per layer and name), listings for messages are
 * sorted for free.
 */
#include "host/weights/safetensors.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <numeric>

#include "host/json/nearest_name.hpp"
#include "host/json/writer.hpp"
#include "host/weights/weight_files.hpp"

namespace vlm {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is used in place");

/** Required alignment of an element: its own size, but for a complex number that of its parts. */
uint64_t alignment_of(uint32_t dtype) {
    const uint64_t bytes = std::max<uint64_t>(dtype_bits(dtype) / 8, 1);
    return std::min<uint64_t>(bytes, dtype == parse_dtype("C64") ? 4 : 8);
}

/** The part of a name behind its first `components` dots. */
std::string_view tail_of(std::string_view name, int components) {
    for (; components > 0; --components) {
        const size_t dot = name.find('.');
        if (dot == std::string_view::npos) return {};
        name.remove_prefix(dot + 1);
    }
    return name;
}

/** Names that a mistaken one may mean: those with another prefix in front of the same path first, then those a few
 * letters away. */
std::vector<std::string> nearest_tensor_names(std::string_view wanted, std::span<const std::string_view> names) {
    constexpr size_t kMost = 3;
    constexpr int kMostPrefixes = 3;
    std::vector<std::string> nearest;
    for (int components = 0; components <= kMostPrefixes && nearest.size() < kMost; ++components) {
        const std::string_view tail = tail_of(wanted, components);
        if (tail.find('.') == std::string_view::npos) break;  // "weight" alone would match everything
        for (const std::string_view name : names) {
            const bool same = name == tail || (name.ends_with(tail) && name[name.size() - tail.size() - 1] == '.');
            const bool listed = std::find(nearest.begin(), nearest.end(), name) != nearest.end();
            if (same && !listed && nearest.size() < kMost) nearest.emplace_back(name);
        }
    }
    for (const std::string& name : nearest_names(wanted, names, kMost)) {
        if (nearest.size() >= kMost) break;
        if (std::find(nearest.begin(), nearest.end(), name) == nearest.end()) nearest.push_back(name);
    }
    return nearest;
}

}  // namespace

int64_t TensorView::elements() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, [](int64_t product, int64_t dim) {
        return dim == 0 || product == 0 ? 0 : product * dim;  // the product fits: opening has checked it
    });
}

WeightStore::~WeightStore() = default;

std::shared_ptr<const WeightStore> WeightStore::open(const std::filesystem::path& path, const Verify& verify) {
    const WeightFiles found = find_weight_files(path);
    std::vector<MappedFile> files;
    for (const std::filesystem::path& file : found.files) {
        files.push_back(MappedFile::open(file.string()));
        if (verify) verify(files.back().fd(), files.back().name());
    }
    const std::shared_ptr<WeightStore> store = build(std::move(files));
    for (const auto& [name, file] : found.weight_map) {
        const size_t index = store->index_of(name);
        if (index == npos || store->tensors_[index].file != file) {
            throw data_loss(
                found.index_name + ": names tensor " + json::quote_short(name, 200) + " in " +
                store->files_[file].name() + ", which does not hold it" +
                (index == npos ? "" : " (it is in " + store->files_[store->tensors_[index].file].name() + ")") +
                "; index and shards are not of the same checkpoint");
        }
    }
    return store;
}

std::shared_ptr<const WeightStore> WeightStore::adopt(std::vector<std::pair<int, std::string>> files) {
    std::vector<MappedFile> mapped;
    std::exception_ptr failure;
    for (auto& [fd, name] : files) {
        if (failure) {
            ::close(fd);  // taken over is taken over: the caller has no way to tell which were closed
            continue;
        }
        try {
            mapped.push_back(MappedFile::adopt(fd, std::move(name)));
        } catch (...) {
            failure = std::current_exception();
        }
    }
    if (failure) std::rethrow_exception(failure);
    return build(std::move(mapped));
}

std::shared_ptr<WeightStore> WeightStore::build(std::vector<MappedFile> files) {
    std::shared_ptr<WeightStore> store(new WeightStore());
    store->files_ = std::move(files);
    for (size_t i = 0; i < store->files_.size(); ++i) {
        const MappedFile& file = store->files_[i];
        SafetensorsHeader header = read_safetensors_header(file);
        std::move(header.metadata.begin(), header.metadata.end(), std::back_inserter(store->metadata_));
        for (SafetensorsEntry& entry : header.entries) {
            store->total_bytes_ += entry.nbytes;
            store->tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                                       file.data() + entry.offset, entry.nbytes, i, entry.offset});
        }
    }
    auto& tensors = store->tensors_;
    std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                          [](const TensorView& a, const TensorView& b) { return a.name == b.name; });
    if (twice != tensors.end()) {
        throw data_loss("tensor " + json::quote_short(twice->name, 200) + " is in two files, " +
                        store->files_[twice->file].name() + " and " + store->files_[std::next(twice)->file].name() +
                        "; the shards are not of one checkpoint");
    }
    store->used_ = std::make_unique<std::atomic<bool>[]>(tensors.size());
    store->misaligned_.reserve(tensors.size());
    for (const TensorView& tensor : tensors) {
        const bool aligned = reinterpret_cast<uintptr_t>(tensor.data) % alignment_of(tensor.dtype) == 0;
        store->misaligned_.push_back(!aligned && tensor.nbytes > 0);
    }
    return store;
}

size_t WeightStore::index_of(std::string_view name) const {
    const auto place = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                        [](const TensorView& tensor, std::string_view n) { return tensor.name < n; });
    return place == tensors_.end() || place->name != name ? npos : static_cast<size_t>(place - tensors_.begin());
}

const TensorView* WeightStore::find(std::string_view name) const {
    const size_t index = index_of(name);
    if (index == npos) return nullptr;
    if (misaligned_[index]) align(tensors_[index]);
    used_[index].store(true, std::memory_order_relaxed);
    return &tensors_[index];
}

void WeightStore::align(TensorView& tensor) const {
    const std::lock_guard lock(copies_mutex_);
    if (reinterpret_cast<uintptr_t>(tensor.data) % alignment_of(tensor.dtype) == 0) return;
    auto copy = std::make_unique<std::byte[]>(tensor.nbytes);  // aligned for any element: at least 16 bytes
    files_[tensor.file].read(tensor.file_offset, copy.get(), tensor.nbytes);
    tensor.data = copy.get();
    copies_.push_back(std::move(copy));
}

const TensorView& WeightStore::at(std::string_view name) const {
    if (const TensorView* tensor = find(name)) return *tensor;
    std::string nearest;
    for (const std::string& near : nearest_tensor_names(name, names())) {
        nearest += (nearest.empty() ? "; nearest names: " : ", ") + json::quote_short(near, 200);
    }
    throw not_found(describe() + ": holds no tensor " + json::quote_short(name, 200) + nearest);
}

std::string WeightStore::describe() const {
    if (files_.empty()) return "weights";
    return files_.front().name() + (files_.size() > 1 ? " and " + std::to_string(files_.size() - 1) + " more" : "");
}

std::vector<std::string_view> WeightStore::names() const {
    std::vector<std::string_view> list;
    list.reserve(tensors_.size());
    for (const TensorView& tensor : tensors_) list.emplace_back(tensor.name);
    return list;
}

std::vector<std::string_view> WeightStore::unused() const {
    std::vector<std::string_view> list;
    for (size_t i = 0; i < tensors_.size(); ++i) {
        if (!used_[i].load(std::memory_order_relaxed)) list.emplace_back(tensors_[i].name);
    }
    return list;
}

void WeightStore::prefetch() const noexcept {
    for (const MappedFile& file : files_) file.prefetch(0, file.size());
}

void WeightStore::prefetch(const TensorView& tensor) const noexcept {
    files_[tensor.file].prefetch(tensor.file_offset, tensor.nbytes);
}

void WeightStore::release(const TensorView& tensor) const noexcept {
    files_[tensor.file].release(tensor.file_offset, tensor.nbytes);
}

void WeightStore::release(const void* begin, uint64_t bytes) const noexcept {
    const auto address = reinterpret_cast<uintptr_t>(begin);
    for (const MappedFile& file : files_) {
        const auto start = reinterpret_cast<uintptr_t>(file.data());
        if (address < start || address - start >= file.size()) continue;
        file.release(address - start, std::min<uint64_t>(bytes, file.size() - (address - start)));
    }
}

void WeightStore::check_unchanged() const {
    for (const MappedFile& file : files_) file.check_unchanged();
}

}  // namespace vlm
