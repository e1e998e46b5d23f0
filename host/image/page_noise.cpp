/** @file page_noise.cpp
 *  Connected components and a median; see page_noise.hpp for what they are for.
 */
#include "host/image/page_noise.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "host/image/connected_parts.hpp"
#include "host/image/draw.hpp"

namespace vlm::rows {

namespace {

/** Bounds of a connected part, right and bottom exclusive. */
PixelBox bounds_of(const std::vector<size_t>& part, size_t width) {
    PixelBox box{static_cast<int>(width), static_cast<int>(part.front() / width), 0,
                 static_cast<int>(part.front() / width)};
    for (const size_t at : part) {
        const int x = static_cast<int>(at % width), y = static_cast<int>(at / width);
        box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1), std::max(box.bottom, y + 1)};
    }
    return box;
}

/** Number of ink pixels in any rectangle, from sums over all rectangles at the picture's corner. */
class InkCounter {
  public:
    explicit InkCounter(const Image& ink)
        : width_(ink.width), height_(ink.height), sums_(size_t(width_ + 1) * size_t(height_ + 1), 0) {
        for (int y = 0; y < height_; ++y) {
            uint32_t row = 0;
            for (int x = 0; x < width_; ++x) {
                row += ink.row(y)[x];
                sums_[index(x + 1, y + 1)] = sums_[index(x + 1, y)] + row;
            }
        }
    }

    uint32_t count(const PixelBox& box) const {
        const int left = std::max(box.left, 0), right = std::min(box.right, width_);
        const int top = std::max(box.top, 0), bottom = std::min(box.bottom, height_);
        return sums_[index(right, bottom)] - sums_[index(left, bottom)] - sums_[index(right, top)] +
               sums_[index(left, top)];
    }

  private:
    size_t index(int x, int y) const { return size_t(y) * size_t(width_ + 1) + size_t(x); }

    int width_;
    int height_;
    std::vector<uint32_t> sums_;
};

/** Median of nine by the exchange network of Paeth (Graphics Gems I, 1990). */
uint8_t median_of(std::array<uint8_t, 9> v) {
    const auto order = [&v](size_t a, size_t b) {
        const uint8_t low = std::min(v[a], v[b]);
        v[b] = std::max(v[a], v[b]);
        v[a] = low;
    };
    constexpr std::pair<size_t, size_t> kNetwork[] = {{1, 2}, {4, 5}, {7, 8}, {0, 1}, {3, 4}, {6, 7}, {1, 2},
                                                      {4, 5}, {7, 8}, {0, 3}, {5, 8}, {4, 7}, {3, 6}, {1, 4},
                                                      {2, 5}, {4, 7}, {4, 2}, {6, 4}, {4, 2}};
    for (const auto& [a, b] : kNetwork) order(a, b);
    return v[4];
}

}  // namespace

bool is_noisy(const Image& ink) {
    constexpr size_t kGrain = 2;          // pixels
    constexpr double kAllowed = 0.00055;  // of all pixels; the faintest small print leaves up to 0.0005 of them
    size_t grain = 0;
    for_each_part(ink, [&](const std::vector<size_t>& part) { grain += part.size() <= kGrain ? part.size() : 0; });
    return static_cast<double>(grain) > kAllowed * static_cast<double>(ink.pixels.size());
}

Image median_3x3(const Image& gray) {
    Image out = gray;
    for (int y = 0; y < gray.height; ++y) {
        const uint8_t* rows[3] = {gray.row(std::max(y - 1, 0)), gray.row(y),
                                  gray.row(std::min(y + 1, gray.height - 1))};
        for (int x = 0; x < gray.width; ++x) {
            const int left = std::max(x - 1, 0), right = std::min(x + 1, gray.width - 1);
            std::array<uint8_t, 9> window;
            for (size_t r = 0; r < 3; ++r) {
                window[3 * r] = rows[r][left];
                window[3 * r + 1] = rows[r][x];
                window[3 * r + 2] = rows[r][right];
            }
            out.row(y)[x] = median_of(window);
        }
    }
    return out;
}

Image without_small_parts(const Image& ink, int area) {
    Image out = ink;
    for_each_part(ink, [&](const std::vector<size_t>& part) {
        if (part.size() > static_cast<size_t>(area)) return;
        for (const size_t at : part) out.pixels[at] = 0;
    });
    return out;
}

Image without_rule_ends(const Image& ink, const Rules& rules, Image& gray) {
    constexpr int kThin = 4;        // pixels; rules are hardly thicker
    constexpr int kLong = 6;        // pixels; decimal points over an underline are shorter
    constexpr int kAside = 2;       // pixels that a rule may have moved sideways
    constexpr int kBeyond = 24;     // pixels in which the rule must go on,
    constexpr int kHair = 2;        // and for parts no thicker than this,
    constexpr int kFar = 80;        // because faint rules have wide gaps
    constexpr uint32_t kRule = 16;  // wiped pixels that are a rule
    const auto width = static_cast<size_t>(ink.width);
    const InkCounter lines_across(rules.across), lines_down(rules.down);
    Image out = ink;
    for_each_part(ink, [&](const std::vector<size_t>& part) {
        const PixelBox box = bounds_of(part, width);
        const int across = box.right - box.left, down = box.bottom - box.top;
        const int reach = std::min(across, down) <= kHair ? kFar : kBeyond;
        const PixelBox above{box.left - kAside, box.top - reach, box.right + kAside, box.bottom + reach};
        const PixelBox beside{box.left - reach, box.top - kAside, box.right + reach, box.bottom + kAside};
        const bool upright = across <= kThin && down >= std::max(kLong, 2 * across) && lines_down.count(above) >= kRule;
        const bool level = down <= kThin && across >= std::max(kLong, 2 * down) && lines_across.count(beside) >= kRule;
        if (!upright && !level) return;
        for (const size_t at : part) {
            out.pixels[at] = 0;
            const int x = static_cast<int>(at % width), y = static_cast<int>(at / width);
            for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, gray.height - 1); ++ny)
                std::fill(gray.row(ny) + std::max(x - 1, 0), gray.row(ny) + std::min(x + 2, gray.width), uint8_t{255});
        }
    });
    return out;
}

Image without_blots(const Image& ink) {
    constexpr int kLeastLetter = 8;  // pixels; lower parts are dots and dashes
    constexpr double kBlot = 0.6;    // letters
    constexpr int kAlone = 2;        // letters
    const auto width = static_cast<size_t>(ink.width);
    std::vector<int> heights;
    for_each_part(ink, [&](const std::vector<size_t>& part) {
        const PixelBox box = bounds_of(part, width);
        if (box.bottom - box.top >= kLeastLetter) heights.push_back(box.bottom - box.top);
    });
    if (heights.empty()) return ink;
    const auto middle = heights.begin() + static_cast<long>(heights.size() / 2);
    std::nth_element(heights.begin(), middle, heights.end());
    const int letter = *middle;

    const InkCounter counter(ink);
    Image out = ink;
    for_each_part(ink, [&](const std::vector<size_t>& part) {
        const PixelBox box = bounds_of(part, width);
        if (std::max(box.right - box.left, box.bottom - box.top) > kBlot * letter) return;
        const int reach = kAlone * letter;
        const PixelBox around{box.left - reach, box.top - reach, box.right + reach, box.bottom + reach};
        if (counter.count(around) != part.size()) return;
        for (const size_t at : part) out.pixels[at] = 0;
    });
    return out;
}

}  // namespace vlm::rows
