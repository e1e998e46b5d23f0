/** @file registry.cpp
 *  See registry.hpp.
 */
#include "host/plugin/registry.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

bool is_library(const fs::path& path) {
    return path.extension() == ".so" && fs::is_regular_file(path);
}

}  // namespace

fs::path executable_folder() {
    std::error_code error;
    const fs::path executable = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path(".") : executable.parent_path();
}

fs::path library_folder() {
    Dl_info info{};
    static const char here = 0;
    std::error_code error;
    if (dladdr(&here, &info) == 0 || info.dli_fname == nullptr) return executable_folder();
    const fs::path file = fs::canonical(info.dli_fname, error);
    return error ? executable_folder() : file.parent_path();
}

std::vector<fs::path> plugin_folders(const std::vector<fs::path>& first) {
    std::vector<fs::path> folders = first;
    // secure_getenv answers nothing to a process with raised privileges (VLM-H-09).
    const char* path = secure_getenv("VLM_PLUGIN_PATH");
    if (path != nullptr) {
        std::string rest = path;
        while (!rest.empty()) {
            const size_t colon = std::min(rest.find(':'), rest.size());
            if (colon > 0) folders.emplace_back(rest.substr(0, colon));
            rest.erase(0, colon + 1);
        }
    }
    const fs::path here = executable_folder();
    folders.push_back(here / "plugins");
    folders.push_back(here.parent_path() / "lib" / "vlm" / "plugins");
    folders.push_back(library_folder() / "vlm" / "plugins");
    folders.emplace_back(VLM_INSTALL_PLUGIN_DIR);
    return folders;
}

std::vector<fs::path> recipe_folders(const std::vector<fs::path>& plugin_folders) {
    std::vector<fs::path> folders;
    for (const auto& folder : plugin_folders) {
        const fs::path base = fs::is_regular_file(folder) ? folder.parent_path() : folder;
        for (const auto& candidate : {base / "recipes", base.parent_path() / "recipes"})
            if (fs::is_directory(candidate) && std::find(folders.begin(), folders.end(), candidate) == folders.end())
                folders.push_back(candidate);
    }
    return folders;
}

std::vector<fs::path> libraries_in(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error))
        if (is_library(entry.path())) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

std::shared_ptr<const Plugin> find_plugin(const std::vector<fs::path>& folders, const std::string& id,
                                          const TrustPolicy& trust) {
    return find_plugin(folders, id, [&](const fs::path& file) { return Plugin::open(file, {}, trust); });
}

std::shared_ptr<const Plugin> find_plugin(const std::vector<fs::path>& folders, const std::string& id,
                                          const PluginOpener& open) {
    std::vector<fs::path> files;
    for (const auto& folder : folders) {
        if (is_library(folder)) {
            files.push_back(folder);
            continue;
        }
        const auto found = libraries_in(folder);
        files.insert(files.end(), found.begin(), found.end());
    }
    const std::string last = id.substr(id.rfind('.') + 1);
    std::stable_partition(files.begin(), files.end(), [&](const fs::path& file) {
        const std::string stem = file.stem().string();
        return stem == last || stem.ends_with("_" + last) || stem == "lib" + last;
    });
    std::set<std::string> others;
    std::string refused;
    for (const auto& file : files) {
        try {
            auto plugin = open(file);
            if (plugin->id() == id) return plugin;
            others.insert(plugin->id());
        } catch (const Error& error) {
            if (error.code() == VLM_STATUS_UNAUTHENTICATED)
                refused += (refused.empty() ? "" : "\n  ") + std::string(error.what());
            log_message(VLM_LOG_WARNING, "vlmhost", error.what());
        }
    }
    std::string where;
    for (const auto& folder : folders) where += (where.empty() ? "" : ", ") + folder.string();
    std::string list;
    for (const auto& other : others) list += (list.empty() ? "" : ", ") + other;
    if (!refused.empty())
        throw Error(VLM_STATUS_UNAUTHENTICATED, "plugin '" + id + "' was not found among the trusted plugins of " +
                                                    where + "; refused were:\n  " + refused);
    throw not_found("plugin '" + id + "' was not found in " + where + " (found: " + (list.empty() ? "none" : list) +
                    "); give its folder with \"plugins\" in the manifest or with VLM_PLUGIN_PATH");
}

}  // namespace vlm
