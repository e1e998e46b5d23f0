/** @file library_file.hpp
 *  Whether a shared library is whole. The system's loader maps what the program headers promise without a look at the
 * file's size, and the first touch of a page behind the end of a half-copied file ends the process with SIGBUS.
 */
#pragma once
#include <filesystem>

namespace vlm {

/** Checks the headers of the ELF file `file`; messages speak of `path`. Files of another kind pass: the loader says
 * what it thinks of them.
 *  @throws Error INVALID_ARGUMENT when a segment lies beyond the end of the file. */
void check_library_file(const std::filesystem::path& file, const std::filesystem::path& path);

}  // namespace vlm
