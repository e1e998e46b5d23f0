/** @file keystone.cpp
 *  See keystone.hpp.
 */
#include "host/image/keystone.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/image/level_page.hpp"

namespace vlm::rows {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180.0;

/** Ink relative to the centre of its picture: `along` the lines that are looked for, and `across` them. */
struct Point {
    double along, across;
};

/** Lines at `across = c + along * (slope + fan * c)`, one for each c. */
struct Lines {
    double slope = 0.0;
    double fan = 0.0;
};

/** Sum of squares of the profile across the lines, each `stride`th point counted. */
class Profile {
  public:
    Profile(const std::vector<Point>& points, double reach) : points_(points), middle_(2 * reach) {
        bins_.resize(static_cast<size_t>(4 * reach) + 2);
    }

    uint64_t sharpness(const Lines& lines, size_t stride) {
        std::fill(bins_.begin(), bins_.end(), 0);
        const double last = static_cast<double>(bins_.size() - 1);
        for (size_t i = 0; i < points_.size(); i += stride) {
            const auto& [along, across] = points_[i];
            const double c = (across - along * lines.slope) / (1.0 + along * lines.fan);
            ++bins_[static_cast<size_t>(std::clamp(c + middle_, 0.0, last))];
        }
        uint64_t squares = 0;
        for (const uint64_t bin : bins_) squares += bin * bin;
        return squares;
    }

  private:
    const std::vector<Point>& points_;
    double middle_;
    std::vector<uint64_t> bins_;
};

/** The lines with the sharpest profile, or `start` where no others are `gain` times as sharp.
 *  @param reach half of the picture across the lines: where `max_slope` beyond the centre's slope is the limit
 *  @param width half of the picture along the lines */
Lines find_lines(const std::vector<Point>& points, const Lines& start, double reach, double width, double max_slope,
                 double gain) {
    constexpr size_t kCoarse = 12000;  // points that serve a first look
    constexpr int kSteps = 8;          // to each side of the start
    constexpr int kHalvings = 5;
    Profile profile(points, reach + width);
    const size_t stride = std::max<size_t>(1, points.size() / kCoarse);
    double slope_step = max_slope / kSteps;
    // On a strip the second limit holds, lest lines cross within the picture.
    double fan_step = std::min(max_slope / reach, 0.25 / width) / kSteps;
    const auto look_around = [&](const Lines& centre, int steps, size_t every) {
        Lines best = centre;
        uint64_t sharpest = profile.sharpness(centre, every);
        for (int i = -steps; i <= steps; ++i) {
            for (int k = -steps; k <= steps; ++k) {
                const Lines lines{centre.slope + i * slope_step, centre.fan + k * fan_step};
                const uint64_t value = profile.sharpness(lines, every);
                if (value <= sharpest) continue;
                sharpest = value;
                best = lines;
            }
        }
        return best;
    };
    Lines best = look_around(start, kSteps, stride);
    for (int i = 0; i < kHalvings; ++i) {
        slope_step /= 2;
        fan_step /= 2;
        best = look_around(best, 1, i + 2 < kHalvings ? stride : 1);
    }
    const auto before = static_cast<double>(profile.sharpness(start, 1));
    return static_cast<double>(profile.sharpness(best, 1)) >= gain * before ? best : start;
}

/** The ink in vertical runs of at least `length` pixels. */
Image long_strokes(const Image& ink, int length) {
    Image out = make_image(ink.width, ink.height, 1);
    for (int x = 0; x < ink.width; ++x) {
        for (int begin = 0, end = 0; begin < ink.height; begin = end + 1) {
            for (end = begin; end < ink.height && ink.row(end)[x]; ++end) {
            }
            if (end - begin < length) continue;
            for (int y = begin; y < end; ++y) out.row(y)[x] = 1;
        }
    }
    return out;
}

}  // namespace

Slopes find_fan(const Image& ink, double angle, double max_angle) {
    constexpr double kGain = 1.06;  // level and turned scans gain at most 1.02
    constexpr size_t kFewest = 1000;
    std::vector<Point> points;
    for (const auto& [x, y] : sample_ink(ink)) points.push_back({x - ink.width / 2.0, y - ink.height / 2.0});
    if (points.size() < kFewest) return {angle, {}};
    const Lines found = find_lines(points, {std::tan(angle * kRadians), 0.0}, ink.height / 2.0, ink.width / 2.0,
                                   std::tan(max_angle * kRadians), kGain);
    if (found.fan == 0.0) return {angle, {}};
    return {std::atan(found.slope) / kRadians, {found.fan, 0.0, 0.0}};
}

Keystone find_splay(const Image& ink, double max_angle) {
    constexpr double kGain = 1.3;  // columns of text without rules gain up to 1.2
    constexpr int kStroke = 24;    // pixels; few letters have strokes as long
    constexpr size_t kFewest = 400;
    std::vector<Point> points;
    for (const auto& [x, y] : sample_ink(long_strokes(ink, kStroke)))
        points.push_back({y - ink.height / 2.0, x - ink.width / 2.0});
    if (points.size() < kFewest) return {};
    const Lines found =
        find_lines(points, {}, ink.width / 2.0, ink.height / 2.0, std::tan(max_angle * kRadians), kGain);
    return {0.0, found.slope, found.fan};
}

BeforeLevelling::BeforeLevelling(int width, int height, double angle, const Keystone& keystone)
    : centre_x_(width / 2.0),
      centre_y_(height / 2.0),
      cos_(std::cos(angle * kRadians)),
      sin_(std::sin(angle * kRadians)),
      keystone_(keystone) {}

std::array<double, 2> BeforeLevelling::operator()(double x, double y) const {
    const double from_left = x - centre_x_, from_top = y - centre_y_;
    const double dx = from_left + from_top * (keystone_.lean + keystone_.splay * from_left);
    const double dy = from_top + dx * keystone_.fan * from_top;
    return {cos_ * dx - sin_ * dy + centre_x_, sin_ * dx + cos_ * dy + centre_y_};
}

Image straighten(const Image& gray, double angle, const Keystone& keystone) {
    const BeforeLevelling before(gray.width, gray.height, angle, keystone);
    Image out = make_image(gray.width, gray.height, 1, 255);
    for (int y = 0; y < gray.height; ++y) {
        for (int x = 0; x < gray.width; ++x) {
            const auto [from_x, from_y] = before(x + 0.5, y + 0.5);
            out.row(y)[x] = sample(gray, from_x, from_y);
        }
    }
    return out;
}

}  // namespace vlm::rows
