/** @file level_page.cpp
 *  From a photograph of a page to even, level, rule-free ink. See rows.hpp for why in this order.
 *
 *  The arithmetic (float32 sums in this order, truncation, PIL's rotate) is that of tools/train/rows.py and kept to the
 * last bit. Skew by projection profile: W. Postl, "Detection of linear oblique structures and skew scan in digitized
 * documents", ICPR 1986.
 */
#include "host/image/level_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "host/base/error.hpp"
#include "host/image/keystone.hpp"
#include "host/image/page_noise.hpp"
#include "host/image/process.hpp"
#include "host/image/resize.hpp"
#include "host/image/surroundings.hpp"

namespace vlm::rows {

namespace {

constexpr int kBlock = 8;   ///< side of the blocks in which the paper's brightness is measured
constexpr int kWindow = 7;  ///< blocks in the closing and in the mean that follows it
constexpr double kPi = 3.14159265358979323846;

/** A kWindow x kWindow reduction with repeated edges, first along rows, then along columns. */
template <typename Reduce>
FloatImage filter(const FloatImage& image, Reduce reduce) {
    const auto one_axis = [&](const FloatImage& in, bool along_x) {
        FloatImage out = in;
        for (int y = 0; y < in.height; ++y) {
            for (int x = 0; x < in.width; ++x) {
                std::array<float, kWindow> values;
                for (int i = 0; i < kWindow; ++i) {
                    const int at_x = along_x ? std::clamp(x + i - kWindow / 2, 0, in.width - 1) : x;
                    const int at_y = along_x ? y : std::clamp(y + i - kWindow / 2, 0, in.height - 1);
                    values[size_t(i)] = in.pixels[size_t(at_y) * size_t(in.width) + size_t(at_x)];
                }
                out.pixels[size_t(y) * size_t(in.width) + size_t(x)] = reduce(values);
            }
        }
        return out;
    };
    return one_axis(one_axis(image, true), false);
}

using Window = std::array<float, kWindow>;

float maximum(const Window& values) {
    return *std::max_element(values.begin(), values.end());
}
float minimum(const Window& values) {
    return *std::min_element(values.begin(), values.end());
}

float mean(const Window& values) {
    float sum = 0.0f;
    for (const float value : values) sum += value;
    return sum / static_cast<float>(kWindow);
}

/** Brightest pixel of each block; blocks that leave the picture see its last row or column repeated, that is nothing
 * new. */
FloatImage brightest_blocks(const Image& gray) {
    FloatImage blocks{(gray.width + kBlock - 1) / kBlock, (gray.height + kBlock - 1) / kBlock, {}};
    blocks.pixels.assign(size_t(blocks.width) * size_t(blocks.height), 0.0f);
    for (int y = 0; y < gray.height; ++y) {
        float* out = blocks.pixels.data() + size_t(y / kBlock) * size_t(blocks.width);
        const uint8_t* row = gray.row(y);
        for (int x = 0; x < gray.width; ++x) out[x / kBlock] = std::max(out[x / kBlock], static_cast<float>(row[x]));
    }
    return blocks;
}

/** Python's round(value, 15). */
double round_15(double value) {
    std::array<char, 40> text;
    std::snprintf(text.data(), text.size(), "%.15f", value);
    return std::strtod(text.data(), nullptr);
}

/** Marks the pixels of horizontal (or, transposed, vertical) runs of at least `length` and their neighbours across. */
void mark_runs(const Image& ink, int length, bool vertical, Image& marks) {
    const int lines = vertical ? ink.width : ink.height;
    const int along = vertical ? ink.height : ink.width;
    const auto step = vertical ? ink.stride() : size_t{1};
    const auto across = vertical ? size_t{1} : ink.stride();
    for (int line = 0; line < lines; ++line) {
        const size_t start = static_cast<size_t>(line) * across;
        for (int begin = 0, end = 0; begin < along; begin = end + 1) {
            for (end = begin; end < along && ink.pixels[start + size_t(end) * step]; ++end) {
            }
            if (end - begin < length) continue;
            for (int i = begin; i < end; ++i) {
                const size_t at = start + size_t(i) * step;
                marks.pixels[at] = 1;
                if (line > 0) marks.pixels[at - across] = 1;
                if (line + 1 < lines) marks.pixels[at + across] = 1;
            }
        }
    }
}

}  // namespace

Image gray_without_red(const Image& page) {
    // JPEG stores colour at half resolution, so a thin red line keeps its dark luminance and gets only part of its red:
    // what red there is counts twice. Warm papers and inks stay below the threshold.
    constexpr int kRed = 24;
    if (page.channels == 1) return page;
    const Image rgb = to_rgb(page);
    Image gray = to_gray(rgb);
    for (size_t i = 0; i < gray.pixels.size(); ++i) {
        const int red = rgb.pixels[3 * i];
        const int excess = red - gray.pixels[i];
        const int lifted = excess > kRed ? std::min(255, red + excess) : red;
        gray.pixels[i] = static_cast<uint8_t>(std::max<int>(gray.pixels[i], lifted));
    }
    return gray;
}

Image flatten_light(const Image& gray) {
    // A closing (maximum, then minimum) bridges letters and keeps slopes of light; the mean smooths it.
    const FloatImage brightest = brightest_blocks(gray);
    const FloatImage blocks = filter(filter(filter(brightest, maximum), minimum), mean);
    ResizeOptions smooth;
    smooth.filter = Filter::kBilinear;
    const FloatImage paper = resize(blocks, blocks.width * kBlock, blocks.height * kBlock, smooth);
    Image out = gray;
    for (int y = 0; y < gray.height; ++y) {
        const float* light = paper.pixels.data() + size_t(y) * size_t(paper.width);
        uint8_t* row = out.row(y);
        for (int x = 0; x < gray.width; ++x) {
            const float value = static_cast<float>(row[x]) * 255.0f / std::max(light[x], 1.0f);
            row[x] = static_cast<uint8_t>(std::min(255.0f, value));
        }
    }
    whiten_surroundings(brightest, kBlock, out);
    return out;
}

Image ink_of(const Image& gray, int threshold) {
    Image ink = gray;
    for (uint8_t& pixel : ink.pixels) pixel = pixel < threshold;
    return ink;
}

std::vector<std::array<double, 2>> sample_ink(const Image& ink) {
    constexpr size_t kEnough = 60000;
    const size_t count = static_cast<size_t>(std::count(ink.pixels.begin(), ink.pixels.end(), uint8_t{1}));
    const size_t step = std::max<size_t>(1, count / kEnough);
    std::vector<std::array<double, 2>> points;
    size_t index = 0;
    for (int y = 0; y < ink.height; ++y) {
        for (int x = 0; x < ink.width; ++x) {
            if (ink.row(y)[x] && index++ % step == 0) points.push_back({double(x), double(y)});
        }
    }
    return points;
}

double find_angle(const Image& ink, double max_angle) {
    constexpr size_t kFewest = 100;
    const auto points = sample_ink(ink);
    if (points.size() < kFewest) return 0.0;
    std::vector<uint64_t> profile;
    const auto sharpness = [&](double angle) {
        const double slope = std::tan(angle * (kPi / 180.0));
        // Slopes lower than 45 degrees keep the index within twice the width of the page beyond its height.
        profile.assign(static_cast<size_t>(ink.height) + 2 * static_cast<size_t>(ink.width) + 2, 0);
        for (const auto& [x, y] : points) ++profile[static_cast<size_t>(std::floor(y - x * slope + ink.width))];
        uint64_t squares = 0;
        for (const uint64_t bin : profile) squares += bin * bin;
        return squares;
    };
    double best = 0.0;
    for (const auto& [width, fineness] : {std::pair{max_angle, 0.25}, std::pair{0.25, 0.05}}) {
        const double centre = best;
        uint64_t sharpest = sharpness(centre);
        // From the centre outwards, so that the nearest angle wins ties.
        for (int i = 1; i <= static_cast<int>(std::nearbyint(width / fineness)); ++i) {
            for (const int side : {-i, i}) {
                const uint64_t value = sharpness(centre + side * fineness);
                if (value <= sharpest) continue;
                sharpest = value;
                best = centre + side * fineness;
            }
        }
    }
    return best;
}

uint8_t sample(const Image& gray, double x, double y) {
    if (x < 0.0 || x >= gray.width || y < 0.0 || y >= gray.height) return 255;
    x -= 0.5;
    y -= 0.5;
    const int left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
    const double dx = x - left, dy = y - top;
    const int x0 = std::clamp(left, 0, gray.width - 1), x1 = std::clamp(left + 1, 0, gray.width - 1);
    const uint8_t* upper = gray.row(std::clamp(top, 0, gray.height - 1));
    const double above = upper[x0] + (upper[x1] - upper[x0]) * dx;
    double below = above;
    if (top + 1 < gray.height) {
        const uint8_t* lower = gray.row(top + 1);
        below = lower[x0] + (lower[x1] - lower[x0]) * dx;
    }
    return static_cast<uint8_t>(above + (below - above) * dy);
}

Image rotate(const Image& gray, double angle) {
    angle = std::fmod(angle, 360.0);
    if (angle < 0) angle += 360.0;
    const double turn = -(angle * (kPi / 180.0));
    const double a = round_15(std::cos(turn)), b = round_15(std::sin(turn));
    const double d = round_15(-std::sin(turn)), e = round_15(std::cos(turn));
    const double centre_x = gray.width / 2.0, centre_y = gray.height / 2.0;
    const double c = a * -centre_x + b * -centre_y + centre_x;
    const double f = d * -centre_x + e * -centre_y + centre_y;
    Image out = make_image(gray.width, gray.height, 1, 255);
    for (int y = 0; y < gray.height; ++y) {
        uint8_t* dst = out.row(y);
        for (int x = 0; x < gray.width; ++x) {
            const double from_x = a * (x + 0.5) + b * (y + 0.5) + c;
            const double from_y = d * (x + 0.5) + e * (y + 0.5) + f;
            dst[x] = sample(gray, from_x, from_y);
        }
    }
    return out;
}

Rules find_rules(const Image& ink, int length) {
    Rules rules{make_image(ink.width, ink.height, 1), make_image(ink.width, ink.height, 1)};
    mark_runs(ink, length, false, rules.across);
    mark_runs(ink, length, true, rules.down);
    return rules;
}

Image wipe_rules(const Image& gray, const Rules& rules) {
    Image out = gray;
    for (size_t i = 0; i < out.pixels.size(); ++i) {
        if (rules.across.pixels[i] || rules.down.pixels[i]) out.pixels[i] = 255;
    }
    return out;
}

Image without_specks(const Image& ink) {
    Image out = ink;
    for (int y = 0; y < ink.height; ++y) {
        for (int x = 0; x < ink.width; ++x) {
            if (!ink.row(y)[x]) continue;
            int count = 0;
            for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, ink.height - 1); ++ny) {
                for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, ink.width - 1); ++nx) count += ink.row(ny)[nx];
            }
            out.row(y)[x] = count >= 3;
        }
    }
    return out;
}

}  // namespace vlm::rows

namespace vlm {

namespace {

/** Medians that a noisy page gets at most; more would take the letters too. */
constexpr int kMedians = 2;

/** Pixels of the largest grain that survives the median of a noisy page. Decimal points may be of this size, but are
 * not needed to find rows. */
constexpr int kGrain = 12;

/** Slopes below this are left alone: turning would blur the page for nothing. */
constexpr double kLevelEnough = 0.03;

void check_options(const RowOptions& options) {
    const bool good = options.max_side >= 0 && options.ink > 0 && options.ink <= 255 && options.max_angle >= 0.0 &&
                      options.max_angle <= 30.0 && options.rule > 0 && options.min_band > 0 && options.row_height > 0 &&
                      options.width_step > 0 && options.max_row_width >= 2 * options.width_step &&
                      options.margin >= 0.0 && options.margin <= 10.0 && options.max_gap >= 0.0 &&
                      options.max_gap <= 1e6;
    if (!good) {
        throw invalid_argument(
            "rows: an option is out of range: lengths must be positive, ink from 1 to 255, max_angle from 0 to 30 "
            "degrees, "
            "margin from 0 to 10 and max_row_width at least twice width_step");
    }
}

/** Turns the page level and undoes its perspective where it has one. */
void make_level(Image& gray, LevelPage& level, const RowOptions& options) {
    const Image ink = rows::ink_of(gray, options.ink);
    const double turned = rows::find_angle(ink, options.max_angle);
    const rows::Slopes slopes = rows::find_fan(ink, turned, options.max_angle);
    level.angle = std::fabs(slopes.angle) < kLevelEnough ? 0.0 : slopes.angle;
    level.keystone = slopes.keystone;
    const auto apply = [&] {
        if (level.keystone != Keystone{}) return rows::straighten(gray, level.angle, level.keystone);
        return level.angle == 0.0 ? gray : rows::rotate(gray, level.angle);
    };
    Image straight = apply();
    const Keystone columns = rows::find_splay(rows::ink_of(straight, options.ink), options.max_angle);
    if (columns != Keystone{}) {
        level.keystone.lean = columns.lean;
        level.keystone.splay = columns.splay;
        straight = apply();
    }
    gray = std::move(straight);
}

}  // namespace

LevelPage level_page(const Image& page, const RowOptions& options) {
    check_image(page, "level_page");
    check_options(options);
    LevelPage level;
    Image gray = rows::gray_without_red(page);
    const int side = std::max(gray.width, gray.height);
    if (options.max_side > 0 && side > options.max_side) {
        level.scale = double(options.max_side) / side;
        const auto shrunk = [&](int length) {
            return std::max(1, static_cast<int>(std::lround(length * level.scale)));
        };
        ResizeOptions box;
        box.filter = Filter::kBilinear;
        gray = resize(gray, shrunk(gray.width), shrunk(gray.height), box);
    }
    // Grain has to go before the light is measured, because the brightest grain would be taken for the paper.
    Image flat = rows::flatten_light(gray);
    const bool noisy = rows::is_noisy(rows::ink_of(flat, options.ink));
    for (int round = 0; round < kMedians && rows::is_noisy(rows::ink_of(flat, options.ink)); ++round) {
        gray = rows::median_3x3(gray);
        flat = rows::flatten_light(gray);
    }
    gray = std::move(flat);
    make_level(gray, level, options);
    const rows::Rules found = rows::find_rules(rows::ink_of(gray, options.ink), options.rule);
    level.gray = rows::wipe_rules(gray, found);
    level.ink = rows::without_specks(rows::ink_of(level.gray, options.ink));
    level.ink = rows::without_rule_ends(level.ink, found, level.gray);
    if (noisy) level.ink = rows::without_small_parts(level.ink, kGrain);
    level.ink = rows::without_blots(level.ink);
    return level;
}

}  // namespace vlm
