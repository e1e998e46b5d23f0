/** @file resize.cpp
 *  Coefficients, order of passes and the special cases (copy, crop, nearest, premultiplied alpha) of Pillow's resize.
 *
 *  Source: Pillow 13, src/libImaging/Resample.c (precompute_coeffs, ImagingResampleInner), src/_imaging.c (_resize),
 *  src/libImaging/Geometry.c (ImagingScaleAffine), src/PIL/Image.py (Image.resize).
 */
#include "host/image/resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "host/base/error.hpp"
#include "host/image/resample_kernels.hpp"

namespace vlm {

namespace {

using resample::Axis;
using resample::Coefficients;

constexpr double kPi = 3.14159265358979323846;

double box_filter(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double bilinear_filter(double x) {
    x = std::fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

double hamming_filter(double x) {
    x = std::fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= kPi;
    // The window's constants are single precision in Pillow and stay so here: their rounding shows in the last bit.
    return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

double bicubic_filter(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= kPi;
    return std::sin(x) / x;
}

double lanczos_filter(double x) {
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct Kernel {
    double (*function)(double);
    double support;
};

Kernel kernel_of(Filter filter) {
    switch (filter) {
        case Filter::kBox:
            return {box_filter, 0.5};
        case Filter::kBilinear:
            return {bilinear_filter, 1.0};
        case Filter::kHamming:
            return {hamming_filter, 1.0};
        case Filter::kBicubic:
            return {bicubic_filter, 2.0};
        case Filter::kLanczos:
            return {lanczos_filter, 3.0};
        case Filter::kNearest:
            break;
    }
    throw invalid_argument("resize: filter number " + std::to_string(static_cast<int>(filter)) +
                           " has no kernel; use one of vlm::Filter");
}

Coefficients compute_coefficients(int in_size, float in0, float in1, int out_size, const Kernel& kernel) {
    const double scale = static_cast<double>(in1 - in0) / out_size;
    const double filter_scale = std::max(scale, 1.0);
    const double support = kernel.support * filter_scale;
    Coefficients c;
    // Samples outside of the picture have no coefficient, so a very wide filter needs no more than in_size of them.
    c.taps = static_cast<int>(std::min<double>(std::ceil(support) * 2 + 1, in_size));
    c.first.resize(static_cast<size_t>(out_size));
    c.count.resize(static_cast<size_t>(out_size));
    c.weights.assign(static_cast<size_t>(out_size) * static_cast<size_t>(c.taps), 0.0);
    const double inverse_scale = 1.0 / filter_scale;
    for (int x = 0; x < out_size; ++x) {
        const double center = in0 + (x + 0.5) * scale;
        const int first = std::max(static_cast<int>(center - support + 0.5), 0);
        const int last = std::min(static_cast<int>(center + support + 0.5), in_size);
        double* k = c.weights.data() + static_cast<size_t>(x) * static_cast<size_t>(c.taps);
        double total = 0.0;
        for (int t = 0; t < last - first; ++t) {
            k[t] = kernel.function((t + first - center + 0.5) * inverse_scale);
            total += k[t];
        }
        if (total != 0.0) {
            for (int t = 0; t < last - first; ++t) k[t] /= total;
        }
        c.first[static_cast<size_t>(x)] = first;
        c.count[static_cast<size_t>(x)] = std::max(last - first, 0);
    }
    return c;
}

/** What both picture types need to know before the passes. */
struct Plan {
    ResizeBox box;
    bool copy = false;  ///< the box is exactly width x height whole pixels
    bool need_horizontal = false;
    bool need_vertical = false;
    bool horizontal_first = true;
};

/** Longest target side. Bounds the coefficient tables, which grow with the side alone. */
constexpr int kMaxSide = 1 << 20;

Plan make_plan(int in_width, int in_height, int width, int height, const ResizeOptions& options) {
    if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide) {
        throw invalid_argument("resize: the target is " + std::to_string(width) + "x" + std::to_string(height) +
                               " pixels; both sides must be from 1 to " + std::to_string(kMaxSide));
    }
    Plan plan;
    plan.box = options.box.value_or(ResizeBox{0, 0, static_cast<float>(in_width), static_cast<float>(in_height)});
    const ResizeBox& box = plan.box;
    // Negated comparisons so that a NaN is refused as well.
    if (!(box.left >= 0 && box.top >= 0 && box.right <= static_cast<float>(in_width) &&
          box.bottom <= static_cast<float>(in_height) && box.right > box.left && box.bottom > box.top)) {
        throw invalid_argument("resize: the box (" + std::to_string(box.left) + ", " + std::to_string(box.top) + ", " +
                               std::to_string(box.right) + ", " + std::to_string(box.bottom) +
                               ") is empty or leaves the picture of " + std::to_string(in_width) + "x" +
                               std::to_string(in_height));
    }
    const auto w = static_cast<float>(width);
    const auto h = static_cast<float>(height);
    plan.copy = box.left == std::floor(box.left) && box.right - box.left == w && box.top == std::floor(box.top) &&
                box.bottom - box.top == h;
    plan.need_horizontal = width != in_width || box.left != 0 || box.right != w;
    plan.need_vertical = height != in_height || box.top != 0 || box.bottom != h;
    if (options.order == PassOrder::kPillow13) {
        const int64_t lost_rows = int64_t{in_height} - height;
        plan.horizontal_first = !(lost_rows > 0 && lost_rows > (int64_t{in_width} - width) * 2);
    }
    return plan;
}

/** Source index of each output sample for nearest; -1 where accumulated rounding leaves the picture. */
std::vector<int> nearest_indices(float in0, float in1, int in_size, int out_size) {
    const double step = static_cast<double>(in1 - in0) / out_size;
    double at = in0 + step * 0.5;
    std::vector<int> indices(static_cast<size_t>(out_size));
    for (int& index : indices) {  // summed, not multiplied: Pillow's rounding decides ties
        const int i = static_cast<int>(at);
        index = i < in_size ? i : -1;
        at += step;
    }
    return indices;
}

/** Nearest neighbour and plain copies, for pixels of `pixel_bytes` bytes. */
void gather(const uint8_t* src, size_t src_stride, size_t pixel_bytes, const std::vector<int>& xs,
            const std::vector<int>& ys, uint8_t* dst) {
    for (const int y : ys) {
        for (const int x : xs) {
            if (x >= 0 && y >= 0) {
                std::memcpy(dst, src + static_cast<size_t>(y) * src_stride + static_cast<size_t>(x) * pixel_bytes,
                            pixel_bytes);
            }
            dst += pixel_bytes;
        }
    }
}

std::vector<int> consecutive(int first, int count) {
    std::vector<int> indices(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = first + i;
    return indices;
}

Axis axis_of(const Coefficients& c, const std::vector<int32_t>& weights) {
    return {c.first.data(), c.count.data(), weights.data(), c.taps, static_cast<int>(c.first.size())};
}

Image horizontal_pass(const Image& image, int first_row, int rows, const Coefficients& c) {
    const std::vector<int32_t> weights = resample::to_fixed_point(c.weights);
    Image out = make_image(static_cast<int>(c.first.size()), rows, image.channels);
    const size_t offset = static_cast<size_t>(first_row) * image.stride();
    const auto pass = resample::has_avx2() ? resample::horizontal_avx2 : resample::horizontal_scalar;
    pass(image.pixels.data() + offset, image.pixels.size() - offset, image.stride(), rows, image.channels,
         axis_of(c, weights), out.pixels.data());
    return out;
}

Image vertical_pass(const Image& image, const Coefficients& c) {
    const std::vector<int32_t> weights = resample::to_fixed_point(c.weights);
    Image out = make_image(image.width, static_cast<int>(c.first.size()), image.channels);
    const auto pass = resample::has_avx2() ? resample::vertical_avx2 : resample::vertical_scalar;
    pass(image.pixels.data(), image.stride(), axis_of(c, weights), out.pixels.data());
    return out;
}

FloatImage make_float_image(int width, int height) {
    const uint64_t count = uint64_t(width) * uint64_t(height);
    if (count > (uint64_t{1} << 30)) {
        throw resource_exhausted("resize: a float picture of " + std::to_string(width) + "x" + std::to_string(height) +
                                 " is beyond the limit of 2^30 values; use a smaller size");
    }
    return {width, height, std::vector<float>(static_cast<size_t>(count))};
}

FloatImage horizontal_pass(const FloatImage& image, int first_row, int rows, const Coefficients& c) {
    const size_t width = c.first.size();
    FloatImage out = make_float_image(static_cast<int>(width), rows);
    float* dst = out.pixels.data();
    for (int y = 0; y < rows; ++y) {
        const float* row = image.pixels.data() + static_cast<size_t>(first_row + y) * static_cast<size_t>(image.width);
        for (size_t x = 0; x < width; ++x) {
            const double* k = c.weights.data() + x * static_cast<size_t>(c.taps);
            double sum = 0.0;
            for (int t = 0; t < c.count[x]; ++t) sum += row[c.first[x] + t] * k[t];
            *dst++ = static_cast<float>(sum);
        }
    }
    return out;
}

FloatImage vertical_pass(const FloatImage& image, const Coefficients& c) {
    const auto width = static_cast<size_t>(image.width);
    FloatImage out = make_float_image(image.width, static_cast<int>(c.first.size()));
    std::vector<double> sums(width);
    float* dst = out.pixels.data();
    for (size_t y = 0; y < c.first.size(); ++y) {
        const double* k = c.weights.data() + y * static_cast<size_t>(c.taps);
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int t = 0; t < c.count[y]; ++t) {
            const float* row = image.pixels.data() + static_cast<size_t>(c.first[y] + t) * width;
            for (size_t x = 0; x < width; ++x) sums[x] += row[x] * k[t];
        }
        for (const double sum : sums) *dst++ = static_cast<float>(sum);
    }
    return out;
}

/** Both passes in the planned order. The horizontal one, when first, computes only the rows that the vertical one
 * reads. */
template <typename Picture>
Picture two_passes(const Picture& image, int width, int height, const Plan& plan, const Kernel& kernel) {
    Coefficients rows = compute_coefficients(image.height, plan.box.top, plan.box.bottom, height, kernel);
    Coefficients columns;
    if (plan.need_horizontal) {
        columns = compute_coefficients(image.width, plan.box.left, plan.box.right, width, kernel);
    }
    if (!plan.need_horizontal) return vertical_pass(image, rows);
    if (!plan.horizontal_first) {
        if (!plan.need_vertical) return horizontal_pass(image, 0, height, columns);
        return horizontal_pass(vertical_pass(image, rows), 0, height, columns);
    }
    const int first_row = rows.first.front();
    const int row_count = rows.first.back() + rows.count.back() - first_row;
    Picture narrow = horizontal_pass(image, first_row, row_count, columns);
    if (!plan.need_vertical) return narrow;
    for (int& first : rows.first) first -= first_row;
    return vertical_pass(narrow, rows);
}

/** x / 255 rounded, exact for x up to 255 * 255. Pillow's MULDIV255. */
uint8_t multiply_255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;
    return static_cast<uint8_t>(((t >> 8) + t) >> 8);
}

Image premultiplied(const Image& image) {
    Image out = image;
    for (size_t i = 0; i < out.pixels.size(); i += 4) {
        uint8_t* p = out.pixels.data() + i;
        for (int c = 0; c < 3; ++c) p[c] = multiply_255(p[c], p[3]);
    }
    return out;
}

void unpremultiply(Image& image) {
    for (size_t i = 0; i < image.pixels.size(); i += 4) {
        uint8_t* p = image.pixels.data() + i;
        if (p[3] == 0 || p[3] == 255) continue;
        for (int c = 0; c < 3; ++c) p[c] = static_cast<uint8_t>(std::min(255, 255 * p[c] / p[3]));
    }
}

}  // namespace

Filter filter_from_pil(int number) {
    if (number < 0 || number > 5) {
        throw invalid_argument("resample: filter number " + std::to_string(number) +
                               " is unknown; expected 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box or 5 hamming");
    }
    return static_cast<Filter>(number);
}

Image resize(const Image& image, int width, int height, const ResizeOptions& options) {
    check_image(image, "resize");
    const Plan plan = make_plan(image.width, image.height, width, height, options);
    if (plan.copy || options.filter == Filter::kNearest) {
        Image out = make_image(width, height, image.channels);
        const ResizeBox& box = plan.box;
        const auto xs = plan.copy ? consecutive(static_cast<int>(box.left), width)
                                  : nearest_indices(box.left, box.right, image.width, width);
        const auto ys = plan.copy ? consecutive(static_cast<int>(box.top), height)
                                  : nearest_indices(box.top, box.bottom, image.height, height);
        gather(image.pixels.data(), image.stride(), static_cast<size_t>(image.channels), xs, ys, out.pixels.data());
        const bool whole = width == image.width && height == image.height;
        if (plan.copy && !whole && image.channels == 4 && options.filter != Filter::kNearest) {
            out = premultiplied(out);  // Pillow crops the premultiplied picture too, which rounds
            unpremultiply(out);
        }
        return out;
    }
    const Kernel kernel = kernel_of(options.filter);
    if (image.channels != 4) return two_passes(image, width, height, plan, kernel);
    Image out = two_passes(premultiplied(image), width, height, plan, kernel);
    unpremultiply(out);
    return out;
}

FloatImage resize(const FloatImage& image, int width, int height, const ResizeOptions& options) {
    if (image.width < 1 || image.height < 1 ||
        static_cast<size_t>(image.width) * static_cast<size_t>(image.height) != image.pixels.size()) {
        throw invalid_argument("resize: the float picture claims " + std::to_string(image.width) + "x" +
                               std::to_string(image.height) + " but holds " + std::to_string(image.pixels.size()) +
                               " values");
    }
    const Plan plan = make_plan(image.width, image.height, width, height, options);
    if (!plan.copy && options.filter != Filter::kNearest) {
        return two_passes(image, width, height, plan, kernel_of(options.filter));
    }
    FloatImage out = make_float_image(width, height);
    const ResizeBox& box = plan.box;
    const auto xs = plan.copy ? consecutive(static_cast<int>(box.left), width)
                              : nearest_indices(box.left, box.right, image.width, width);
    const auto ys = plan.copy ? consecutive(static_cast<int>(box.top), height)
                              : nearest_indices(box.top, box.bottom, image.height, height);
    gather(reinterpret_cast<const uint8_t*>(image.pixels.data()), static_cast<size_t>(image.width) * sizeof(float),
           sizeof(float), xs, ys, reinterpret_cast<uint8_t*>(out.pixels.data()));
    return out;
}

}  // namespace vlm
