/** @file memory_limit.cpp
 *  See memory_limit.hpp; the files are described in proc(5) and in the kernel's admin-guide/cgroup-v2.rst and
 * cgroup-v1/memory.rst.
 */
#include "host/base/memory_limit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace vlm {
namespace {

namespace fs = std::filesystem;

/** The number that a file holds alone; nothing for "max" and for files that are not there. */
std::optional<int64_t> number_in(const fs::path& file) {
    std::ifstream stream(file);
    uint64_t value = 0;
    if (!(stream >> value) || value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(value);
}

/** The number behind `key` in a file of "key value" lines; 0 when it is not there. */
int64_t number_after(const fs::path& file, const std::string& key) {
    std::ifstream stream(file);
    std::string line;
    while (std::getline(stream, line)) {
        std::istringstream words(line);
        std::string name;
        int64_t value = 0;
        if (words >> name >> value && name == key) return value;
    }
    return 0;
}

void lower(MemoryLimit& limit, int64_t bytes, const std::string& source) {
    if (bytes < limit.bytes) limit = {std::max<int64_t>(0, bytes), source};
}

void apply_group(MemoryLimit& limit, const fs::path& folder, bool unified) {
    const fs::path name = folder / (unified ? "memory.max" : "memory.limit_in_bytes");
    const auto most = number_in(name);
    const auto used = number_in(folder / (unified ? "memory.current" : "memory.usage_in_bytes"));
    if (!most || !used) return;
    const std::string prefix = unified ? "" : "total_";
    const int64_t cache = number_after(folder / "memory.stat", prefix + "inactive_file") +
                          number_after(folder / "memory.stat", prefix + "active_file");
    lower(limit, *most - std::max<int64_t>(0, *used - cache), "the control group's " + name.string());
}

/** Every group from the process's own up to the root limits it. In a container the own path may not be visible; then
 * what is mounted is the own group. */
void apply_groups(MemoryLimit& limit, const fs::path& root) {
    std::ifstream stream(root / "proc/self/cgroup");
    std::string line;
    while (std::getline(stream, line)) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const bool unified = controllers == ",,";
        if (!unified && controllers.find(",memory,") == std::string::npos) continue;
        const fs::path mount = root / (unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
        fs::path group = fs::path(line.substr(second + 1)).relative_path().lexically_normal();
        for (; !group.empty() && group != "."; group = group.parent_path()) apply_group(limit, mount / group, unified);
        apply_group(limit, mount, unified);
    }
}

void apply_address_space(MemoryLimit& limit, const fs::path& root) {
    rlimit most{};
    if (getrlimit(RLIMIT_AS, &most) != 0 || most.rlim_cur == RLIM_INFINITY) return;
    const auto pages = number_in(root / "proc/self/statm");  // the first number: pages of address space
    if (!pages) return;
    const auto bytes = static_cast<int64_t>(std::min<uint64_t>(most.rlim_cur, static_cast<uint64_t>(INT64_MAX)));
    lower(limit, bytes - *pages * sysconf(_SC_PAGESIZE), "RLIMIT_AS (ulimit -v)");
}

}  // namespace

MemoryLimit available_memory(const fs::path& root) {
    constexpr int64_t kKibi = 1024;
    MemoryLimit limit;
    const fs::path info = root / "proc/meminfo";
    if (const int64_t kib = number_after(info, "MemAvailable:"); kib > 0)
        lower(limit, kib * kKibi, "MemAvailable of " + info.string());
    apply_groups(limit, root);
    apply_address_space(limit, root);
    return limit;
}

}  // namespace vlm
