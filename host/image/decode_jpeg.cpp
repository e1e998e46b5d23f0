/** @file decode_jpeg.cpp
 *  JPEG through libjpeg-turbo, with Pillow's settings.
 *
 *  libjpeg reports a failure by calling a function that must not return, so longjmp is needed. It is confined to the
 * functions marked "guarded": they hold no object with a destructor, and every buffer that they write belongs to a
 * caller outside. Settings follow Pillow (JpegDecode.c, JpegImagePlugin.py): defaults throughout, that is JDCT_ISLOW
 * and fancy upsampling, and four-channel files always taken as inverted CMYK, which is what Adobe writes.
 */
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>

// jpeglib.h needs size_t and FILE from the headers above.
#include <jpeglib.h>
// jerror.h shows all codes only after jpeglib.h.
#include <jerror.h>

#include "host/image/decode_formats.hpp"

namespace vlm::decode {

namespace {

/** A progressive file may ask for its whole picture to be gone over any number of times; real ones have about ten
 * scans. */
constexpr int kMaxScans = 100;

struct JpegReader {
    jpeg_decompress_struct info;
    jpeg_error_mgr errors;
    jpeg_source_mgr input;
    jpeg_progress_mgr progress;
    std::jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
};

JpegReader* reader_of(j_common_ptr info) {
    return static_cast<JpegReader*>(info->client_data);
}

[[noreturn]] void escape_with(j_common_ptr info, const char* message) {
    JpegReader* reader = reader_of(info);
    std::snprintf(reader->message, sizeof reader->message, "%s", message);
    std::longjmp(reader->escape, 1);
}

[[noreturn]] void on_error(j_common_ptr info) {
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    escape_with(info, message);
}

/** Warnings that mean wrong pixels become errors; others (odd but harmless headers) are passed over. */
void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
#ifdef D_ARITH_CODING_SUPPORTED
        case JWRN_ARITH_BAD_CODE:
#endif
        case JWRN_MUST_RESYNC:
        case JWRN_JPEG_EOF:
            on_error(info);
        default:
            break;
    }
}

void no_operation(j_decompress_ptr) {}
void no_output(j_common_ptr) {}

boolean on_end_of_data(j_decompress_ptr info) {
    escape_with(reinterpret_cast<j_common_ptr>(info), "it is truncated: the data ends before the picture does");
}

void skip_bytes(j_decompress_ptr info, long count) {
    if (count <= 0) return;
    if (static_cast<size_t>(count) > info->src->bytes_in_buffer) on_end_of_data(info);
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= static_cast<size_t>(count);
}

void on_progress(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
        escape_with(info, "it has more than 100 scans, which no encoder writes");
    }
}

/** Guarded: creates the decoder and reads the header. False: see reader.message. */
bool read_header(JpegReader& reader, const uint8_t* data, size_t size) {
    std::memset(&reader.info, 0, sizeof reader.info);
    reader.info.err = jpeg_std_error(&reader.errors);
    reader.info.client_data = &reader;
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = no_output;
    if (setjmp(reader.escape)) return false;
    jpeg_create_decompress(&reader.info);
    reader.input = {};
    reader.input.next_input_byte = data;
    reader.input.bytes_in_buffer = size;
    reader.input.init_source = no_operation;
    reader.input.fill_input_buffer = on_end_of_data;
    reader.input.skip_input_data = skip_bytes;
    reader.input.resync_to_restart = jpeg_resync_to_restart;
    reader.input.term_source = no_operation;
    reader.info.src = &reader.input;
    reader.progress = {};
    reader.progress.progress_monitor = on_progress;
    reader.info.progress = &reader.progress;
    jpeg_save_markers(&reader.info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&reader.info, TRUE);
    return true;
}

/** Guarded: decodes all rows of `stride` bytes into `pixels`. */
bool read_rows(JpegReader& reader, uint8_t* pixels, size_t stride) {
    if (setjmp(reader.escape)) return false;
    jpeg_start_decompress(&reader.info);
    while (reader.info.output_scanline < reader.info.output_height) {
        JSAMPROW row = pixels + reader.info.output_scanline * stride;
        jpeg_read_scanlines(&reader.info, &row, 1);
    }
    return true;  // what follows the last row is of no interest, so jpeg_finish_decompress is not called
}

/** Owns the decoder's memory, also when an exception passes. */
class JpegFile {
  public:
    JpegFile() : reader_(std::make_unique<JpegReader>()) {}
    ~JpegFile() {
        if (reader_->info.mem) jpeg_destroy_decompress(&reader_->info);  // does not fail
    }
    JpegFile(const JpegFile&) = delete;
    JpegFile& operator=(const JpegFile&) = delete;

    JpegReader& reader() { return *reader_; }

  private:
    std::unique_ptr<JpegReader> reader_;
};

/** Inverted CMYK to RGB: the complement of each ink scaled by what black leaves. Pillow's cmyk2rgb after its CMYK;I. */
Image cmyk_to_rgb(const std::vector<uint8_t>& cmyk, int width, int height) {
    Image image = make_image(width, height, 3);
    const uint8_t* src = cmyk.data();
    for (size_t i = 0; i < image.pixels.size(); i += 3, src += 4) {
        const unsigned white = src[3];  // stored inverted: 255 - K
        for (size_t c = 0; c < 3; ++c) {
            const unsigned t = (255u - src[c]) * white + 128;
            const unsigned ink = ((t >> 8) + t) >> 8;
            image.pixels[i + c] = static_cast<uint8_t>(white - ink);
        }
    }
    return image;
}

void collect_metadata(const jpeg_decompress_struct& info, Decoded& decoded) {
    constexpr std::string_view kExif("Exif\0\0", 6);
    constexpr std::string_view kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
    for (const jpeg_marker_struct* marker = info.marker_list; marker; marker = marker->next) {
        const std::string_view bytes(reinterpret_cast<const char*>(marker->data), marker->data_length);
        if (bytes.starts_with(kExif)) {  // a long record is continued in further markers
            decoded.exif.insert(decoded.exif.end(), bytes.begin() + kExif.size(), bytes.end());
        } else if (bytes.starts_with(kXmp)) {
            decoded.xmp.assign(bytes.begin() + kXmp.size(), bytes.end());
        }
    }
}

}  // namespace

Decoded read_jpeg(const Source& source) {
    JpegFile file;
    JpegReader& reader = file.reader();
    if (!read_header(reader, source.data.data(), source.data.size())) throw damaged(source, "JPEG", reader.message);
    jpeg_decompress_struct& info = reader.info;
    check_size(source, info.image_width, info.image_height);
    const int components = info.num_components;
    if (components != 1 && components != 3 && components != 4) {
        throw unimplemented(std::string(source.name) + ": a JPEG with " + std::to_string(components) +
                            " components; expected 1 (gray), 3 (colour) or 4 (CMYK); convert it to RGB first");
    }
    info.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    const auto width = static_cast<int>(info.image_width);
    const auto height = static_cast<int>(info.image_height);

    Decoded decoded;
    collect_metadata(info, decoded);
    Image image = make_image(width, height, components);
    if (!read_rows(reader, image.pixels.data(), image.stride())) throw damaged(source, "JPEG", reader.message);
    decoded.image = components == 4 ? cmyk_to_rgb(image.pixels, width, height) : std::move(image);
    return decoded;
}

}  // namespace vlm::decode
