/** @file heuristic_cache.hpp
 *  Which algorithm cuBLASLt chose for a shape, kept from one process to the next: asking takes longer than most
 * products. A file belongs to one kind of GPU and one version of the library; one that is unreadable, of another kind
 * or damaged counts as empty, since all it can do is save time.
 */
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace vlm::cuda {

/** The 64 opaque bytes of a `cublasLtMatmulAlgo_t`, and the workspace that it wants. */
struct Algorithm {
    std::array<uint64_t, 8> words{};
    int64_t workspace_bytes = 0;
    bool operator==(const Algorithm&) const = default;
};

/** Algorithms by shape. Not thread-safe. */
class HeuristicCache {
  public:
    /** Reads `file` if it is there. An empty path: nothing is kept.
     *  @param kind  One line that says what the algorithms are for. */
    HeuristicCache(std::filesystem::path file, std::string kind);

    std::optional<Algorithm> find(const std::string& key) const;
    /** @param key  Without line breaks and tabulators. */
    void put(const std::string& key, const Algorithm& algorithm);
    /** Writes the file when something is new, beside it first and then renamed; failures are ignored. */
    void save() noexcept;

    /** `$XDG_CACHE_HOME/vlmhost/NAME`, or under `~/.cache`; empty when neither is set or privileges are raised. */
    static std::filesystem::path default_file(const std::string& name);

  private:
    void read();

    std::filesystem::path file_;
    std::string kind_;
    std::map<std::string, Algorithm> entries_;
    bool changed_ = false;
};

}  // namespace vlm::cuda
