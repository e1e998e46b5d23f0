/** @file cache_folder.cpp
 *  See cache_folder.hpp.
 */
#include "host/base/cache_folder.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace vlm {

std::filesystem::path cache_folder() {
    namespace fs = std::filesystem;
    if (const char* given = std::getenv("XDG_CACHE_HOME"); given != nullptr && fs::path(given).is_absolute())
        return fs::path(given) / "vlmhost";
    if (const char* home = std::getenv("HOME"); home != nullptr && fs::path(home).is_absolute())
        return fs::path(home) / ".cache" / "vlmhost";
    return fs::temp_directory_path() / ("vlmhost-" + std::to_string(getuid()));
}

}  // namespace vlm
