/** @file registry.hpp
 *  Finds plugins by id in a list of folders.
 */
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/plugin/loader.hpp"

namespace vlm {

/** Where the running program lies. */
std::filesystem::path executable_folder();
/** Where libvlmhost lies, or the program that it is linked into: an application may lie anywhere. */
std::filesystem::path library_folder();

/** Folders where plugins are looked for, in order: `first`, then $VLM_PLUGIN_PATH (ignored with raised privileges),
 * then `plugins` beside the executable, then `lib/vlm/plugins` of the installation. */
std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path>& first);

/** Folders where recipes are looked for: `recipes` in and beside each plugin folder. */
std::vector<std::filesystem::path> recipe_folders(const std::vector<std::filesystem::path>& plugin_folders);

/** All files of a folder that look like shared libraries, sorted by name. */
std::vector<std::filesystem::path> libraries_in(const std::filesystem::path& folder);

/** Finds and opens the plugin `id`. A library whose name ends in the id's last part is tried first ("org.vlmhost.vit" →
 *  libvlm_vit.so), so that usually just one file is opened. Entries of `folders` may also be library files. NOT_FOUND
 * lists what was found; UNAUTHENTICATED what `trust` refused, when the plugin may be among that. */
std::shared_ptr<const Plugin> find_plugin(const std::vector<std::filesystem::path>& folders, const std::string& id,
                                          const TrustPolicy& trust = host_trust());

/** Opens one library file. */
using PluginOpener = std::function<std::shared_ptr<const Plugin>(const std::filesystem::path& file)>;
/** As above, with files opened by `open` (in processes of their own, host/isolate/isolated_plugin.hpp). */
std::shared_ptr<const Plugin> find_plugin(const std::vector<std::filesystem::path>& folders, const std::string& id,
                                          const PluginOpener& open);

}  // namespace vlm
