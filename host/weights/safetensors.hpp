/** @file safetensors.hpp
 *  The weights of a checkpoint, mapped: opening costs the headers, a tensor costs nothing until it is touched, and
 * several processes share one copy in the page cache. Everything that could be wrong in the files is found while
 * opening.
 *
 *  Data is never copied, with one exception: early writers did not pad the header, so a tensor can begin at an address
 * that is no multiple of its element's size. Such a tensor is copied to aligned memory when it is first asked for.
 *
 *  For truncation while mapped (SIGBUS) see mapped_file.hpp.
 */
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/error.hpp"
#include "host/weights/dtype.hpp"
#include "host/weights/mapped_file.hpp"
#include "host/weights/safetensors_header.hpp"

namespace vlm {

/** One tensor of a store; lives as long as the store. */
struct TensorView {
    std::string name;            ///< as in the file
    uint32_t dtype = 0;          ///< VLM_DTYPE_* or another type of dtype.hpp
    std::vector<int64_t> shape;  ///< row-major; empty for a scalar
    const void* data = nullptr;  ///< compact, read-only, aligned to its element
    uint64_t nbytes = 0;
    size_t file = 0;           ///< position in WeightStore::files()
    uint64_t file_offset = 0;  ///< of the first byte in that file

    /** Number of elements; 1 for a scalar. */
    int64_t elements() const;
};

/** All tensors of a checkpoint. Immutable but for notes on use; all functions may be called from several threads. */
class WeightStore {
  public:
    /** Is called with each file's descriptor before its content is looked at, and refuses it by throwing: checks of
     * hash or signature see the very file that is then mapped. Must not close the descriptor or rely on its position.
     */
    using Verify = std::function<void(int fd, const std::string& path)>;

    /** Opens a *.safetensors file, an index, or a folder (see find_weight_files for what is tried in which order).
     *  @throws Error as find_weight_files and read_safetensors_header; DATA_LOSS also for a tensor that the index names
     * but its file lacks, or that is in two files. */
    static std::shared_ptr<const WeightStore> open(const std::filesystem::path& path, const Verify& verify = {});

    /** Takes over files that are open already (with their names for messages). @throws Error as open. */
    static std::shared_ptr<const WeightStore> adopt(std::vector<std::pair<int, std::string>> files);

    WeightStore(const WeightStore&) = delete;
    WeightStore& operator=(const WeightStore&) = delete;
    ~WeightStore();

    /** The tensor of that exact name, noted as used; NULL when there is none. */
    const TensorView* find(std::string_view name) const;
    /** As find, but @throws Error NOT_FOUND naming the nearest names. */
    const TensorView& at(std::string_view name) const;
    /** Whether there is such a tensor; notes no use. */
    bool contains(std::string_view name) const { return index_of(name) != npos; }

    /** All tensors in ascending order of names; notes no use. `data` of a misaligned one is not for reading: take
     * `file` and `file_offset`. */
    std::span<const TensorView> tensors() const noexcept { return tensors_; }

    size_t size() const noexcept { return tensors_.size(); }
    /** All names in ascending order; views that live as long as the store. */
    std::vector<std::string_view> names() const;
    /** Names of tensors that nobody has found yet, in ascending order: what a recipe or plugin overlooks. */
    std::vector<std::string_view> unused() const;

    /** Bytes of all tensors. */
    uint64_t total_bytes() const noexcept { return total_bytes_; }
    /** The mapped files: names, sizes, SHA-256. */
    std::span<const MappedFile> files() const noexcept { return files_; }
    /** `__metadata__` of all files, in their order. */
    const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept { return metadata_; }

    /** Hints that all weights will be read soon. */
    void prefetch() const noexcept;
    /** Hints that this tensor will be read soon. */
    void prefetch(const TensorView& tensor) const noexcept;
    /** Gives the memory of a tensor's pages back after it has been packed elsewhere; it can still be read (from the
     * file again). */
    void release(const TensorView& tensor) const noexcept;
    /** The same for any bytes of the mapped files; other memory is left alone. */
    void release(const void* begin, uint64_t bytes) const noexcept;
    /** @throws Error DATA_LOSS when a file was changed since it was opened. */
    void check_unchanged() const;

  private:
    static constexpr size_t npos = static_cast<size_t>(-1);

    WeightStore() = default;
    static std::shared_ptr<WeightStore> build(std::vector<MappedFile> files);
    size_t index_of(std::string_view name) const;
    void align(TensorView& tensor) const;
    std::string describe() const;

    std::vector<MappedFile> files_;
    mutable std::vector<TensorView> tensors_;  ///< sorted by name; only `data` of misaligned ones changes, once
    std::vector<std::pair<std::string, std::string>> metadata_;
    uint64_t total_bytes_ = 0;
    std::unique_ptr<std::atomic<bool>[]> used_;
    std::vector<bool> misaligned_;
    mutable std::mutex copies_mutex_;
    mutable std::vector<std::unique_ptr<std::byte[]>> copies_;
};

}  // namespace vlm
