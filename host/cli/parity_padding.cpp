/** @file parity_padding.cpp
 *  See parity_padding.hpp.
 */
#include "host/cli/parity_padding.hpp"

#include <functional>
#include <numeric>

namespace vlm::cli {
namespace {

int64_t product(std::span<const int64_t> shape) {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/** Side of the square patches of which an image of `height` x `width` has `patches`, or 0. */
int64_t patch_side(int64_t height, int64_t width, int64_t patches) {
    for (int64_t side = 1; side <= height && side <= width; ++side)
        if ((height / side) * (width / side) == patches) return side;
    return 0;
}

}  // namespace

std::vector<double> without_padding(std::vector<double> values, std::span<const int64_t> shape, const PixelMask& mask) {
    const size_t dims = mask.shape.size();
    if (dims < 3 || shape.size() < 3 || product(mask.shape) != static_cast<int64_t>(mask.values.size())) return values;
    const int64_t height = mask.shape[dims - 2];
    const int64_t width = mask.shape[dims - 1];
    const int64_t images = product(std::span(mask.shape).first(dims - 2));
    const auto real = [&](int64_t image, int64_t y, int64_t x) {
        return mask.values[static_cast<size_t>((image * height + y) * width + x)] != 0;
    };
    std::vector<double> kept;
    const bool pixels = shape.size() >= 4 && shape[shape.size() - 2] == height && shape.back() == width;
    if (pixels && static_cast<int64_t>(values.size()) % (images * height * width) == 0) {
        const int64_t channels = static_cast<int64_t>(values.size()) / (images * height * width);
        for (int64_t i = 0; i < images; ++i)
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t y = 0; y < height; ++y)
                    for (int64_t x = 0; x < width; ++x)
                        if (real(i, y, x))
                            kept.push_back(values[static_cast<size_t>(((i * channels + c) * height + y) * width + x)]);
        return kept;
    }
    const int64_t side = shape.size() == 3 && shape[0] == images ? patch_side(height, width, shape[1]) : 0;
    if (side == 0) return values;
    const int64_t columns = width / side;
    for (int64_t i = 0; i < images; ++i)
        for (int64_t p = 0; p < shape[1]; ++p) {
            const int64_t top = p / columns * side;
            const int64_t left = p % columns * side;
            bool whole = true;
            for (int64_t y = top; y < top + side; ++y)
                for (int64_t x = left; x < left + side; ++x) whole = whole && real(i, y, x);
            const auto row = values.begin() + (i * shape[1] + p) * shape[2];
            if (whole) kept.insert(kept.end(), row, row + shape[2]);
        }
    return kept;
}

std::vector<double> without_rows(std::vector<double> values, std::span<const double> mask) {
    if (mask.empty() || values.size() % mask.size() != 0) return values;
    const size_t width = values.size() / mask.size();
    std::vector<double> kept;
    for (size_t row = 0; row < mask.size(); ++row)
        if (mask[row] != 0)
            kept.insert(kept.end(), values.begin() + static_cast<std::ptrdiff_t>(row * width),
                        values.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    return kept;
}

}  // namespace vlm::cli
