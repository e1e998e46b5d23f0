/** @file decode.cpp
 *  Recognises what a file is, hands it to its reader, and brings the result into the form that decode.hpp promises.
 *
 *  Formats that are not read are recognised too: "this is a PDF, render the page first" helps, "invalid image" does
 * not.
 */
#include "host/image/decode.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/image/decode_formats.hpp"
#include "host/image/orientation.hpp"
#include "host/image/process.hpp"

namespace vlm {

namespace {

using decode::Source;

bool matches(std::span<const uint8_t> data, size_t at, std::string_view magic) {
    return data.size() >= at + magic.size() && std::memcmp(data.data() + at, magic.data(), magic.size()) == 0;
}

/** A format that is recognised but not read. */
struct ForeignFormat {
    const char* name;
    const char* advice;
    size_t at;
    std::string_view magic;
};

constexpr const char* kConvert = "convert it to PNG, JPEG or WebP first";

constexpr ForeignFormat kForeignFormats[] = {
    {"a GIF", kConvert, 0, "GIF8"},
    {"a BMP", kConvert, 0, "BM"},
    {"a TIFF", kConvert, 0, std::string_view("II*\0", 4)},
    {"a TIFF", kConvert, 0, std::string_view("MM\0*", 4)},
    {"a BigTIFF", kConvert, 0, std::string_view("II+\0", 4)},
    {"a BigTIFF", kConvert, 0, std::string_view("MM\0+", 4)},
    {"an AVIF", kConvert, 4, "ftypavif"},
    {"an AVIF sequence", kConvert, 4, "ftypavis"},
    {"a HEIC", "convert it to JPEG first, for example with heif-convert", 4, "ftyphei"},
    {"a HEIC", "convert it to JPEG first, for example with heif-convert", 4, "ftyphev"},
    {"a HEIF", "convert it to JPEG first, for example with heif-convert", 4, "ftypmif1"},
    {"a HEIF", "convert it to JPEG first, for example with heif-convert", 4, "ftypmsf1"},
    {"an MP4 or QuickTime film", "extract a frame as PNG or JPEG first", 4, "ftyp"},
    {"a PDF", "render the page to PNG first, for example with pdftoppm -r 150 -png", 0, "%PDF"},
    {"a PostScript file", "render the page to PNG first", 0, "%!PS"},
    {"a DICOM file", "export the frame with a chosen window as PNG first, for example with dcmj2pnm", 128, "DICM"},
    {"a JPEG 2000", kConvert, 0, std::string_view("\0\0\0\x0CjP  ", 8)},
    {"a JPEG 2000 codestream", kConvert, 0, "\xFF\x4F\xFF\x51"},
    {"a JPEG XL", kConvert, 0, std::string_view("\0\0\0\x0CJXL ", 8)},
    {"a JPEG XL codestream", kConvert, 0, "\xFF\x0A"},
    {"a Photoshop document", kConvert, 0, "8BPS"},
    {"an icon file", kConvert, 0, std::string_view("\0\0\1\0", 4)},
    {"an SVG or XML text", "render it to PNG first", 0, "<?xml"},
    {"an SVG", "render it to PNG first", 0, "<svg"},
    {"an HTML page", "check the address from which the picture was downloaded", 0, "<!DOCTYPE"},
    {"an HTML page", "check the address from which the picture was downloaded", 0, "<html"},
    {"a netpbm picture", kConvert, 0, "P5\n"},
    {"a netpbm picture", kConvert, 0, "P6\n"},
    {"a gzip archive", "unpack it first", 0, "\x1F\x8B"},
    {"a zip archive", "unpack it first", 0, "PK\3\4"},
    {"a Git LFS pointer", "fetch the real file with git lfs pull", 0, "version https://git-lfs"},
};

[[noreturn]] void refuse_unknown(const Source& source) {
    const std::string name(source.name);
    for (const ForeignFormat& format : kForeignFormats) {
        if (matches(source.data, format.at, format.magic)) {
            throw unimplemented(name + ": this is " + format.name + "; only JPEG, PNG and WebP are read here; " +
                                format.advice);
        }
    }
    constexpr size_t kShown = 8;
    std::string start;
    for (const uint8_t byte : source.data.first(std::min(kShown, source.data.size()))) {
        std::array<char, 4> hex;
        std::snprintf(hex.data(), hex.size(), "%02x ", byte);
        start += hex.data();
    }
    throw invalid_argument(
        name + ": not a picture that can be read: it starts with the bytes " + start +
        "(expected JPEG ff d8 ff, PNG 89 50 4e 47 or WebP 52 49 46 46); check that the right file was "
        "given");
}

/** Reads a regular file whole, within the limit. */
std::vector<uint8_t> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
    namespace fs = std::filesystem;
    const std::string name = path.string();
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (status.type() == fs::file_type::not_found) throw not_found(name + ": no such file; check the path");
    if (code) throw Error(VLM_STATUS_PERMISSION_DENIED, name + ": cannot be examined: " + code.message());
    if (status.type() == fs::file_type::directory) {
        throw invalid_argument(name + ": is a directory; expected a JPEG, PNG or WebP file");
    }
    // A pipe or device might block or never end.
    if (status.type() != fs::file_type::regular) {
        throw invalid_argument(name + ": is not a regular file; expected a JPEG, PNG or WebP file");
    }
    const uint64_t size = fs::file_size(path, code);
    if (code) throw not_found(name + ": its size cannot be read: " + code.message());
    if (size > max_bytes) {
        throw resource_exhausted(name + ": the file has " + std::to_string(size) + " bytes, more than the limit of " +
                                 std::to_string(max_bytes) + "; use a smaller picture or raise max_file_bytes");
    }
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) throw Error(VLM_STATUS_PERMISSION_DENIED, name + ": cannot be opened: " + std::strerror(errno));
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
    if (std::ferror(file.get())) throw data_loss(name + ": reading failed; check the disk");
    return bytes;
}

}  // namespace

namespace decode {

void check_size(const Source& source, uint64_t width, uint64_t height) {
    const std::string name(source.name);
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    if (width == 0 || height == 0) {
        throw data_loss(name + ": the header claims a picture of " + size + " pixels; both sides must be at least 1");
    }
    if (width > source.limits.max_side || height > source.limits.max_side) {
        throw resource_exhausted(name + ": the header claims " + size + " pixels, but a side may have at most " +
                                 std::to_string(source.limits.max_side) + "; shrink the picture or raise max_side");
    }
    if (width * height > source.limits.max_pixels) {
        throw resource_exhausted(name + ": the header claims " + size + " = " + std::to_string(width * height) +
                                 " pixels, more than the limit of " + std::to_string(source.limits.max_pixels) +
                                 "; shrink the picture or raise max_pixels");
    }
}

Error damaged(const Source& source, const char* format, const std::string& reason) {
    return data_loss(std::string(source.name) + ": damaged " + format + " file: " + reason + " (" +
                     std::to_string(source.data.size()) + " bytes present); copy or export the picture again");
}

}  // namespace decode

Image decode_memory(std::span<const uint8_t> data, const DecodeLimits& limits, ColorMode mode, std::string_view name) {
    const Source source{data, limits, name};
    if (data.empty()) throw data_loss(std::string(name) + ": the file is empty; expected a JPEG, PNG or WebP picture");
    if (data.size() > limits.max_file_bytes) {
        throw resource_exhausted(std::string(name) + ": the data has " + std::to_string(data.size()) +
                                 " bytes, more than the limit of " + std::to_string(limits.max_file_bytes) +
                                 "; use a smaller picture or raise max_file_bytes");
    }
    decode::Decoded decoded;
    if (matches(data, 0, "\xFF\xD8\xFF")) {
        decoded = decode::read_jpeg(source);
    } else if (matches(data, 0, "\x89PNG\r\n\x1A\n")) {
        decoded = decode::read_png(source);
    } else if (matches(data, 0, "RIFF") && matches(data, 8, "WEBP")) {
        decoded = decode::read_webp(source);
    } else {
        refuse_unknown(source);
    }
    const int orientation = decode::find_orientation(decoded.exif, decoded.xmp);
    return with_color_mode(decode::apply_orientation(std::move(decoded.image), orientation), mode);
}

Image with_color_mode(Image image, ColorMode mode) {
    if (mode == ColorMode::kKeep || image.channels == 3) return image;
    return mode == ColorMode::kOpaque ? without_alpha(image) : to_rgb(image);
}

Image decode_file(const std::filesystem::path& path, const DecodeLimits& limits, ColorMode mode) {
    const std::vector<uint8_t> bytes = read_file(path, limits.max_file_bytes);
    return decode_memory(bytes, limits, mode, path.string());
}

}  // namespace vlm
