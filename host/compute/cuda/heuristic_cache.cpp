/** @file heuristic_cache.cpp
 *  See heuristic_cache.hpp. One line per shape: the key, a tabulator, the workspace and eight words in hexadecimal.
 */
#include "host/compute/cuda/heuristic_cache.hpp"

#include <sys/auxv.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace vlm::cuda {

namespace {

namespace fs = std::filesystem;

constexpr const char* kHeader = "vlmhost cublaslt algorithms 2: ";
/** A file that has grown beyond this is not ours. */
constexpr uintmax_t kMaxBytes = uintmax_t{16} << 20;
constexpr int64_t kMaxWorkspace = int64_t{1} << 30;

}  // namespace

HeuristicCache::HeuristicCache(fs::path file, std::string kind) : file_(std::move(file)), kind_(std::move(kind)) {
    if (!file_.empty()) read();
}

void HeuristicCache::read() {
    std::error_code error;
    const uintmax_t size = fs::file_size(file_, error);
    if (error || size > kMaxBytes) return;
    std::ifstream stream(file_);
    std::string line;
    if (!std::getline(stream, line) || line != kHeader + kind_) return;
    while (std::getline(stream, line)) {
        const size_t tab = line.find('\t');
        if (tab == std::string::npos) continue;
        std::istringstream numbers(line.substr(tab + 1));
        Algorithm algorithm;
        numbers >> std::hex >> algorithm.workspace_bytes;
        for (uint64_t& word : algorithm.words) numbers >> word;
        std::string rest;
        if (numbers.fail() || numbers >> rest || algorithm.workspace_bytes < 0 ||
            algorithm.workspace_bytes > kMaxWorkspace)
            continue;
        entries_[line.substr(0, tab)] = algorithm;
    }
}

std::optional<Algorithm> HeuristicCache::find(const std::string& key) const {
    const auto entry = entries_.find(key);
    return entry != entries_.end() ? std::optional<Algorithm>(entry->second) : std::nullopt;
}

void HeuristicCache::put(const std::string& key, const Algorithm& algorithm) {
    entries_[key] = algorithm;
    changed_ = true;
}

void HeuristicCache::save() noexcept {
    if (!changed_ || file_.empty()) return;
    changed_ = false;
    try {
        fs::create_directories(file_.parent_path());
        const fs::path beside = file_.string() + "." + std::to_string(getpid());
        {
            std::ofstream stream(beside);
            stream << kHeader << kind_ << '\n' << std::hex;
            for (const auto& [key, algorithm] : entries_) {
                stream << key << '\t' << algorithm.workspace_bytes;
                for (const uint64_t word : algorithm.words) stream << ' ' << word;
                stream << '\n';
            }
            stream.close();
            if (stream.fail()) {
                fs::remove(beside);
                return;
            }
        }
        fs::rename(beside, file_);
    } catch (...) {
        return;  // A cache that cannot be written is only slower.
    }
}

fs::path HeuristicCache::default_file(const std::string& name) {
    if (getauxval(AT_SECURE) != 0) return {};
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && *cache == '/') return fs::path(cache) / "vlmhost" / name;
    const char* home = std::getenv("HOME");
    if (home != nullptr && *home == '/') return fs::path(home) / ".cache" / "vlmhost" / name;
    return {};
}

}  // namespace vlm::cuda
