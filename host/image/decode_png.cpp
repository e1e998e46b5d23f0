/** @file decode_png.cpp
 *  PNG through libpng, which is asked for raw samples only; expansion to 8 bits is done here.
 *
 *  libpng could expand palettes, depths and transparency itself, but not always to the values that Pillow gives (16-bit
 * samples keep their high byte; a transparent colour is compared after that reduction), so the conversions follow
 * PngImagePlugin.py and libImaging/Unpack.c instead. libpng reports a failure by longjmp; the functions marked
 * "guarded" hold no object with a destructor.
 */
#include <png.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "host/image/decode_formats.hpp"

namespace vlm::decode {

namespace {

struct PngReader {
    png_structp png;
    png_infop info;
    png_infop end_info;
    const uint8_t* data;
    size_t size;
    size_t position;
    bool at_end;  ///< more data was asked for than there is
    char message[256];
};

PngReader* reader_of(png_structp png) {
    return static_cast<PngReader*>(png_get_error_ptr(png));
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
    PngReader* reader = reader_of(png);
    std::snprintf(reader->message, sizeof reader->message, "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t count) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader->size - reader->position) {
        reader->at_end = true;
        on_error(png, "it is truncated: the data ends before the picture does");
    }
    std::memcpy(out, reader->data + reader->position, count);
    reader->position += count;
}

/** Guarded: creates the decoder and reads up to the pixels. False: see reader.message. */
bool read_header(PngReader& reader) {
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    if (!reader.png) return false;
    if (setjmp(png_jmpbuf(reader.png))) return false;
    reader.info = png_create_info_struct(reader.png);
    reader.end_info = png_create_info_struct(reader.png);
    if (!reader.info || !reader.end_info) return false;
    png_set_read_fn(reader.png, &reader, on_read);
    png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_size() has its own, clearer ones
    png_read_info(reader.png, reader.info);
    return true;
}

/** Guarded: asks for one byte per sample below 8 bits. @param passes receives 1, or 7 for an interlaced picture */
bool start_rows(PngReader& reader, int* passes) {
    if (setjmp(png_jmpbuf(reader.png))) return false;
    png_set_packing(reader.png);
    *passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    return true;
}

/** Guarded: reads the next row of the current pass into (or, interlaced, over) `row`. */
bool read_row(PngReader& reader, uint8_t* row) {
    if (setjmp(png_jmpbuf(reader.png))) return false;
    png_read_row(reader.png, row, nullptr);
    return true;
}

/** Guarded: reads what follows the pixels. */
bool read_end(PngReader& reader) {
    if (setjmp(png_jmpbuf(reader.png))) return false;
    png_read_end(reader.png, reader.end_info);
    return true;
}

/** Owns the decoder's memory, also when an exception passes. */
class PngFile {
  public:
    explicit PngFile(std::span<const uint8_t> data) : reader_(std::make_unique<PngReader>()) {
        reader_->data = data.data();
        reader_->size = data.size();
        std::strcpy(reader_->message, "the decoder could not be created");
    }
    ~PngFile() {
        if (reader_->png) png_destroy_read_struct(&reader_->png, &reader_->info, &reader_->end_info);
    }
    PngFile(const PngFile&) = delete;
    PngFile& operator=(const PngFile&) = delete;

    PngReader& reader() { return *reader_; }

  private:
    std::unique_ptr<PngReader> reader_;
};

/** Layout of the raw rows and the transparency that goes with them. */
struct Format {
    int color_type = 0;
    int bit_depth = 0;
    bool transparent = false;  ///< a tRNS chunk that counts
    png_color_16 key{};        ///< the transparent gray or colour
    std::array<std::array<uint8_t, 4>, 256> palette{};

    int channels() const {
        if (transparent || (color_type & PNG_COLOR_MASK_ALPHA)) return 4;
        return (color_type & PNG_COLOR_MASK_COLOR) ? 3 : 1;
    }
};

Format format_of(const PngReader& reader) {
    Format format;
    format.color_type = png_get_color_type(reader.png, reader.info);
    format.bit_depth = png_get_bit_depth(reader.png, reader.info);
    png_bytep alpha = nullptr;
    int alpha_count = 0;
    png_color_16p key = nullptr;
    format.transparent = png_get_tRNS(reader.png, reader.info, &alpha, &alpha_count, &key) != 0;
    if (format.transparent && key) format.key = *key;
    if (format.color_type != PNG_COLOR_TYPE_PALETTE) return format;

    format.palette.fill({0, 0, 0, 255});  // indices beyond the palette are black, as in Pillow
    png_colorp colors = nullptr;
    int color_count = 0;
    png_get_PLTE(reader.png, reader.info, &colors, &color_count);
    for (int i = 0; i < std::min(color_count, 256); ++i) {
        format.palette[size_t(i)] = {colors[i].red, colors[i].green, colors[i].blue, 255};
    }
    if (format.transparent) {
        for (int i = 0; i < std::min(alpha_count, 256); ++i) format.palette[size_t(i)][3] = alpha[i];
    }
    return format;
}

/** Gray of 1, 2, 4 or 8 bits. The key is compared with the expanded value, which is how Pillow does it. */
void convert_gray(const Format& format, const uint8_t* src, int width, uint8_t* dst) {
    const int scale = 255 / ((1 << format.bit_depth) - 1);
    const int key = format.bit_depth == 1 ? (format.key.gray ? 255 : 0) : format.key.gray & 0xFF;
    for (int x = 0; x < width; ++x) {
        const int value = src[x] * scale;
        if (format.transparent) {
            dst[0] = dst[1] = dst[2] = static_cast<uint8_t>(value);
            dst[3] = value == key ? 0 : 255;
            dst += 4;
        } else {
            *dst++ = static_cast<uint8_t>(value);
        }
    }
}

/** 16-bit gray: the high byte; the key is compared in full. */
void convert_gray16(const Format& format, const uint8_t* src, int width, uint8_t* dst) {
    for (int x = 0; x < width; ++x, src += 2) {
        if (format.transparent) {
            dst[0] = dst[1] = dst[2] = src[0];
            dst[3] = (src[0] << 8 | src[1]) == format.key.gray ? 0 : 255;
            dst += 4;
        } else {
            *dst++ = src[0];
        }
    }
}

/** RGB of 8 or 16 bits, `step` bytes per sample. The key's low byte is compared with the 8-bit value, as in Pillow. */
void convert_rgb(const Format& format, const uint8_t* src, int width, int step, uint8_t* dst) {
    const std::array<uint8_t, 3> key = {static_cast<uint8_t>(format.key.red), static_cast<uint8_t>(format.key.green),
                                        static_cast<uint8_t>(format.key.blue)};
    for (int x = 0; x < width; ++x, src += 3 * step) {
        const std::array<uint8_t, 3> value = {src[0], src[step], src[2 * step]};
        dst = std::copy(value.begin(), value.end(), dst);
        if (format.transparent) *dst++ = value == key ? 0 : 255;
    }
}

void convert_row(const Format& format, const uint8_t* src, int width, uint8_t* dst) {
    const int step = format.bit_depth == 16 ? 2 : 1;
    switch (format.color_type) {
        case PNG_COLOR_TYPE_GRAY:
            if (step == 2) return convert_gray16(format, src, width, dst);
            return convert_gray(format, src, width, dst);
        case PNG_COLOR_TYPE_RGB:
            return convert_rgb(format, src, width, step, dst);
        case PNG_COLOR_TYPE_GRAY_ALPHA:
            for (int x = 0; x < width; ++x, src += 2 * step, dst += 4) {
                dst[0] = dst[1] = dst[2] = src[0];
                dst[3] = src[step];
            }
            return;
        case PNG_COLOR_TYPE_RGB_ALPHA:
            for (int i = 0; i < 4 * width; ++i, src += step) *dst++ = *src;
            return;
        default:  // palette
            for (int x = 0; x < width; ++x) {
                const auto& color = format.palette[src[x]];
                dst = std::copy_n(color.begin(), format.channels(), dst);
            }
    }
}

/** The bytes of ImageMagick's "Raw profile type exif": three lines of header, then hexadecimal text. */
std::vector<uint8_t> unhex_profile(std::string_view text) {
    for (int line = 0; line < 3; ++line) {
        const size_t end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    std::vector<uint8_t> bytes;
    int high = -1;
    for (const char c : text) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) continue;
        if (high >= 0) bytes.push_back(static_cast<uint8_t>(high << 4 | digit));
        high = high >= 0 ? -1 : digit;
    }
    return bytes;
}

/** Takes EXIF and XMP from one of the two places where libpng keeps chunks. */
void collect_metadata(const PngReader& reader, png_infop info, Decoded& decoded) {
    png_bytep exif = nullptr;
    png_uint_32 exif_size = 0;
    if (png_get_eXIf_1(reader.png, info, &exif_size, &exif)) decoded.exif.assign(exif, exif + exif_size);
    png_textp texts = nullptr;
    int count = 0;
    png_get_text(reader.png, info, &texts, &count);
    for (int i = 0; i < count; ++i) {
        const std::string_view key = texts[i].key;
        const std::string_view text(texts[i].text ? texts[i].text : "",
                                    std::max(texts[i].text_length, texts[i].itxt_length));
        if (key == "XML:com.adobe.xmp") decoded.xmp.assign(text.begin(), text.end());
        if (key == "Raw profile type exif" && decoded.exif.empty()) decoded.exif = unhex_profile(text);
    }
}

/** Refuses by the sizes in IHDR before libpng sees the file; anything odd about the chunk is left for libpng to name.
 */
void check_header_size(const Source& source) {
    constexpr size_t kWidthAt = 16;
    if (source.data.size() < kWidthAt + 8 || std::memcmp(source.data.data() + 12, "IHDR", 4) != 0) return;
    check_size(source, png_get_uint_32(source.data.data() + kWidthAt),
               png_get_uint_32(source.data.data() + kWidthAt + 4));
}

}  // namespace

Decoded read_png(const Source& source) {
    check_header_size(source);
    PngFile file(source.data);
    PngReader& reader = file.reader();
    if (!read_header(reader)) throw damaged(source, "PNG", reader.message);
    const png_uint_32 width = png_get_image_width(reader.png, reader.info);
    const png_uint_32 height = png_get_image_height(reader.png, reader.info);
    check_size(source, width, height);
    const Format format = format_of(reader);
    int passes = 1;
    if (!start_rows(reader, &passes)) throw damaged(source, "PNG", reader.message);

    Decoded decoded;
    decoded.image = make_image(static_cast<int>(width), static_cast<int>(height), format.channels());
    const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
    // Only an interlaced picture, whose rows are filled in over seven passes, has to be held raw as a whole.
    std::vector<uint8_t> raw(passes > 1 ? row_bytes * height : row_bytes);
    for (int pass = 0; pass < passes; ++pass) {
        for (png_uint_32 y = 0; y < height; ++y) {
            uint8_t* row = raw.data() + (passes > 1 ? y * row_bytes : 0);
            if (!read_row(reader, row)) throw damaged(source, "PNG", reader.message);
            if (pass + 1 == passes)
                convert_row(format, row, decoded.image.width, decoded.image.row(static_cast<int>(y)));
        }
    }
    // A missing end after complete pixels is forgiven, a failed checksum is not.
    if (!read_end(reader) && !reader.at_end) throw damaged(source, "PNG", reader.message);
    collect_metadata(reader, reader.info, decoded);
    collect_metadata(reader, reader.end_info, decoded);
    return decoded;
}

}  // namespace vlm::decode
