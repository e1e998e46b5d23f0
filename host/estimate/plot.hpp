/** @file plot.hpp
 *  Bars as a PNG picture, without a plotting library: enough to see what grows with a picture's size.
 */
#pragma once
#include <string>
#include <vector>

#include "host/image/image.hpp"

namespace vlm::estimate {

/** One bar of stacked parts. */
struct Bar {
    std::string label;          ///< Letters, digits and " .:@x-/()".
    std::vector<double> parts;  ///< Not negative; one per series.
    std::string total;          ///< Text behind the bar.
};

/** Draws horizontal bars with a title and a legend; all bars have one scale, from 0. */
Image plot_bars(const std::string& title, const std::vector<std::string>& series, const std::vector<Bar>& bars);

/** Writes text in cells of 4 x 6 units of 3 pixels, from the top left corner; letters that it has no cells for are
 * blank.
 */
void write_text(Image& image, int x, int y, const std::string& text);

/** Pixels that the text takes along the line. */
int text_width(const std::string& text);

}  // namespace vlm::estimate
