/** @file towers.cpp
 *  See towers.hpp.
 */
#include "towers.hpp"

#include <algorithm>
#include <string>

#include "timm.hpp"
#include "vlm/sdk/ops.hpp"

namespace vlm::vit {

using sdk::Ops;
using sdk::Tensor;

Towers::Towers(const sdk::ComponentConfig& c) {
    if (!c.config.has("timm_model_ids")) {
        towers_.push_back(std::make_unique<Encoder>(c));
        prefixes_.emplace_back();
        return;
    }
    for (const auto& tower : timm_towers(c)) {
        towers_.push_back(std::make_unique<Encoder>(tower.component));
        prefixes_.push_back(tower.prefix);
    }
}

void Towers::load(const sdk::Weights& weights) {
    for (size_t i = 0; i < towers_.size(); ++i)
        towers_[i]->load(prefixes_[i].empty() ? weights : weights.under(prefixes_[i]));
}

void Towers::describe(vlm_vision_description& d) const {
    towers_.front()->describe(d);
    if (towers_.size() == 1) return;
    d.hidden_size = 0;
    for (const auto& tower : towers_) d.hidden_size += tower->config().feature_size();
    d.pooled_size = 0;
    d.sites = 1U << VLM_SITE_ENCODER_OUTPUT;  // towers that merge differently could not be joined
}

sdk::VisionPlan Towers::plan(int32_t width, int32_t height) const {
    sdk::VisionPlan plan = towers_.front()->plan(width, height);
    for (size_t i = 1; i < towers_.size(); ++i) {
        const sdk::VisionPlan other = towers_[i]->plan(width, height);
        if (other.feature_rows != plan.feature_rows || other.pixel_shape.size() != 4 || plan.pixel_shape.size() != 4 ||
            other.pixel_shape[2] != plan.pixel_shape[2] || other.pixel_shape[3] != plan.pixel_shape[3])
            throw sdk::invalid_argument("vision tower " + prefixes_[i] + ": makes " +
                                        std::to_string(other.feature_rows) + " features of pixels " +
                                        sdk::to_string(other.pixel_shape) + ", the first tower " +
                                        std::to_string(plan.feature_rows) + " of " + sdk::to_string(plan.pixel_shape) +
                                        "; they must agree to be joined");
        plan.workspace_bytes += other.workspace_bytes;
    }
    if (towers_.size() > 1) {
        plan.pixel_shape[1] *= static_cast<int64_t>(towers_.size());
        plan.pooled_rows = 0;
    }
    return plan;
}

void Towers::preprocess(const sdk::Run& run, const vlm_image& image, const Tensor& pixels) const {
    if (towers_.size() == 1) return towers_.front()->preprocess(run, image, pixels);
    pixels.expect_shape({1, static_cast<int64_t>(3 * towers_.size()), -1, -1}, "pixels");
    for (size_t i = 0; i < towers_.size(); ++i)
        towers_[i]->preprocess(run, image, pixels.slice(1, static_cast<int64_t>(3 * i), 3));
}

void Towers::encode(const sdk::Run& run, std::span<const Tensor> pixels, std::span<vlm_vision_output> outputs) const {
    if (towers_.size() == 1) return towers_.front()->encode(run, pixels, outputs);
    const Ops ops(run);
    // Each tower alone would show its features under the name of the joined ones.
    vlm_run_context quiet = sdk::read_struct(run.get(), "run context");
    quiet.tap = nullptr;
    const sdk::Run silent(&quiet);
    int64_t column = 0;
    for (size_t i = 0; i < towers_.size(); ++i) {
        const int64_t width = towers_[i]->config().feature_size();
        for (size_t k = 0; k < pixels.size(); ++k) {
            const Tensor joined(outputs[k].features, "features");
            const auto own = ops.create({joined.size(0), width});
            const Tensor part = pixels[k].slice(1, static_cast<int64_t>(3 * i), 3);
            vlm_tensor features = *own.get();
            auto output = sdk::make_struct<vlm_vision_output>();
            output.features = &features;
            towers_[i]->encode(silent, {&part, 1}, {&output, 1});
            ops.copy(own.rows(0, output.rows), joined.rows(0, output.rows).columns(column, width));
            outputs[k].rows = output.rows;
        }
        column += width;
    }
    for (auto& output : outputs) run.tap("vision.features", Tensor(output.features, "features").rows(0, output.rows));
}

}  // namespace vlm::vit
