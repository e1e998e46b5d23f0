/** @file geometry.cpp
 *  See geometry.hpp.
 */
#include "geometry.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace vlm::vit {
namespace {

struct Size {
    int32_t height, width;
};

/** Largest side that is asked of a resize: beyond it a damaged configuration would take all memory. */
constexpr double kMaxSide = 65536;

int32_t side(double value) {
    if (!(value < kMaxSide))
        throw sdk::invalid_argument("preprocessing would make a picture with a side beyond 65536 pixels");
    return std::max(1, static_cast<int32_t>(value));
}

/** Builds the chain; steps that change nothing are left out. */
class Chain {
  public:
    Chain(Geometry& geometry, int32_t width, int32_t height) : geometry_(geometry), size_{height, width} {}
    Chain& resize(Size to) {
        if (to.height != size_.height || to.width != size_.width) push({at_, false, 0, 0, to.width, to.height, {}});
        return *this;
    }
    Chain& window(int32_t left, int32_t top, Size to, const std::array<uint8_t, 3>& fill = {}) {
        if (left != 0 || top != 0 || to.height != size_.height || to.width != size_.width)
            push({at_, true, left, top, to.width, to.height, fill});
        return *this;
    }
    Size size() const { return size_; }
    int32_t step() const { return at_; }
    void view(bool global, int32_t tile_row = 0, int32_t tile_column = 0,
              const sdk::Region& region = sdk::kWholeImage) {
        geometry_.height = std::max(geometry_.height, size_.height);
        geometry_.width = std::max(geometry_.width, size_.width);
        geometry_.views.push_back({at_, global, tile_row, tile_column, region, size_.height, size_.width});
    }

  private:
    void push(const Step& step) {
        constexpr int64_t kMaxPixels = int64_t{1} << 28;
        if (int64_t{step.width} * step.height > kMaxPixels)
            throw sdk::resource_exhausted("preprocessing would make a picture of " + std::to_string(step.width) +
                                          " x " + std::to_string(step.height) + " pixels; use a smaller picture");
        geometry_.steps.push_back(step);
        at_ = static_cast<int32_t>(geometry_.steps.size()) - 1;
        size_ = {step.height, step.width};
    }
    Geometry& geometry_;
    Size size_;
    int32_t at_ = -1;
};

/** Python's `//`. */
int32_t floor_half(int32_t value) {
    return (value - (value < 0 ? 1 : 0)) / 2;
}

/** `PilBackend.resize`: shortest edge, both edges, a box, or exact sizes. */
Size resized(const PreprocessConfig& c, Size from) {
    const double h = from.height, w = from.width;
    if (c.shortest_edge > 0 && c.longest_edge > 0) {  // get_size_with_aspect_ratio
        double edge = c.shortest_edge, raw = 0;
        if (std::max(h, w) / std::min(h, w) * edge > c.longest_edge) {
            raw = c.longest_edge * std::min(h, w) / std::max(h, w);
            edge = std::nearbyint(raw);
        }
        if ((h <= w && h == edge) || (w <= h && w == edge)) return from;
        const double scale = raw > 0 ? raw : edge;
        return w < h ? Size{side(scale * h / w), side(edge)} : Size{side(edge), side(scale * w / h)};
    }
    if (c.shortest_edge > 0) {  // get_resize_output_image_size
        const double longer = std::floor(c.shortest_edge * std::max(h, w) / std::min(h, w));
        return w <= h ? Size{side(longer), c.shortest_edge} : Size{c.shortest_edge, side(longer)};
    }
    if (c.max_height > 0) {  // get_image_size_for_max_height_width
        const double scale = std::min(c.max_height / h, c.max_width / w);
        return {side(h * scale), side(w * scale)};
    }
    return {c.height, c.width};
}

void center_crop(Chain& chain, Size to) {
    const Size from = chain.size();
    chain.window(floor_half(from.width - to.width), floor_half(from.height - to.height), to);
}

void finish_view(Chain& chain, const PreprocessConfig& c) {
    if (c.resize) chain.resize(resized(c, chain.size()));
    if (c.crop) center_crop(chain, {c.crop_height, c.crop_width});
}

/** `LlavaImageProcessorPil.pad_to_square`. */
void pad_to_square(Chain& chain, const PreprocessConfig& c) {
    const Size from = chain.size();
    const int32_t edge = std::max(from.height, from.width);
    chain.window(-((edge - from.width) / 2), -((edge - from.height) / 2), {edge, edge}, c.pad_colour);
}

/** `select_best_resolution`: most effective pixels, then least waste. */
Size best_resolution(const PreprocessConfig& c, Size from) {
    Size best{0, 0};
    int64_t most = 0, least_waste = std::numeric_limits<int64_t>::max();
    for (const auto& [height, width] : c.pinpoints) {
        const double scale =
            std::min(static_cast<double>(width) / from.width, static_cast<double>(height) / from.height);
        const auto w = static_cast<int64_t>(from.width * scale), h = static_cast<int64_t>(from.height * scale);
        const int64_t effective = std::min(w * h, int64_t{from.width} * from.height);
        const int64_t waste = int64_t{width} * height - effective;
        if (effective > most || (effective == most && waste < least_waste)) {
            most = effective;
            least_waste = waste;
            best = {height, width};
        }
    }
    if (best.height == 0)
        throw sdk::invalid_argument("image_grid_pinpoints: no resolution fits a picture of " +
                                    std::to_string(from.width) + " x " + std::to_string(from.height) + " pixels");
    return best;
}

/** `LlavaNextImageProcessorPil.get_image_patches`. */
void anyres(Geometry& g, const PreprocessConfig& c, int32_t width, int32_t height) {
    const Size base = c.height > 0 ? Size{c.height, c.width} : Size{c.shortest_edge, c.shortest_edge};
    const int32_t edge = c.crop_height > 0 ? c.crop_height : base.height;
    Chain first(g, width, height);
    first.resize(base);
    finish_view(first, c);
    first.view(true);

    const Size target = best_resolution(c, {height, width});
    // get_patch_output_size
    const double scale_w = static_cast<double>(target.width) / width,
                 scale_h = static_cast<double>(target.height) / height;
    Size fitted = target;
    if (scale_w < scale_h)
        fitted.height = std::min(side(std::ceil(height * scale_w)), target.height);
    else
        fitted.width = std::min(side(std::ceil(width * scale_h)), target.width);
    Chain canvas(g, width, height);
    canvas.resize(fitted).window(-((target.width - fitted.width) / 2), -((target.height - fitted.height) / 2), target);
    for (int32_t top = 0, row = 0; top < target.height; top += edge, ++row)
        for (int32_t left = 0, column = 0; left < target.width; left += edge, ++column) {
            Chain tile = canvas;
            tile.window(left, top, {std::min(edge, target.height - top), std::min(edge, target.width - left)});
            finish_view(tile, c);
            const auto fraction = [](int32_t v, int32_t of) {
                return std::clamp(static_cast<float>(v) / static_cast<float>(of), 0.F, 1.F);
            };
            const int32_t x = (target.width - fitted.width) / 2, y = (target.height - fitted.height) / 2;
            tile.view(false, row, column,
                      {fraction(left - x, fitted.width), fraction(top - y, fitted.height),
                       fraction(left + edge - x, fitted.width), fraction(top + edge - y, fitted.height)});
        }
}

/** A grid of equal tiles of the picture on `chain`, as views. */
void add_tiles(const Chain& chain, Size tile, int32_t rows, int32_t columns, bool global) {
    for (int32_t row = 0; row < rows; ++row)
        for (int32_t column = 0; column < columns; ++column) {
            Chain cut = chain;
            cut.window(column * tile.width, row * tile.height, tile);
            const auto part = [](int32_t v, int32_t of) { return static_cast<float>(v) / static_cast<float>(of); };
            cut.view(global, row, column,
                     {part(column, columns), part(row, rows), part(column + 1, columns), part(row + 1, rows)});
        }
}

/** `GotOcr2ImageProcessorPil.crop_image_to_patches` and `get_optimal_tiled_canvas`. */
void tiles(Geometry& g, const PreprocessConfig& c, int32_t width, int32_t height) {
    std::vector<std::pair<int32_t, int32_t>> grids;  // (columns, rows) in the reference's order
    for (int32_t columns = 1; columns <= c.max_tiles; ++columns)
        for (int32_t rows = 1; rows * columns <= c.max_tiles; ++rows)
            if (rows * columns >= c.min_tiles) grids.emplace_back(columns, rows);
    std::stable_sort(grids.begin(), grids.end(),
                     [](const auto& a, const auto& b) { return a.first * a.second < b.first * b.second; });
    std::pair<int32_t, int32_t> best{1, 1};
    double difference = std::numeric_limits<double>::infinity();
    for (const auto& grid : grids) {
        const double d = std::abs(static_cast<double>(width) / height - static_cast<double>(grid.first) / grid.second);
        const double half = 0.5 * c.height * c.width * grid.first * grid.second;
        if (d < difference || (d == difference && static_cast<double>(width) * height > half)) best = grid;
        difference = std::min(difference, d);
    }
    const Size tile{c.height, c.width};
    Chain canvas(g, width, height);
    canvas.resize({side(double{1} * tile.height * best.second), side(double{1} * tile.width * best.first)});
    const bool one = best.first * best.second == 1;
    add_tiles(canvas, tile, best.second, best.first, one);
    if (one || !c.thumbnail) return;
    Chain thumbnail(g, width, height);
    thumbnail.resize(tile).view(true);
}

/** `smart_resize` of Qwen2-VL. Python's round goes to even, as nearbyint does. */
Size smart(const PreprocessConfig& c, const VitConfig& tower, Size from) {
    const double factor = tower.patch_height * tower.merge;
    const double h = from.height, w = from.width;
    if (std::max(h, w) / std::min(h, w) > 200)
        throw sdk::invalid_argument("a picture of " + std::to_string(from.width) + " x " + std::to_string(from.height) +
                                    " pixels is more than 200 times as long as wide, which the model does not take");
    double height = std::nearbyint(h / factor) * factor, width = std::nearbyint(w / factor) * factor;
    const auto most = static_cast<double>(c.max_pixels), least = static_cast<double>(c.min_pixels);
    if (height * width > most) {
        const double beta = std::sqrt(h * w / most);
        height = std::max(factor, std::floor(h / beta / factor) * factor);
        width = std::max(factor, std::floor(w / beta / factor) * factor);
    } else if (height * width < least) {
        const double beta = std::sqrt(least / (h * w));
        height = std::ceil(h * beta / factor) * factor;
        width = std::ceil(w * beta / factor) * factor;
    }
    return {side(height), side(width)};
}

/** `get_resize_output_image_size` of Idefics2. */
Size bounded(const PreprocessConfig& c, Size from) {
    if (c.shortest_edge == 0 || c.longest_edge == 0) return {c.height, c.width};
    const double ratio = static_cast<double>(from.width) / from.height;
    if (from.width >= from.height && from.width > c.longest_edge)
        from = {static_cast<int32_t>(c.longest_edge / ratio), c.longest_edge};
    else if (from.height > from.width && from.height > c.longest_edge)
        from = {c.longest_edge, static_cast<int32_t>(c.longest_edge * ratio)};
    return {std::max(from.height, c.shortest_edge), std::max(from.width, c.shortest_edge)};
}

/** Idefics2 with `do_image_splitting`: the quarters of the picture, then the whole. Each is resized by itself, so that
 * their sizes differ unless an edge of the rule binds for all. */
void quarters(Geometry& g, const PreprocessConfig& c, int32_t width, int32_t height) {
    const int32_t x = width / 2, y = height / 2;
    for (int32_t i = 0; i < 4 && c.split; ++i) {
        const int32_t row = i / 2, column = i % 2;
        Chain part(g, width, height);
        part.window(column * x, row * y, {row == 0 ? y : height - y, column == 0 ? x : width - x});
        if (c.resize) part.resize(bounded(c, part.size()));
        const auto r = static_cast<float>(row) / 2, col = static_cast<float>(column) / 2;
        part.view(false, row, column, {col, r, col + 0.5F, r + 0.5F});
    }
    Chain whole(g, width, height);
    if (c.resize) whole.resize(bounded(c, whole.size()));
    whole.view(true);
}

/** Idefics3: to the longest edge, up to multiples of the tile, cut, then a thumbnail. */
void splitting(Geometry& g, const PreprocessConfig& c, int32_t width, int32_t height) {
    constexpr int32_t kMaxImage = 4096;
    const int32_t edge = c.tile_edge;
    Chain canvas(g, width, height);
    if (c.resize) {
        if (c.longest_edge > 0) {
            const double ratio = static_cast<double>(width) / height;
            Size s = width >= height ? Size{static_cast<int32_t>(c.longest_edge / ratio), c.longest_edge}
                                     : Size{c.longest_edge, static_cast<int32_t>(c.longest_edge * ratio)};
            int32_t& shorter = width >= height ? s.height : s.width;
            shorter = std::max(1, shorter + shorter % 2);
            const double now = static_cast<double>(s.width) / s.height;
            if (s.width >= s.height && s.width > kMaxImage)
                s = {static_cast<int32_t>(kMaxImage / now), kMaxImage};
            else if (s.height > s.width && s.height > kMaxImage)
                s = {kMaxImage, static_cast<int32_t>(kMaxImage * now)};
            canvas.resize({std::max(1, s.height), std::max(1, s.width)});
        } else {
            canvas.resize({c.height, c.width});
        }
    }
    if (!c.split) {
        canvas.resize({edge, edge}).view(true);
        return;
    }
    const Size s = canvas.size();
    const double ratio = static_cast<double>(s.width) / s.height;
    const auto up = [edge](double v) { return side(std::ceil(v / edge) * edge); };
    Size full{};
    if (s.width >= s.height) {
        full.width = up(s.width);
        full.height = up(std::floor(full.width / ratio));
    } else {
        full.height = up(s.height);
        full.width = up(std::floor(full.height * ratio));
    }
    canvas.resize(full);
    if (full.height <= edge && full.width <= edge) {
        canvas.view(true);
        return;
    }
    add_tiles(canvas, {edge, edge}, full.height / edge, full.width / edge, false);
    Chain thumbnail = canvas;
    thumbnail.resize({edge, edge}).view(true);
}

}  // namespace

Geometry make_geometry(const PreprocessConfig& c, const VitConfig& tower, int32_t width, int32_t height) {
    if (width < 1 || height < 1 || width > static_cast<int32_t>(kMaxSide) || height > static_cast<int32_t>(kMaxSide))
        throw sdk::invalid_argument("a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                                    " pixels cannot be taken; each side must have 1 to 65536 pixels");
    Geometry g;
    switch (c.cut) {
        case Cut::anyres:
            anyres(g, c, width, height);
            break;
        case Cut::tiles:
            tiles(g, c, width, height);
            break;
        case Cut::bounded:
            quarters(g, c, width, height);
            break;
        case Cut::splitting:
            splitting(g, c, width, height);
            break;
        case Cut::smart: {
            Chain chain(g, width, height);
            if (c.resize) chain.resize(smart(c, tower, {height, width}));
            chain.view(true);
            break;
        }
        case Cut::single: {
            Chain chain(g, width, height);
            if (c.pad_to_square) pad_to_square(chain, c);
            finish_view(chain, c);
            chain.view(true);
            break;
        }
    }
    const int32_t block_h = tower.patch_height * tower.merge, block_w = tower.patch_width * tower.merge;
    for (const View& view : g.views) {
        const auto size = std::to_string(view.width) + " x " + std::to_string(view.height);
        if (tower.positions != Positions::fraction && (view.height != g.height || view.width != g.width))
            throw sdk::invalid_argument("preprocessing makes views of " + size + " and of up to " +
                                        std::to_string(g.width) + " x " + std::to_string(g.height) +
                                        " pixels; this tower takes one size at a time");
        if (tower.one_size && (view.height != tower.image_height || view.width != tower.image_width))
            throw sdk::invalid_argument("preprocessing makes views of " + size + " pixels, and this tower takes " +
                                        std::to_string(tower.image_width) + " x " + std::to_string(tower.image_height) +
                                        " only; give config.json's image_size as the image processor's size");
        if (view.height < block_h || view.width < block_w ||
            (tower.merge > 1 && (view.height % block_h != 0 || view.width % block_w != 0)))
            throw sdk::invalid_argument("preprocessing makes views of " + size +
                                        " pixels, which the tower cannot cut into blocks of " +
                                        std::to_string(block_w) + " x " + std::to_string(block_h));
    }
    return g;
}

}  // namespace vlm::vit
