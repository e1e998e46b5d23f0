/** @file packed_cache.cpp
 *  See packed_cache.hpp. A file is: a head of fixed size, the blobs at page boundaries, and an index in JSON, whose
 *  place and checksum the head tells. The head is written last.
 */
#include "host/weights/packed_cache.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include "host/base/cache_folder.hpp"
#include "host/base/log.hpp"
#include "host/base/sha256.hpp"
#include "host/base/thread_pool.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMagic = 0x314b4341504d4c56;  // "VLMPACK1"
constexpr uint64_t kLargestIndex = uint64_t{64} << 20;
constexpr uint64_t kSpareBytes = uint64_t{512} << 20;

struct Head {
    uint64_t magic = kMagic;
    uint64_t index_offset = 0, index_bytes = 0, index_checksum = 0;
    uint64_t file_bytes = 0;
};

void tell(const std::string& text) {
    log_message(VLM_LOG_INFO, "packed weights", text);
}

void hash_number(Sha256& hash, uint64_t number) {
    hash.add(std::span<const uint64_t>(&number, 1));
}

/** Sum, and sum of sums, of eight columns of words: as fast as memory, and no exchange, loss or change of words goes
 * unnoticed but by design. Blocks are summed apart and joined in order. */
uint64_t checksum(const std::byte* data, uint64_t bytes) {
    constexpr int64_t kBlock = int64_t{1} << 20;
    constexpr size_t kColumns = 8;
    const auto blocks = static_cast<int64_t>((bytes + kBlock - 1) / kBlock);
    std::vector<uint64_t> sums(static_cast<size_t>(blocks));
    parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
            const std::byte* at = data + b * kBlock;
            uint64_t left = std::min<uint64_t>(kBlock, bytes - static_cast<uint64_t>(b * kBlock));
            std::array<uint64_t, kColumns> first{}, second{}, words{};
            for (; left >= sizeof(words); at += sizeof(words), left -= sizeof(words)) {
                std::memcpy(words.data(), at, sizeof(words));
                for (size_t c = 0; c < kColumns; ++c) {
                    first[c] += words[c];
                    second[c] += first[c];
                }
            }
            words = {};
            std::memcpy(words.data(), at, left);
            uint64_t sum = 0;
            // Each step can be undone, so no difference in any of the numbers is lost.
            for (size_t c = 0; c < kColumns; ++c)
                for (const uint64_t number : {first[c], second[c], words[c]})
                    sum = std::rotl((sum ^ number) * 0x9e3779b97f4a7c15ull, 23) + c;
            sums[static_cast<size_t>(b)] = sum;
        }
    });
    uint64_t sum = bytes;
    for (const uint64_t s : sums) sum = (sum ^ s) * 0x9e3779b97f4a7c15ull + 1;
    return sum;
}

/** The first digits: names of files that tell some texts apart. */
std::string short_hash(const std::string& text) {
    constexpr size_t kDigits = 16;
    return Sha256().add(text).hex().substr(0, kDigits);
}

uint64_t round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) / step * step;
}

}  // namespace

std::string fingerprint(const WeightStore& store) {
    constexpr uint64_t kSample = 4096;
    Sha256 state;
    for (const MappedFile& file : store.files()) {
        struct stat info {};
        if (fstat(file.fd(), &info) == 0) {
            hash_number(state, static_cast<uint64_t>(info.st_mtim.tv_sec));
            hash_number(state, static_cast<uint64_t>(info.st_mtim.tv_nsec));
        }
        hash_number(state, file.size());
    }
    for (const TensorView& tensor : store.tensors()) {
        state.add(tensor.name);
        hash_number(state, tensor.file);
        hash_number(state, tensor.file_offset);
        hash_number(state, tensor.dtype);
        for (const int64_t d : tensor.shape) hash_number(state, static_cast<uint64_t>(d));
        const auto* data =
            reinterpret_cast<const unsigned char*>(store.files()[tensor.file].data()) + tensor.file_offset;
        const uint64_t size = std::min(kSample, tensor.nbytes);
        for (const uint64_t at : {uint64_t{0}, (tensor.nbytes - size) / 2, tensor.nbytes - size})
            state.add(std::span(data + at, size));
    }
    return state.hex();
}

PackedCache::PackedCache(const fs::path& folder, const PackedKey& key, uint64_t expected_bytes)
    : key_(Sha256().add(key.use + "\n" + key.origin).hex()), expected_bytes_(expected_bytes) {
    file_ = folder / ("packed-" + short_hash(key.use) + ".bin");
    try {
        if (open_existing()) return;
    } catch (const std::exception& error) {
        mapped_.reset();
        blobs_.clear();
        std::error_code ignored;
        fs::remove(file_, ignored);
        tell(std::string(error.what()) + "; packing anew");
    }
    begin_new(folder);
}

void PackedCache::begin_new(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    const fs::space_info space = fs::space(folder, error);
    if (error) {
        tell(folder.string() + ": " + error.message() + "; packed weights are not kept");
        return;
    }
    if (space.available < expected_bytes_ + kSpareBytes) {
        tell(folder.string() + ": the disk lacks space to keep packed weights");
        return;
    }
    temporary_ = file_.string() + "." + std::to_string(getpid()) + ".part";
    output_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (output_ < 0) {
        tell(temporary_.string() + ": " + std::strerror(errno) + "; packed weights are not kept");
        return;
    }
    const std::vector<std::byte> head(kPage);
    append(head.data(), head.size());
}

PackedCache::~PackedCache() {
    if (output_ >= 0) give_up("loading ended early");
}

bool PackedCache::open_existing() {
    std::error_code error;
    if (!fs::exists(file_, error)) return false;
    MappedFile mapped = MappedFile::open(file_.string());
    Head head;
    if (mapped.size() < kPage) throw data_loss(file_.string() + ": is cut off");
    std::memcpy(&head, mapped.data(), sizeof(head));
    if (head.magic != kMagic || head.file_bytes != mapped.size() || head.index_bytes > kLargestIndex ||
        head.index_offset > mapped.size() || head.index_bytes > mapped.size() - head.index_offset)
        throw data_loss(file_.string() + ": is cut off or damaged");
    const std::byte* index = mapped.data() + head.index_offset;
    if (checksum(index, head.index_bytes) != head.index_checksum)
        throw data_loss(file_.string() + ": its index is damaged");
    const auto document = json::Document::from_text(
        std::string_view(reinterpret_cast<const char*>(index), head.index_bytes), file_.string());
    if (document["key"].as_string() != key_)
        throw data_loss(file_.string() + ": was made of other weights, or by another version");
    for (const auto& entry : document["blobs"].as_array()) {
        Blob blob{entry["name"].as_string(), entry["offset"].as_uint64(), entry["bytes"].as_uint64(),
                  entry["checksum"].as_uint64()};
        if (blob.offset % kPage != 0 || blob.offset > head.index_offset || blob.bytes > head.index_offset - blob.offset)
            throw data_loss(file_.string() + ": its index points outside of the file");
        blobs_.push_back(std::move(blob));
    }
    mapped_ = std::move(mapped);
    return true;
}

void PackedCache::give_up(const std::string& why) {
    if (output_ >= 0) {
        close(output_);
        output_ = -1;
        unlink(temporary_.c_str());
    }
    tell(file_.string() + ": " + why + "; packed weights are not kept");
}

bool PackedCache::append(const void* data, uint64_t bytes) {
    const auto* at = static_cast<const char*>(data);
    while (bytes > 0) {
        const ssize_t put = write(output_, at, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            give_up(std::strerror(errno));
            return false;
        }
        at += put;
        written_ += static_cast<uint64_t>(put);
        bytes -= static_cast<uint64_t>(put);
    }
    return true;
}

const std::byte* PackedCache::next(const std::string& name, uint64_t bytes) {
    if (!mapped_ || at_ > blobs_.size()) return nullptr;
    const size_t index = at_++;
    if (index < blobs_.size() && blobs_[index].name == name && blobs_[index].bytes == bytes) {
        const std::byte* data = mapped_->data() + blobs_[index].offset;
        mapped_->prefetch(blobs_[index].offset, bytes);
        if (checksum(data, bytes) == blobs_[index].checksum) return data;
    }
    // Blobs handed out so far stay mapped; the next start packs anew, because the name is free again.
    at_ = blobs_.size() + 1;
    std::error_code ignored;
    fs::remove(file_, ignored);
    tell(file_.string() + ": " + name + " is missing or damaged; packing from here on, and anew at the next start");
    return nullptr;
}

void PackedCache::add(const std::string& name, const void* data, uint64_t bytes) {
    if (output_ < 0) return;
    const std::vector<std::byte> gap(round_up(written_, kPage) - written_);
    if (!append(gap.data(), gap.size())) return;
    blobs_.push_back({name, written_, bytes, checksum(static_cast<const std::byte*>(data), bytes)});
    append(data, bytes);
}

void PackedCache::finish() {
    if (output_ < 0) return;
    json::Writer writer;
    writer.begin_object().member("key", key_).key("blobs").begin_array();
    for (const Blob& blob : blobs_) {
        writer.begin_object().member("name", blob.name).member("offset", blob.offset).member("bytes", blob.bytes);
        writer.member("checksum", blob.checksum).end_object();
    }
    const std::string index = writer.end_array().end_object().take();
    Head head;
    head.index_offset = written_;
    head.index_bytes = index.size();
    head.index_checksum = checksum(reinterpret_cast<const std::byte*>(index.data()), index.size());
    head.file_bytes = written_ + index.size();
    if (!append(index.data(), index.size())) return;
    if (pwrite(output_, &head, sizeof(head), 0) != static_cast<ssize_t>(sizeof(head)))
        return give_up(std::strerror(errno));
    close(output_);
    output_ = -1;
    std::error_code error;
    fs::rename(temporary_, file_, error);
    if (error) {
        unlink(temporary_.c_str());
        tell(file_.string() + ": " + error.message());
        return;
    }
    remove_abandoned();
}

void PackedCache::remove_abandoned() const {
    constexpr auto kAbandoned = std::chrono::hours(24);
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(file_.parent_path(), ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("packed-") && name.ends_with(".part") &&
            fs::file_time_type::clock::now() - entry.last_write_time(ignored) > kAbandoned)
            fs::remove(entry.path(), ignored);
    }
}

fs::path packed_cache_folder(const std::string& choice, const fs::path& model) {
    if (choice == "off") return {};
    if (choice == "auto" && access(model.c_str(), W_OK) == 0) return model / ".vlmhost";
    std::error_code ignored;
    const fs::path place = fs::weakly_canonical(model, ignored);
    return (choice == "auto" ? cache_folder() / "packed" : fs::path(choice)) /
           (place.filename().string() + "-" + short_hash(place.string()));
}

}  // namespace vlm
