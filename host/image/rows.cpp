/** @file rows.cpp
 *  Cuts a level page into rows by its profiles, and a row into the image that a reader takes.
 *
 *  Same algorithm as tools/train/rows.py, whose thresholds (the fractions below) were chosen on generated pages.
 */
#include "host/image/rows.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "host/base/error.hpp"
#include "host/image/keystone.hpp"
#include "host/image/process.hpp"
#include "host/image/resize.hpp"

namespace vlm {

namespace {

/** [begin, end) of a stretch. */
using Span = std::pair<int, int>;

int length(const Span& span) {
    return span.second - span.first;
}

/** Whether the ink of `box` has anything in row (or column) `at`. */
bool row_has_ink(const Image& ink, int y, int left, int right) {
    const uint8_t* row = ink.row(y);
    return std::any_of(row + left, row + right, [](uint8_t v) { return v != 0; });
}

/** Columns left..right of rows top..bottom that hold ink, as flags. */
std::vector<uint8_t> inked_columns(const Image& ink, const PixelBox& box) {
    std::vector<uint8_t> columns(static_cast<size_t>(box.right - box.left), 0);
    for (int y = box.top; y < box.bottom; ++y) {
        const uint8_t* row = ink.row(y) + box.left;
        for (size_t x = 0; x < columns.size(); ++x) columns[x] |= row[x];
    }
    return columns;
}

/** Stretches of rows within `box` that hold ink. Thin ones join a near neighbour (dots, accents) or are dropped. */
std::vector<Span> bands_of(const Image& ink, const PixelBox& box, int min_band) {
    std::vector<Span> bands;
    for (int y = box.top; y < box.bottom; ++y) {
        if (!row_has_ink(ink, y, box.left, box.right)) continue;
        if (!bands.empty() && bands.back().second == y) {
            ++bands.back().second;
        } else {
            bands.emplace_back(y, y + 1);
        }
    }
    std::vector<Span> joined;
    for (const Span& band : bands) {
        if (!joined.empty()) {
            Span& last = joined.back();
            const int gap = band.first - last.second;
            const auto [low, high] = std::minmax({length(band), length(last)});
            if (gap <= 2 || (low < 0.45 * high && gap <= 0.3 * high)) {
                last.second = band.second;
                continue;
            }
        }
        joined.push_back(band);
    }
    std::erase_if(joined, [&](const Span& band) { return length(band) < min_band; });
    return joined;
}

/** Stretches of columns within the band that hold ink, where blanks of up to `gap` do not separate. */
std::vector<Span> pieces_of(const Image& ink, const Span& band, int gap) {
    const std::vector<uint8_t> columns = inked_columns(ink, {0, band.first, ink.width, band.second});
    std::vector<Span> pieces;
    for (int x = 0; x < ink.width; ++x) {
        if (!columns[static_cast<size_t>(x)]) continue;
        if (!pieces.empty() && x - (pieces.back().second - 1) <= gap) {
            pieces.back().second = x + 1;
        } else {
            pieces.emplace_back(x, x + 1);
        }
    }
    return pieces;
}

/** Whether neighbours in a band stand at heights too different for cells of one row: they share less than half of the
 * lower one. */
bool are_apart(const PixelBox& a, const PixelBox& b) {
    const int shared = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
    return 2 * shared < std::min(a.bottom - a.top, b.bottom - b.top);
}

/** A point of the level page on the page as given: before it was levelled, then scaled. */
PointF on_given_page(const LevelPage& page, double x, double y) {
    const rows::BeforeLevelling before(page.gray.width, page.gray.height, page.angle, page.keystone);
    const auto [from_x, from_y] = before(x, y);
    return {static_cast<float>(from_x / page.scale), static_cast<float>(from_y / page.scale)};
}

Row make_row(const LevelPage& page, const PixelBox& box) {
    return {box,
            {on_given_page(page, box.left, box.top), on_given_page(page, box.right, box.top),
             on_given_page(page, box.right, box.bottom), on_given_page(page, box.left, box.bottom)}};
}

void check_page(const LevelPage& page, const char* operation) {
    check_image(page.gray, operation);
    check_image(page.ink, operation);
    if (page.gray.channels != 1 || page.ink.channels != 1 || page.gray.width != page.ink.width ||
        page.gray.height != page.ink.height || !(page.scale > 0.0)) {
        throw invalid_argument(std::string(operation) +
                               ": the level page is inconsistent; it must come from level_page() unchanged");
    }
}

/** Python's int(round(value)): halves go to the even number. */
int round_even(double value) {
    return static_cast<int>(std::nearbyint(value));
}

}  // namespace

std::vector<Row> segment_rows(const LevelPage& page, const RowOptions& options) {
    check_page(page, "segment_rows");
    constexpr int kTall = 70;      // of a band: such a band holds several rows, and its height says nothing about gaps
    constexpr int kTallGap = 40;   // of blank columns in a tall band
    constexpr int kLeastGap = 16;  // of blank columns in any band
    constexpr int kTwoRows = 24;   // no lower band can hold two rows
    const Image& ink = page.ink;
    std::vector<Row> rows;
    for (const Span& band : bands_of(ink, {0, 0, ink.width, ink.height}, options.min_band)) {
        const int height = length(band);
        const auto pieces = pieces_of(ink, band, height < kTall ? std::max(kLeastGap, height) : kTallGap);
        std::vector<PixelBox> split;
        bool columns = false;
        for (const Span& piece : pieces) {
            const std::vector<Span> inner =
                bands_of(ink, {piece.first, band.first, piece.second, band.second}, options.min_band);
            columns = columns || inner.size() > 1;
            for (const Span& row : inner) {
                const PixelBox box{piece.first, row.first, piece.second, row.second};
                columns = columns || (!split.empty() && are_apart(split.back(), box));
                split.push_back(box);
            }
        }
        if (height >= kTwoRows && columns) {
            std::stable_sort(split.begin(), split.end(), [](const PixelBox& a, const PixelBox& b) {
                return std::pair(a.top, a.left) < std::pair(b.top, b.left);
            });
            for (const PixelBox& box : split) rows.push_back(make_row(page, box));
        } else if (!pieces.empty()) {
            rows.push_back(make_row(page, {pieces.front().first, band.first, pieces.back().second, band.second}));
        }
    }
    return rows;
}

std::vector<Row> segment_rows(const Image& page, const RowOptions& options) {
    return segment_rows(level_page(page, options), options);
}

std::vector<int> row_columns(const LevelPage& page, const PixelBox& box, const RowOptions& options) {
    constexpr double kSide = 0.3;  // paper kept left and right, in text heights
    const int height = box.bottom - box.top;
    const int side = round_even(kSide * height);
    const int gap = round_even(options.max_gap * height);
    std::vector<int> columns;
    for (int x = box.left - side; x < box.left; ++x) columns.push_back(x);
    const std::vector<uint8_t> inked = inked_columns(page.ink, box);
    int blank = 0;
    for (int x = box.left; x < box.right; ++x) {
        blank = inked[static_cast<size_t>(x - box.left)] ? 0 : blank + 1;
        if (blank <= gap) columns.push_back(x);
    }
    for (int x = box.right; x < box.right + side; ++x) columns.push_back(x);
    return columns;
}

PointF in_row(const LevelPage& page, const PixelBox& box, const std::vector<int>& columns, double x, double y,
              const RowOptions& options) {
    const double turn = page.angle * (3.14159265358979323846 / 180.0);
    const double centre_x = page.gray.width / 2.0, centre_y = page.gray.height / 2.0;
    const double dx = x * page.scale - centre_x, dy = y * page.scale - centre_y;
    const double level_x = std::cos(turn) * dx + std::sin(turn) * dy + centre_x;
    const double level_y = -std::sin(turn) * dx + std::cos(turn) * dy + centre_y;
    const int height = box.bottom - box.top;
    const int margin = round_even(options.margin * height);
    const int column = static_cast<int>(std::floor(level_x));
    const auto at = std::lower_bound(columns.begin(), columns.end(), column);
    if (at == columns.end() || *at != column) return {-1.F, -1.F};
    const double along = static_cast<double>(at - columns.begin()) + (level_x - column);
    return {static_cast<float>(along / static_cast<double>(columns.size())),
            static_cast<float>((level_y - box.top + margin) / (height + 2.0 * margin))};
}

Image crop_row(const LevelPage& page, const PixelBox& box, const RowOptions& options) {
    check_page(page, "crop_row");
    const Image& gray = page.gray;
    if (box.left < 0 || box.top < 0 || box.right > gray.width || box.bottom > gray.height || box.left >= box.right ||
        box.top >= box.bottom) {
        throw invalid_argument("crop_row: the box (" + std::to_string(box.left) + ", " + std::to_string(box.top) +
                               ", " + std::to_string(box.right) + ", " + std::to_string(box.bottom) +
                               ") is empty or leaves the level page of " + std::to_string(gray.width) + "x" +
                               std::to_string(gray.height));
    }
    const int height = box.bottom - box.top;
    const int margin = round_even(options.margin * height);
    const std::vector<int> columns = row_columns(page, box, options);

    Image row = make_image(static_cast<int>(columns.size()), height + 2 * margin, 1, 255);
    for (int y = 0; y < row.height; ++y) {
        const int from_y = box.top - margin + y;
        if (from_y < 0 || from_y >= gray.height) continue;
        const uint8_t* src = gray.row(from_y);
        uint8_t* dst = row.row(y);
        for (size_t i = 0; i < columns.size(); ++i) {
            if (columns[i] >= 0 && columns[i] < gray.width) dst[i] = src[columns[i]];
        }
    }
    const int step = options.width_step;
    const double width = static_cast<double>(row.width * int64_t{options.row_height}) / row.height / step;
    const double most = static_cast<double>(options.max_row_width);
    const int target = static_cast<int>(std::clamp(std::nearbyint(width) * step, 2.0 * step, most));
    return resize(row, target, options.row_height);
}

Image mark_positions(const Image& row) {
    check_image(row, "mark_positions");
    if (row.channels != 1)
        throw invalid_argument("mark_positions: the row has 3 channels or more; expected a gray row");
    Image out = make_image(row.width, row.height, 3);
    for (int x = 0; x < row.width; ++x) {
        const double wave = std::floor(128.0 + 127.0 * std::sin(2.0 * 3.14159265358979323846 * x / 128.0) + 0.5);
        for (int y = 0; y < row.height; ++y) {
            uint8_t* pixel = out.row(y) + 3 * static_cast<size_t>(x);
            pixel[0] = row.row(y)[x];
            pixel[1] = static_cast<uint8_t>(wave);
            pixel[2] = static_cast<uint8_t>(std::min(255, x / 4));
        }
    }
    return out;
}

}  // namespace vlm
