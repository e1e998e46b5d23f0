/** @file library_file.cpp
 *  See library_file.hpp; the layout is that of elf(5).
 */
#include "host/plugin/library_file.hpp"

#include <elf.h>

#include <cstring>
#include <fstream>

#include "host/base/error.hpp"

namespace vlm {
namespace {

template <typename T>
bool read_at(std::ifstream& stream, uint64_t offset, T& value) {
    stream.seekg(static_cast<std::streamoff>(offset));
    stream.read(reinterpret_cast<char*>(&value), sizeof(T));
    return stream.good();
}

}  // namespace

void check_library_file(const std::filesystem::path& file, const std::filesystem::path& path) {
    const auto cut = [&](const std::string& what) {
        return invalid_argument(path.string() + ": cannot be loaded as a shared library: " + what +
                                "; the file was cut off, copy it again");
    };
    std::ifstream stream(file, std::ios::binary);
    const uint64_t size = std::filesystem::file_size(file);
    Elf64_Ehdr header{};
    if (size < SELFMAG || !stream) return;
    if (size < sizeof(header)) throw cut("it is shorter than its header");
    if (!read_at(stream, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64)
        return;
    for (uint64_t i = 0; i < header.e_phnum; ++i) {
        const uint64_t offset = header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment{};
        if (header.e_phoff > size || offset > size - sizeof(segment) || !read_at(stream, offset, segment))
            throw cut("its program headers lie beyond the end of the file");
        if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
        if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
            throw cut("a segment of " + std::to_string(segment.p_filesz) + " bytes at " +
                      std::to_string(segment.p_offset) + " lies beyond its " + std::to_string(size) + " bytes");
    }
}

}  // namespace vlm
