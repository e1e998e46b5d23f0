/** @file safetensors_header.cpp
 *  Layout: 8 bytes little-endian length N, N bytes of JSON, then the data. Offsets in the JSON count from the data's
 * beginning.
 */
#include "host/weights/safetensors_header.hpp"

#include <vlm/tensor.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"
#include "host/weights/dtype.hpp"

namespace vlm {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation

std::string tensor_text(const MappedFile& file, const SafetensorsEntry& entry) {
    return file.name() + ": tensor " + json::quote_short(entry.name, 200);
}

/** Bytes of a tensor, or false when they do not fit 64 bits or end within a byte (sub-byte types). */
bool byte_size(const SafetensorsEntry& entry, uint64_t& bytes) {
    bytes = 0;
    if (std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end()) return true;
    uint64_t bits = dtype_bits(entry.dtype);
    for (const int64_t dim : entry.shape) {
        if (__builtin_mul_overflow(bits, static_cast<uint64_t>(dim), &bits)) return false;
    }
    bytes = bits / 8;
    return bits % 8 == 0;
}

SafetensorsEntry read_entry(const MappedFile& file, std::string_view name, const json::Value& value,
                            uint64_t data_start, uint64_t data_bytes) {
    value.check_keys({"dtype", "shape", "data_offsets"});
    SafetensorsEntry entry;
    entry.name = std::string(name);
    const json::Value dtype = value["dtype"];
    const auto known = parse_dtype(dtype.as_string_view());
    if (!known) {
        std::vector<std::string_view> names;
        for (const DtypeName& d : safetensors_dtypes()) names.push_back(d.name);
        (void)dtype.as_one_of(names);  // throws, naming the known ones
    }
    entry.dtype = known.value_or(0);
    entry.shape = value["shape"].as_ints(0);
    if (entry.shape.size() > VLM_MAX_DIMS) {
        throw value["shape"].error(std::to_string(entry.shape.size()) + " dimensions; at most " +
                                   std::to_string(VLM_MAX_DIMS) + " are supported");
    }
    const json::Value offsets = value["data_offsets"];
    if (offsets.size() != 2 || !offsets.is_array()) throw offsets.error("expected two offsets, [begin, end]");
    const uint64_t begin = offsets.at(0).as_uint64();
    const uint64_t end = offsets.at(1).as_uint64();
    if (begin > end) {
        throw data_loss(tensor_text(file, entry) + " begins at byte " + std::to_string(begin) +
                        " of the data and ends before, at " + std::to_string(end) + "; the header is corrupt");
    }
    if (end > data_bytes) {
        throw data_loss(tensor_text(file, entry) + " ends at byte " + std::to_string(end) +
                        " of the data, but the file has only " + std::to_string(data_bytes) +
                        " bytes of it; it is truncated or its header is corrupt: fetch it again");
    }
    uint64_t expected = 0;
    if (!byte_size(entry, expected) || expected != end - begin) {
        throw data_loss(tensor_text(file, entry) + " has " + std::to_string(end - begin) +
                        " bytes, which is not the size of " + dtype_name(entry.dtype) + " with shape " +
                        value["shape"].dump());
    }
    entry.offset = data_start + begin;
    entry.nbytes = end - begin;
    return entry;
}

/** Tensors must follow each other from the first to the last byte of the data. */
void check_coverage(const MappedFile& file, const std::vector<SafetensorsEntry>& entries, uint64_t data_start) {
    std::vector<const SafetensorsEntry*> order;
    order.reserve(entries.size());
    for (const SafetensorsEntry& entry : entries) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return std::pair(a->offset, a->offset + a->nbytes) < std::pair(b->offset, b->offset + b->nbytes);
    });
    uint64_t end = data_start;
    const SafetensorsEntry* last = nullptr;
    for (const SafetensorsEntry* entry : order) {
        if (entry->offset < end) {
            throw data_loss(tensor_text(file, *entry) + " overlaps tensor " + json::quote_short(last->name, 200) +
                            "; the header is corrupt");
        }
        if (entry->offset > end) {
            throw data_loss(tensor_text(file, *entry) + " follows a hole of " + std::to_string(entry->offset - end) +
                            " bytes, which the format forbids; the header is corrupt");
        }
        end += entry->nbytes;
        last = entry;
    }
    if (end != file.size()) {
        throw data_loss(file.name() + ": " + std::to_string(file.size() - end) +
                        " bytes after the last tensor belong to none, which the format forbids; the header is corrupt");
    }
}

}  // namespace

SafetensorsHeader read_safetensors_header(const MappedFile& file) {
    if (file.size() < kLengthBytes) {
        throw data_loss(file.name() + ": has " + std::to_string(file.size()) +
                        " bytes; a safetensors file begins with 8 bytes of header length: it is empty or truncated");
    }
    std::array<unsigned char, kLengthBytes> prefix{};
    file.read(0, prefix.data(), prefix.size());
    const uint64_t length = std::accumulate(prefix.rbegin(), prefix.rend(), uint64_t{0},
                                            [](uint64_t sum, unsigned char byte) { return (sum << 8) | byte; });
    if (length > kMaxHeader) {
        throw invalid_argument(file.name() + ": claims a header of " + std::to_string(length) + " bytes; at most " +
                               std::to_string(kMaxHeader) + " are read. Is it a safetensors file?");
    }
    if (length > file.size() - kLengthBytes) {
        throw data_loss(file.name() + ": claims a header of " + std::to_string(length) + " bytes, but only " +
                        std::to_string(file.size() - kLengthBytes) + " follow: it is truncated or no safetensors file");
    }
    std::string text(length, '\0');
    file.read(kLengthBytes, text.data(), length);
    if (!text.starts_with('{')) {
        throw invalid_argument(file.name() + ": its header does not begin with '{'; it is no safetensors file");
    }
    json::ParseOptions options;
    options.max_depth = 8;
    const json::Document document = json::Document::from_text(text, file.name() + " (header)", options);

    SafetensorsHeader header;
    const uint64_t data_start = kLengthBytes + length;
    const uint64_t data_bytes = file.size() - data_start;
    for (const auto& [name, value] : document.root().members()) {
        if (name == "__metadata__") {
            for (const auto& [key, content] : value.members()) header.metadata.emplace_back(key, content.as_string());
        } else {
            header.entries.push_back(read_entry(file, name, value, data_start, data_bytes));
        }
    }
    check_coverage(file, header.entries, data_start);
    return header;
}

}  // namespace vlm
