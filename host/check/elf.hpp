/** @file elf.hpp
 *  The symbols that a shared library shows and takes, read from the file itself: loading it to find out would run its
 * constructors.
 */
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace vlm {

/** Names of the defined dynamic symbols (functions, data, weak ones too) of a 64-bit little-endian ELF library, sorted.
 * Section names and absolute version names are left out. Throws NOT_FOUND, or INVALID_ARGUMENT when the file is no such
 * library or its tables point outside of it. */
std::vector<std::string> exported_symbols(const std::filesystem::path& path);

/** Names of the symbols that such a library takes from others, sorted. Throws as above. */
std::vector<std::string> imported_symbols(const std::filesystem::path& path);

}  // namespace vlm
