/** @file plot.cpp
 *  See plot.hpp. The letters are drawn from a table of 3 x 5 cells, so that no font is needed.
 */
#include "host/estimate/plot.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "host/image/draw.hpp"

namespace vlm::estimate {
namespace {

/** Five rows of three cells, from the top: bit 2 is the left cell. */
const std::map<char, std::array<int, 5>> kGlyphs = {
    {'0', {7, 5, 5, 5, 7}}, {'1', {2, 6, 2, 2, 7}}, {'2', {7, 1, 7, 4, 7}}, {'3', {7, 1, 7, 1, 7}},
    {'4', {5, 5, 7, 1, 1}}, {'5', {7, 4, 7, 1, 7}}, {'6', {7, 4, 7, 5, 7}}, {'7', {7, 1, 1, 2, 2}},
    {'8', {7, 5, 7, 5, 7}}, {'9', {7, 5, 7, 1, 7}}, {'A', {2, 5, 7, 5, 5}}, {'B', {6, 5, 6, 5, 6}},
    {'C', {7, 4, 4, 4, 7}}, {'D', {6, 5, 5, 5, 6}}, {'E', {7, 4, 6, 4, 7}}, {'F', {7, 4, 6, 4, 4}},
    {'G', {7, 4, 5, 5, 7}}, {'H', {5, 5, 7, 5, 5}}, {'I', {7, 2, 2, 2, 7}}, {'J', {1, 1, 1, 5, 7}},
    {'K', {5, 5, 6, 5, 5}}, {'L', {4, 4, 4, 4, 7}}, {'M', {5, 7, 7, 5, 5}}, {'N', {7, 5, 5, 5, 5}},
    {'O', {7, 5, 5, 5, 7}}, {'P', {7, 5, 7, 4, 4}}, {'Q', {7, 5, 5, 7, 1}}, {'R', {7, 5, 6, 5, 5}},
    {'S', {7, 4, 7, 1, 7}}, {'T', {7, 2, 2, 2, 2}}, {'U', {5, 5, 5, 5, 7}}, {'V', {5, 5, 5, 5, 2}},
    {'W', {5, 5, 7, 7, 5}}, {'X', {5, 5, 2, 5, 5}}, {'Y', {5, 5, 2, 2, 2}}, {'Z', {7, 1, 2, 4, 7}},
    {'.', {0, 0, 0, 0, 2}}, {':', {0, 2, 0, 2, 0}}, {'@', {7, 5, 7, 4, 7}}, {'-', {0, 0, 7, 0, 0}},
    {'/', {1, 1, 2, 4, 4}}, {'(', {1, 2, 2, 2, 1}}, {')', {4, 2, 2, 2, 4}}, {'+', {0, 2, 7, 2, 0}},
};
constexpr int kScale = 3;
constexpr int kAdvance = 4 * kScale;
constexpr Color kInk = {30, 30, 30, 255};

void rectangle(Image& image, int left, int top, int right, int bottom, const Color& color) {
    if (right > left && bottom > top) blend_box(image, {left, top, right, bottom}, color, 1.F);
}

void write(Image& image, int x, int y, const std::string& text) {
    for (const char letter : text) {
        const auto glyph = kGlyphs.find(static_cast<char>(std::toupper(static_cast<unsigned char>(letter))));
        if (glyph != kGlyphs.end())
            for (int row = 0; row < 5; ++row)
                for (int column = 0; column < 3; ++column)
                    if ((glyph->second[static_cast<size_t>(row)] >> (2 - column) & 1) != 0)
                        rectangle(image, x + column * kScale, y + row * kScale, x + (column + 1) * kScale,
                                  y + (row + 1) * kScale, kInk);
        x += kAdvance;
    }
}

int width_of(const std::string& text) {
    return static_cast<int>(text.size()) * kAdvance;
}

/** Colours far from each other on the map that colour-blind people can read. */
Color series_color(size_t index, size_t count) {
    const auto place = count > 1 ? static_cast<float>(index) / static_cast<float>(count - 1) : 0.F;
    return heat_color(0.15F + 0.75F * place);
}

}  // namespace

Image plot_bars(const std::string& title, const std::vector<std::string>& series, const std::vector<Bar>& bars) {
    constexpr int kMargin = 20, kRow = 44, kBar = 28, kLength = 620;
    int label = 0, total = 0;
    double largest = 0;
    for (const auto& bar : bars) {
        double sum = 0;
        for (const double part : bar.parts) sum += part;
        largest = std::max(largest, sum);
        label = std::max(label, width_of(bar.label));
        total = std::max(total, width_of(bar.total));
    }
    int legend = 0;
    for (const auto& name : series) legend += width_of(name) + 3 * kAdvance;
    const int width = std::max(
        {2 * kMargin + label + 2 * kAdvance + kLength + total, 2 * kMargin + width_of(title), 2 * kMargin + legend});
    const int height = 2 * kMargin + 2 * kRow + kRow * static_cast<int>(bars.size());
    Image image = make_image(width, height, 3);
    rectangle(image, 0, 0, width, height, {255, 255, 255, 255});
    write(image, kMargin, kMargin, title);
    int x = kMargin;
    for (size_t i = 0; i < series.size(); ++i) {
        rectangle(image, x, kMargin + kRow, x + 15, kMargin + kRow + 15, series_color(i, series.size()));
        write(image, x + 2 * kAdvance, kMargin + kRow, series[i]);
        x += width_of(series[i]) + 3 * kAdvance;
    }
    int y = kMargin + 2 * kRow;
    for (const auto& bar : bars) {
        write(image, kMargin, y + 7, bar.label);
        const int left = kMargin + label + kAdvance;
        double sum = 0;
        for (size_t i = 0; i < bar.parts.size(); ++i) {
            const auto at = [&](double value) {
                return left + (largest > 0 ? static_cast<int>(std::lround(value / largest * kLength)) : 0);
            };
            rectangle(image, at(sum), y, at(sum + bar.parts[i]), y + kBar, series_color(i, series.size()));
            sum += bar.parts[i];
        }
        const int end = left + (largest > 0 ? static_cast<int>(std::lround(sum / largest * kLength)) : 0);
        write(image, end + kAdvance / 2, y + 7, bar.total);
        y += kRow;
    }
    return image;
}

void write_text(Image& image, int x, int y, const std::string& text) {
    write(image, x, y, text);
}

int text_width(const std::string& text) {
    return width_of(text);
}

}  // namespace vlm::estimate
