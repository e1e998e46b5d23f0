/** @file visual.cpp
 *  See visual.hpp. The host owns the tokens between the stages, so here it applies maps itself, as an encoder does
 * inside.
 */
#include "host/pipeline/visual.hpp"

#include <algorithm>
#include <numeric>

#include "host/base/sha256.hpp"
#include "host/pipeline/patches.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {

namespace {

RowMap carried(StageRun& to, Run& from, const RowMap& map) {
    return {to.carry(from, map.row_of_position), to.carry(from, map.sizes), map.host_rows};
}

}  // namespace

std::shared_ptr<const VisualTokens> VisualCache::find(const std::string& key) const {
    const auto entry = entries_.find(key);
    return entry != entries_.end() ? entry->second : nullptr;
}

void VisualCache::put(const std::string& key, std::shared_ptr<const VisualTokens> tokens) {
    entries_[key] = std::move(tokens);
}

std::string image_key(const Image& image) {
    const std::array<int32_t, 3> header = {image.width, image.height, image.channels};
    return Sha256().add(std::span<const int32_t>(header)).add(std::span<const uint8_t>(image.pixels)).hex();
}

std::vector<std::shared_ptr<const VisualTokens>> VisualStage::encode(std::span<const NamedImage* const> images,
                                                                     const std::string& prompt, VisualCache* cache) {
    const bool cacheable = cache != nullptr && pipeline.connector().description().reads_prompt == 0;
    std::vector<std::shared_ptr<const VisualTokens>> tokens(images.size());
    std::vector<std::string> keys(images.size());
    std::vector<size_t> missing;
    for (size_t i = 0; i < images.size(); ++i) {
        if (cacheable) {
            keys[i] = image_key(images[i]->image);
            tokens[i] = cache->find(keys[i]);
        }
        if (!tokens[i]) missing.push_back(i);
    }
    if (missing.empty()) return tokens;

    std::vector<VisionEncoder::Plan> plans;
    std::vector<Tensor> pixels;
    StageRun vision(pipeline.devices().of(StageKind::vision_encoder), run, hooks);
    {
        const Trace::Scope scope(trace, "preprocess");
        PlannedQuestion question;
        question.images_are_rows = pipeline.manifest().image.split_rows;
        for (const size_t i : missing) question.images.push_back({images[i]->image.width, images[i]->image.height});
        question.text_tokens = 1;  // the least: what overflows with it overflows with any prompt
        question.max_new_tokens = 0;
        const MemoryPlan plan = plan_memory(pipeline, question);
        if (in_context && pipeline.backbone().description().output == VLM_OUTPUT_LOGITS)
            check_context(pipeline, plan.prompt_tokens);
        check_memory(pipeline, plan, true);
        for (const size_t i : missing) {
            const auto& image = *images[i];
            plans.push_back(pipeline.encoder().plan(image.image.width, image.image.height));
            pixels.push_back(pipeline.encoder().preprocess(vision.run(), image.image, image.name, plans.back()));
            if (run.listeners() != nullptr && run.listeners()->tap)
                run.listeners()->tap("pixel_values", *pixels.back().abi());
        }
    }
    std::vector<Features> features;
    {
        const Trace::Scope scope(trace, "encode");
        features = pipeline.encoder().encode(vision.run(), pixels, plans, vision.memory());
    }
    run.poll();
    const Trace::Scope scope(trace, "connect");
    const std::string text = without_markers(prompt, pipeline.recipe().prompt);
    for (size_t k = 0; k < missing.size(); ++k) {
        const auto& image = images[missing[k]]->image;
        const auto index = static_cast<int32_t>(missing[k]);
        features[k].width = image.width;
        features[k].height = image.height;
        reduce(vision, VLM_SITE_ENCODER_OUTPUT, index, features[k].layout, features[k].rows, features[k].map,
               protected_positions(image, features[k].layout));
        StageRun connect(pipeline.devices().of(StageKind::connector), run, hooks);
        const uint32_t activations = connect.run().compute().activation_dtype;
        features[k].rows = connect.carry(vision.run(), features[k].rows, activations);
        features[k].pooled = connect.carry(vision.run(), features[k].pooled, activations);
        features[k].map = carried(connect, vision.run(), features[k].map);
        auto made = std::make_shared<VisualTokens>(
            pipeline.connector().connect(connect.run(), features[k], text, connect.memory()));
        features[k] = {};
        const Tensor keep = protected_positions(image, made->layout);
        reduce(connect, VLM_SITE_CONNECTOR_OUTPUT, index, made->layout, made->rows, made->map, keep);
        StageRun backbone(pipeline.device(), run, hooks);
        made->rows = backbone.carry(connect.run(), made->rows, run.compute().activation_dtype);
        made->map = carried(backbone, connect.run(), made->map);
        made->keep = backbone.carry(run, keep);
        made->host_keep = keep;
        tokens[missing[k]] = made;
        if (cacheable) cache->put(keys[missing[k]], made);
    }
    return tokens;
}

Tensor VisualStage::protected_positions(const Image& image, const TokenLayout& layout) const {
    double threshold = 0;
    for (const auto& reducer : pipeline.manifest().token_reducers)
        if (reducer.protect > 0) threshold = threshold > 0 ? std::min(threshold, reducer.protect) : reducer.protect;
    if (threshold <= 0 || layout.tokens() == 0) return {};
    const auto shares = edge_shares(image, layout);
    Tensor keep(VLM_DTYPE_U8, {layout.tokens()});
    for (size_t p = 0; p < shares.size(); ++p)
        keep.span<uint8_t>()[p] = static_cast<double>(shares[p]) >= threshold ? 1 : 0;
    return keep;
}

std::vector<int32_t> VisualStage::rows_of_positions(const TokenLayout& layout, const RowMap& map) {
    return rows_of_positions(run, layout, map);
}

std::vector<int32_t> VisualStage::rows_of_positions(Run& here, const TokenLayout& layout, const RowMap& map) {
    std::vector<int32_t> rows(static_cast<size_t>(layout.tokens()));
    std::iota(rows.begin(), rows.end(), 0);
    if (!map.row_of_position) return rows;
    if (!map.host_rows.empty()) return map.host_rows;
    Tensor copy(VLM_DTYPE_I32, {layout.tokens()});
    const auto& compute = here.compute();
    here.check(compute.copy(&compute, here.context(VLM_ABI_VERSION), map.row_of_position.abi(), copy.abi()),
               "copy of a token map");
    rows.assign(copy.span<int32_t>().begin(), copy.span<int32_t>().end());
    return rows;
}

void VisualStage::reduce(StageRun& stage, uint32_t site, int32_t image, const TokenLayout& layout, Tensor& rows,
                         RowMap& map, const Tensor& keep) {
    Run& here = stage.run();
    if (hooks.abi() == nullptr || hooks.needs(here, site, -1, 0) == 0) return;
    auto view = abi_struct<vlm_token_view>();
    view.site = site;
    view.layer = -1;
    view.image = image;
    view.tokens = rows.dim(0);
    view.hidden = rows.abi();
    view.sizes = map.sizes ? map.sizes.abi() : nullptr;
    view.layout = layout.abi();
    const std::vector<int32_t> old_rows = rows_of_positions(here, layout, map);
    Tensor keep_rows;
    if (keep) {
        // A row is protected when any of its positions is.
        Tensor by_row(VLM_DTYPE_U8, {rows.dim(0)});
        for (size_t p = 0; p < old_rows.size(); ++p)
            if (old_rows[p] >= 0) by_row.span<uint8_t>()[static_cast<size_t>(old_rows[p])] |= keep.span<uint8_t>()[p];
        keep_rows = stage.carry(here, by_row);
        view.keep = keep_rows.abi();
    }
    const vlm_token_map* groups = hooks.reduce(here, view);
    if (groups == nullptr) return;

    const auto& compute = here.compute();
    const auto* context = here.context(VLM_ABI_VERSION);
    Tensor reduced(rows.dtype(), {groups->group_count, rows.dim(1)}, stage.memory());
    here.check(compute.scatter_mean(&compute, context, rows.abi(), groups->groups, view.sizes, reduced.abi()),
               "scatter_mean");

    // The maps are small; composing them on the CPU keeps this readable on every device.
    Tensor group_of_row(VLM_DTYPE_I32, {rows.dim(0)});
    here.check(compute.copy(&compute, context, groups->groups, group_of_row.abi()), "copy of a token map");
    Tensor row_of_position(VLM_DTYPE_I32, {layout.tokens()});
    Tensor sizes(VLM_DTYPE_F32, {groups->group_count});
    for (size_t p = 0; p < old_rows.size(); ++p) {
        const int32_t row = old_rows[p] < 0 ? -1 : group_of_row.span<int32_t>()[static_cast<size_t>(old_rows[p])];
        row_of_position.span<int32_t>()[p] = row;
        if (row >= 0) sizes.span<float>()[static_cast<size_t>(row)] += 1;
    }
    const auto known = row_of_position.span<int32_t>();
    RowMap composed{stage.carry(here, row_of_position), stage.carry(here, sizes), {known.begin(), known.end()}};
    rows = std::move(reduced);
    map = std::move(composed);
}

}  // namespace vlm
