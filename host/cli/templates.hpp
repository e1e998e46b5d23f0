/** @file templates.hpp
 *  The files of sdk/templates as the program carries them.
 */
#pragma once
#include <map>
#include <string>

namespace vlm::cli {

/** Name of each template file and its text; `@NAME@` and the like stand for what `vlmhost new-plugin` fills in. */
const std::map<std::string, std::string>& plugin_templates();

}  // namespace vlm::cli
