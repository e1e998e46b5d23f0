/** @file elf.cpp
 *  See elf.hpp. Every offset comes from a file that nobody has vouched for, so each is compared with the size before it
 * is used.
 */
#include "host/check/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "host/base/error.hpp"

namespace vlm {
namespace {

/** A file in memory, read with bounds checks. */
class Bytes {
  public:
    explicit Bytes(const std::filesystem::path& path) : path_(path) {
        if (!std::filesystem::is_regular_file(path)) throw not_found(path.string() + ": no such plugin file");
        std::ifstream in(path, std::ios::binary);
        data_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    template <typename T>
    T at(uint64_t offset) const {
        if (offset > data_.size() || data_.size() - offset < sizeof(T)) throw broken("a table points outside the file");
        T value;
        std::memcpy(&value, data_.data() + offset, sizeof(T));
        return value;
    }
    std::string text(uint64_t offset) const {
        if (offset >= data_.size()) throw broken("a name points outside the file");
        const auto* begin = data_.data() + offset;
        return {begin, strnlen(begin, data_.size() - offset)};
    }
    uint64_t size() const { return data_.size(); }
    Error broken(const std::string& what) const {
        return invalid_argument(path_.string() + ": is no 64-bit shared library for this kind of machine: " + what);
    }

  private:
    std::filesystem::path path_;
    std::vector<char> data_;
};

enum class Side { exported, imported };

std::vector<std::string> symbols_of(const std::filesystem::path& path, Side side) {
    const Bytes file(path);
    if (file.size() < sizeof(Elf64_Ehdr)) throw file.broken("it is shorter than an ELF header");
    const auto header = file.at<Elf64_Ehdr>(0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) throw file.broken("it does not begin with the ELF mark");
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        throw file.broken("it is for another word size or byte order");
    if (header.e_type != ET_DYN) throw file.broken("it is an executable or object file, not a shared library");

    const auto section = [&](uint64_t index) {
        return file.at<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr));
    };
    std::vector<std::string> names;
    for (uint64_t i = 0; i < header.e_shnum; ++i) {
        const auto symbols = section(i);
        if (symbols.sh_type != SHT_DYNSYM) continue;
        const auto strings = section(symbols.sh_link);
        const uint64_t count = std::min(symbols.sh_size, file.size()) / sizeof(Elf64_Sym);
        for (uint64_t s = 0; s < count; ++s) {
            const auto symbol = file.at<Elf64_Sym>(symbols.sh_offset + s * sizeof(Elf64_Sym));
            const auto type = ELF64_ST_TYPE(symbol.st_info);
            const bool local = ELF64_ST_BIND(symbol.st_info) == STB_LOCAL;
            if (local || symbol.st_shndx == SHN_ABS || type == STT_SECTION) continue;
            if ((symbol.st_shndx == SHN_UNDEF) != (side == Side::imported)) continue;
            names.push_back(file.text(strings.sh_offset + symbol.st_name));
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

std::vector<std::string> exported_symbols(const std::filesystem::path& path) {
    return symbols_of(path, Side::exported);
}

std::vector<std::string> imported_symbols(const std::filesystem::path& path) {
    return symbols_of(path, Side::imported);
}

}  // namespace vlm
