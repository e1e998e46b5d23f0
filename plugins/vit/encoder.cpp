/** @file encoder.cpp
 *  See encoder.hpp.
 */
#include "encoder.hpp"

#include <algorithm>
#include <cmath>

#include "preprocess.hpp"

namespace vlm::vit {

using sdk::Ops;
using sdk::Scratch;
using sdk::Tensor;

/** An image of a call and how far its outputs are filled. */
struct Encoder::Job {
    vlm_vision_output* output = nullptr;
    Tensor features;
    int64_t rows = 0;       ///< Feature rows written so far,
    int64_t positions = 0;  ///< and positions that they stand for.
    int64_t views = 0;
    bool reduced = false;
    std::vector<int32_t> row_of_position;
    sdk::Layout layout;
};

namespace {

/** The part of a view `[1, 3, height, width]` that is not padding, which preprocessing marked by NaN. */
Tensor without_padding(const Ops& ops, const Tensor& view) {
    const auto count = [](std::span<const float> values) {
        return static_cast<int64_t>(std::find_if(values.begin(), values.end(), [](float v) { return std::isnan(v); }) -
                                    values.begin());
    };
    const Tensor channel = view.slice(1, 0, 1);
    const auto row = ops.download<float>(channel.slice(2, 0, 1)), column = ops.download<float>(channel.slice(3, 0, 1));
    return view.slice(2, 0, count(column)).slice(3, 0, count(row));
}

}  // namespace

Encoder::Encoder(const sdk::ComponentConfig& c)
    : host_(c.host), config_(read_config(c)), preprocess_(read_preprocess_config(c, config_)), tower_(config_) {}

void Encoder::describe(vlm_vision_description& d) const {
    d.hidden_size = config_.feature_size();
    d.pooled_size = config_.pooled ? config_.hidden : 0;
    d.layers = config_.layers;
    d.sites = 1U << VLM_SITE_ENCODER_OUTPUT;
    if (config_.registers == 0 && config_.window == 0 && !config_.rotary) d.sites |= 1U << VLM_SITE_ENCODER_LAYER;
    d.max_image_tokens = -1;
}

sdk::VisionPlan Encoder::plan(int32_t width, int32_t height) const {
    const Geometry g = make_geometry(preprocess_, config_, width, height);
    sdk::VisionPlan plan;
    plan.pixel_shape = pixel_shape(config_, g);
    for (const View& view : g.views) {
        const int32_t rows = view.height / config_.patch_height, columns = view.width / config_.patch_width;
        if (!config_.drop_prefix)
            for (int32_t i = 0; i < config_.prefix(); ++i) plan.layout.special();
        plan.layout.grid(rows, columns, view.global ? VLM_BLOCK_FLAG_GLOBAL : 0, view.region, view.tile_row,
                         view.tile_column);
    }
    plan.feature_rows = plan.layout.tokens();
    const auto views = static_cast<int64_t>(g.views.size());
    plan.pooled_rows = config_.pooled ? views : 0;
    const int64_t patches = int64_t{g.height / config_.patch_height} * (g.width / config_.patch_width);
    plan.workspace_bytes = tower_.workspace_bytes(views * (patches + config_.prefix()));
    return plan;
}

void Encoder::preprocess(const sdk::Run&, const vlm_image& image, const Tensor& pixels) const {
    const Geometry g = make_geometry(preprocess_, config_, image.width, image.height);
    const sdk::Shape shape = pixel_shape(config_, g);
    if (!std::equal(shape.begin(), shape.end(), pixels.shape().begin(), pixels.shape().end()))
        throw sdk::invalid_argument("the pixel tensor has shape " + sdk::to_string(pixels.shape()) + ", planned was " +
                                    sdk::to_string(shape));
    const auto service = sdk::read_struct(host_.image(), "image service");
    make_pixels(service, preprocess_, config_, g, image, pixels.span<float>());
}

void Encoder::encode_views(const Ops& ops, const sdk::Hooks& hooks, std::span<const ViewInput> views,
                           std::span<Job> jobs) const {
    const TowerOutput out = tower_.run(ops, hooks, views);
    const int64_t skip = skipped(), d = config_.hidden;
    int64_t row = 0;
    for (size_t v = 0; v < views.size(); ++v) {
        Job& job = jobs[static_cast<size_t>(views[v].image)];
        const int64_t positions = views[v].grid.patches() + config_.prefix();
        const int64_t tokens = views.size() == 1 ? out.rows : positions;
        const int64_t rows = tokens - skip;
        if (job.rows + rows > job.features.size(0)) throw sdk::internal("more features than planned");
        for (size_t i = 0; i < out.features.size(); ++i)
            ops.copy(out.features[i].rows(row + skip, rows),
                     job.features.rows(job.rows, rows).columns(static_cast<int64_t>(i) * d, d));
        if (out.pooled && job.output->pooled != nullptr)
            ops.copy(out.pooled.rows(static_cast<int64_t>(v), 1),
                     Tensor(job.output->pooled, "pooled").rows(job.views, 1));
        // Rows of this view count from those of the views before it; a class token that is left out takes its row
        // along.
        const auto map = out.row_of_position ? ops.download<int32_t>(out.row_of_position) : std::vector<int32_t>();
        for (int64_t p = skip; p < positions; ++p) {
            const int64_t at = map.empty() ? p : map[static_cast<size_t>(p)];
            job.row_of_position.push_back(at < skip ? -1 : static_cast<int32_t>(job.rows + at - skip));
        }
        if (job.output->sizes != nullptr) {
            const Tensor sizes = Tensor(job.output->sizes, "sizes").rows(job.rows, rows);
            if (out.sizes)
                ops.copy(out.sizes.rows(skip, rows), sizes);
            else if (hooks)
                ops.fill(sizes, 1.0);
        }
        job.reduced = job.reduced || static_cast<bool>(out.sizes);
        job.rows += rows;
        job.positions += positions - skip;
        ++job.views;
        row += tokens;
    }
}

void Encoder::encode(const sdk::Run& run, std::span<const Tensor> pixels, std::span<vlm_vision_output> outputs) const {
    const Ops ops(run);
    const sdk::Hooks hooks(run);
    std::vector<Job> jobs(outputs.size());
    std::vector<ViewInput> views;
    for (size_t i = 0; i < outputs.size(); ++i) {
        jobs[i].output = &outputs[i];
        jobs[i].features = Tensor(outputs[i].features, "features");
        const Tensor& p = pixels[i];
        if (config_.rotary) {
            p.expect_shape({-1, -1, config_.patch_elements()}, "pixels");
            const Grid grid{static_cast<int32_t>(p.size(0)), static_cast<int32_t>(p.size(1))};
            if (grid.rows % config_.merge != 0 || grid.columns % config_.merge != 0)
                throw sdk::invalid_argument("pixels: " + std::to_string(grid.rows) + " x " +
                                            std::to_string(grid.columns) + " patches do not come in blocks of " +
                                            std::to_string(config_.merge));
            views.push_back({p.reshape({grid.patches(), p.size(2)}), grid, static_cast<int32_t>(i), 0, nullptr});
            continue;
        }
        p.expect_shape({-1, config_.channels, -1, -1}, "pixels");
        for (int64_t v = 0; v < p.size(0); ++v) {
            const Tensor view =
                config_.positions == Positions::fraction ? without_padding(ops, p.rows(v, 1)) : p.rows(v, 1);
            const Grid grid{static_cast<int32_t>(view.size(2) / config_.patch_height),
                            static_cast<int32_t>(view.size(3) / config_.patch_width)};
            if (grid.patches() < 1) throw sdk::invalid_argument("pixels: smaller than one patch");
            views.push_back({view, grid, static_cast<int32_t>(i), static_cast<int32_t>(v), nullptr});
        }
    }
    // Reducers need each view alone. Otherwise views share a pass until there are enough rows for the processor.
    constexpr int64_t kEnoughRows = 4096;
    const bool alone = tower_.reduces(hooks);
    for (size_t begin = 0; begin < views.size();) {
        size_t end = begin;
        int64_t rows = 0;
        do rows += views[end++].grid.patches();
        while (!alone && end < views.size() && (run.tapped() || rows < kEnoughRows));
        encode_views(ops, hooks, std::span(views).subspan(begin, end - begin), jobs);
        begin = end;
    }
    for (Job& job : jobs) {
        job.output->rows = job.rows;
        const Tensor features = job.features.rows(0, job.rows);
        run.tap("vision.selected", features);
        run.tap("vision.features", features);
        if (!job.reduced) continue;
        job.output->reduced = 1;
        if (job.output->row_of_position == nullptr) continue;
        const Tensor to = Tensor(job.output->row_of_position, "row_of_position").rows(0, job.positions);
        if (job.output->host_row_of_position != nullptr)
            std::copy(job.row_of_position.begin(), job.row_of_position.end(), job.output->host_row_of_position);
        sdk::HostTensor<int32_t> map(std::move(job.row_of_position), {job.positions});
        ops.copy(map.view(), to);
        run.tap("vision.patch_to_row", to);
    }
}

}  // namespace vlm::vit
