/** @file orientation.cpp
 *  A reader for exactly one TIFF tag, and the eight symmetries of a rectangle.
 *
 *  Source: EXIF 2.32 (tag 0x0112), TIFF 6.0; Pillow, src/PIL/ImageOps.py (exif_transpose) and Image.getexif for the XMP
 * pattern.
 */
#include "host/image/orientation.hpp"

#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace vlm::decode {

namespace {

/** Bounds-checked integers of either byte order. */
class TiffBytes {
  public:
    TiffBytes(std::span<const uint8_t> bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

    std::optional<uint32_t> read(size_t at, size_t size) const {
        if (at > bytes_.size() || size > bytes_.size() - at) return std::nullopt;
        uint32_t value = 0;
        for (size_t i = 0; i < size; ++i) value = (value << 8) | bytes_[at + (big_endian_ ? i : size - 1 - i)];
        return value;
    }

  private:
    std::span<const uint8_t> bytes_;
    bool big_endian_;
};

std::optional<int> orientation_in_exif(std::span<const uint8_t> exif) {
    constexpr std::string_view kPrefix("Exif\0\0", 6);
    while (exif.size() >= kPrefix.size() && std::memcmp(exif.data(), kPrefix.data(), kPrefix.size()) == 0) {
        exif = exif.subspan(kPrefix.size());
    }
    if (exif.size() < 8) return std::nullopt;
    const bool big_endian = exif[0] == 'M' && exif[1] == 'M';
    if (!big_endian && !(exif[0] == 'I' && exif[1] == 'I')) return std::nullopt;
    const TiffBytes tiff(exif, big_endian);
    if (tiff.read(2, 2) != 42u) return std::nullopt;
    const size_t directory = *tiff.read(4, 4);
    const uint32_t entries = tiff.read(directory, 2).value_or(0);
    for (uint32_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + size_t{12} * i;
        const auto tag = tiff.read(entry, 2);
        if (!tag) return std::nullopt;
        if (*tag != 0x0112) continue;
        const uint32_t type = tiff.read(entry + 2, 2).value_or(0);
        const size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;  // BYTE, SHORT, LONG
        const auto value = size ? tiff.read(entry + 8, size) : std::nullopt;
        return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
    }
    return std::nullopt;
}

std::optional<int> orientation_in_xmp(std::span<const uint8_t> xmp) {
    const std::string_view text(reinterpret_cast<const char*>(xmp.data()), xmp.size());
    constexpr std::string_view kTag = "tiff:Orientation";
    for (size_t at = text.find(kTag); at != std::string_view::npos; at = text.find(kTag, at + 1)) {
        std::string_view rest = text.substr(at + kTag.size());
        if (rest.starts_with("=\"")) {
            rest.remove_prefix(2);
        } else if (rest.starts_with(">")) {
            rest.remove_prefix(1);
        } else {
            continue;
        }
        if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
    }
    return std::nullopt;
}

}  // namespace

int find_orientation(std::span<const uint8_t> exif, std::span<const uint8_t> xmp) {
    std::optional<int> orientation = orientation_in_exif(exif);
    if (!orientation) orientation = orientation_in_xmp(xmp);
    return orientation && *orientation >= 1 && *orientation <= 8 ? *orientation : 1;
}

Image apply_orientation(Image image, int orientation) {
    if (orientation <= 1 || orientation > 8) return image;
    const bool swapped = orientation >= 5;
    const int width = swapped ? image.height : image.width;
    const int height = swapped ? image.width : image.height;
    Image out = make_image(width, height, image.channels);
    // Per orientation: does the source x (y) run against the output axis that it follows?
    const bool x_reversed = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool y_reversed = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const auto channels = static_cast<size_t>(image.channels);
    uint8_t* dst = out.pixels.data();
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x, dst += channels) {
            const int along_x = swapped ? y : x;
            const int along_y = swapped ? x : y;
            const int from_x = x_reversed ? image.width - 1 - along_x : along_x;
            const int from_y = y_reversed ? image.height - 1 - along_y : along_y;
            std::memcpy(dst, image.row(from_y) + static_cast<size_t>(from_x) * channels, channels);
        }
    }
    return out;
}

}  // namespace vlm::decode
