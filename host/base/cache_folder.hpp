/** @file cache_folder.hpp
 *  Where the program keeps what it can make again: the folder that the XDG base directory specification names.
 */
#pragma once
#include <filesystem>

namespace vlm {

/** `$XDG_CACHE_HOME/vlmhost`, else `~/.cache/vlmhost`, else a folder of this user below the system's temporary folder.
 *  Not created here. A relative XDG_CACHE_HOME is ignored, as the specification wants. */
std::filesystem::path cache_folder();

}  // namespace vlm
