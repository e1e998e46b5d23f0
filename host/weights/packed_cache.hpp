/** @file packed_cache.hpp
 *  Packed weights on disk: the next start maps them instead of packing (or quantising) again, and several processes
 *  share one copy in the page cache.
 *
 *  A file holds the blobs of one model as one device packs them, in the order of loading. Its name says what it is for;
 *  what it was made of stands in it, so that other weights or a newer version replace a file instead of adding one of
 *  some gigabytes. It is written beside its final name and renamed when it is whole, so nobody ever sees half a file; a
 *  file that is cut or damaged nevertheless is noticed by sizes and checksums, told to the log, and packed anew.
 *  Nothing that goes wrong with the cache fails a load.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/weights/mapped_file.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {

/** What the weights of a store are: a hash (hexadecimal) of each file's size, modification time and header, and of
 *  samples from the beginning, middle and end of every tensor. Reading all of it would take longer than packing; a file
 *  that was rewritten with other numbers differs in nearly every sample. */
std::string fingerprint(const WeightStore& store);

/** Which packed weights are wanted, as texts that are compared. */
struct PackedKey {
    std::string use;     ///< Who needs them: device, types, stages and their configuration. A file for each.
    std::string origin;  ///< What they were made of and by: fingerprint() and versions. What differs is packed anew.
};

/** One cache file, read or written during one load, in a folder that is for one model alone. One thread at a time. */
class PackedCache {
  public:
    /** Opens the file for `key` in `folder`, or begins a new one there; a file that cannot be used (damaged, or of
     *  another origin) is removed. A folder that cannot be written or lacks `expected_bytes` of space makes a cache
     *  that does nothing. Never throws for reasons of the file system. */
    PackedCache(const std::filesystem::path& folder, const PackedKey& key, uint64_t expected_bytes);
    ~PackedCache();
    PackedCache(const PackedCache&) = delete;
    PackedCache& operator=(const PackedCache&) = delete;

    /** The next blob, when it has this name and size and its checksum is right; NULL otherwise, and then for all that
     *  follow. Aligned to 64 bytes; lives as long as this object. */
    const std::byte* next(const std::string& name, uint64_t bytes);

    /** Adds the blob that next() did not have. */
    void add(const std::string& name, const void* data, uint64_t bytes);

    /** All blobs have been asked for: a new file gets its name. */
    void finish();

    /** Whether blobs come from a file. */
    bool reading() const noexcept { return mapped_.has_value(); }
    const std::filesystem::path& file() const noexcept { return file_; }

  private:
    struct Blob {
        std::string name;
        uint64_t offset = 0, bytes = 0, checksum = 0;
    };
    bool open_existing();
    void begin_new(const std::filesystem::path& folder);
    /** Removes what crashed processes have left. */
    void remove_abandoned() const;
    void give_up(const std::string& why);
    bool append(const void* data, uint64_t bytes);

    std::filesystem::path file_, temporary_;
    std::string key_;  ///< Hash of use and origin.
    uint64_t expected_bytes_;
    std::optional<MappedFile> mapped_;
    std::vector<Blob> blobs_;
    size_t at_ = 0;    ///< Blobs asked for so far.
    int output_ = -1;  ///< Descriptor of the new file.
    uint64_t written_ = 0;
};

/** The folder for the packed weights of the checkpoint in `model` alone. `choice` is "auto" (`.vlmhost` in the model's
 *  folder when that can be written, else one below cache_folder()), "off" (then empty), or the folder below which it
 *  lies. */
std::filesystem::path packed_cache_folder(const std::string& choice, const std::filesystem::path& model);

}  // namespace vlm
