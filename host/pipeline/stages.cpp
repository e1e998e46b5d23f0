/** @file stages.cpp
 *  See stages.hpp. Shapes come from plugins, so each is checked before memory is taken for it.
 */
#include "host/pipeline/stages.hpp"

#include <algorithm>
#include <limits>

#include "host/base/log.hpp"

namespace vlm {
namespace {

/** What no row is: an encoder that knows its map on the CPU writes over it. */
constexpr int32_t kUntouched = std::numeric_limits<int32_t>::min();

}  // namespace

// ---------------------------------------------------------------------------------------------------- vision encoder

VisionEncoder::VisionEncoder(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config)
    : Component(std::move(plugin), VLM_KIND_VISION_ENCODER, config) {
    description_ = abi_struct<vlm_vision_description>();
    check(api_.describe(handle_, &description_), "describe");
    if (description_.hidden_size <= 0)
        throw broken(this->plugin(), "VLM-P-17",
                     "describes a hidden_size of " + std::to_string(description_.hidden_size));
}

VisionEncoder::Plan VisionEncoder::plan(int width, int height) const {
    auto theirs = abi_struct<vlm_vision_plan>();
    const ErrorCapture said;
    const vlm_status status = api_.plan(handle_, width, height, &theirs);
    if (status != VLM_STATUS_OK) {
        std::string why = plugin().take_failure();
        if (why.empty()) why = said.text();
        throw Error(status, plugin().id() + ": cannot take an image of " + std::to_string(width) + " x " +
                                std::to_string(height) + " pixels" + (why.empty() ? "" : ": " + why) + " (" +
                                status_name(status) + ")");
    }
    if (theirs.pixel_ndim < 1 || theirs.pixel_ndim > VLM_MAX_DIMS || theirs.feature_rows < 0 ||
        theirs.layout == nullptr)
        throw broken(plugin(), "VLM-P-17", "plans an image without a usable shape or layout");
    Plan plan;
    plan.pixel_shape.assign(theirs.pixel_shape, theirs.pixel_shape + theirs.pixel_ndim);
    element_count(plan.pixel_shape);
    plan.feature_rows = theirs.feature_rows;
    plan.pooled_rows = theirs.pooled_rows;
    plan.workspace_bytes = theirs.workspace_bytes;
    plan.layout = TokenLayout(*theirs.layout, plugin().id());
    if (plan.layout.tokens() != plan.feature_rows)
        throw broken(plugin(), "VLM-P-18",
                     "plans " + std::to_string(plan.feature_rows) + " feature rows but a layout of " +
                         std::to_string(plan.layout.tokens()) + " tokens");
    return plan;
}

Tensor VisionEncoder::preprocess(Run& run, const Image& image, const std::string& source, const Plan& plan) const {
    auto theirs = abi_struct<vlm_image>();
    theirs.width = image.width;
    theirs.height = image.height;
    theirs.pixels = image.pixels.data();
    theirs.source = source.c_str();
    Tensor pixels(VLM_DTYPE_F32, plan.pixel_shape, plugin().memory());
    check(run, api_.preprocess(handle_, context(run), &theirs, pixels.abi()), "preprocess");
    return pixels;
}

std::vector<Features> VisionEncoder::encode(Run& run, std::span<const Tensor> pixels, std::span<const Plan> plans,
                                            const Allocator& device) const {
    const size_t count = pixels.size();
    const uint32_t dtype = run.compute().activation_dtype;
    std::vector<Features> features(count);
    std::vector<vlm_vision_output> outputs(count);
    std::vector<vlm_vision_output*> output_pointers(count);
    std::vector<const vlm_tensor*> pixel_pointers(count);
    for (size_t i = 0; i < count; ++i) {
        const auto& plan = plans[i];
        auto& f = features[i];
        f.rows = Tensor(dtype, {plan.feature_rows, description_.hidden_size}, device);
        if (plan.pooled_rows > 0) f.pooled = Tensor(dtype, {plan.pooled_rows, description_.pooled_size}, device);
        // The host follows these numbers: an isolated plugin must not be able to change them after they were checked.
        const bool shared = plugin().isolated();
        f.map.row_of_position = Tensor(VLM_DTYPE_I32, {plan.feature_rows}, shared ? Allocator::cpu() : device);
        f.map.sizes = Tensor(VLM_DTYPE_F32, {plan.feature_rows}, device);
        f.layout = plan.layout;
        f.map.host_rows.assign(static_cast<size_t>(plan.feature_rows), kUntouched);
        outputs[i] = abi_struct<vlm_vision_output>();
        outputs[i].features = f.rows.abi();
        outputs[i].pooled = f.pooled ? f.pooled.abi() : nullptr;
        outputs[i].row_of_position = f.map.row_of_position.abi();
        outputs[i].sizes = f.map.sizes.abi();
        outputs[i].host_row_of_position = f.map.host_rows.data();
        outputs[i].rows = plan.feature_rows;
        output_pointers[i] = &outputs[i];
        pixel_pointers[i] = pixels[i].abi();
    }
    check(
        run,
        api_.encode(handle_, context(run), static_cast<uint32_t>(count), pixel_pointers.data(), output_pointers.data()),
        "encode");
    for (size_t i = 0; i < count; ++i) {
        const int64_t rows = outputs[i].rows;
        if (rows < 0 || rows > plans[i].feature_rows || (rows != plans[i].feature_rows && outputs[i].reduced == 0))
            throw broken(plugin(), "VLM-P-17",
                         "encode made " + std::to_string(rows) + " rows where " +
                             std::to_string(plans[i].feature_rows) + " were planned");
        features[i].rows = features[i].rows.first_rows(rows);
        if (outputs[i].reduced == 0) {
            features[i].map = {};
            continue;
        }
        features[i].map.sizes = features[i].map.sizes.first_rows(rows);
        auto& known = features[i].map.host_rows;
        if (known.empty() || known.front() == kUntouched) known.clear();
        for (const int32_t row : known)
            if (row < -1 || row >= rows)
                throw broken(plugin(), "VLM-P-17",
                             "encode put a position into row " + std::to_string(row) + " of " + std::to_string(rows));
    }
    return features;
}

// --------------------------------------------------------------------------------------------------------- connector

Connector::Connector(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config)
    : Component(std::move(plugin), VLM_KIND_CONNECTOR, config) {
    description_ = abi_struct<vlm_connector_description>();
    check(api_.describe(handle_, &description_), "describe");
    if (description_.output_size <= 0)
        throw broken(this->plugin(), "VLM-P-17",
                     "describes an output_size of " + std::to_string(description_.output_size));
}

Connector::Plan Connector::plan(const TokenLayout& layout, int width, int height) const {
    auto theirs = abi_struct<vlm_connector_plan>();
    check(api_.plan(handle_, layout.abi(), width, height, &theirs), "plan");
    Plan plan;
    plan.rows = theirs.rows;
    plan.workspace_bytes = theirs.workspace_bytes;
    plan.layout = theirs.layout != nullptr ? TokenLayout(*theirs.layout, plugin().id()) : layout;
    if (plan.rows < 0 || plan.layout.tokens() != plan.rows)
        throw broken(plugin(), "VLM-P-18",
                     "plans " + std::to_string(plan.rows) + " rows but a layout of " +
                         std::to_string(plan.layout.tokens()) + " tokens");
    return plan;
}

VisualTokens Connector::connect(Run& run, const Features& features, const std::string& prompt,
                                const Allocator& device) const {
    const Plan plan = this->plan(features.layout, features.width, features.height);
    const bool reduced = static_cast<bool>(features.map.row_of_position);
    const bool row_by_row = plan.layout.tokens() == features.layout.tokens();
    VisualTokens tokens;
    tokens.layout = plan.layout;
    tokens.map = features.map;
    const int64_t planned = reduced && row_by_row ? features.rows.dim(0) : plan.rows;
    tokens.rows = Tensor(run.compute().activation_dtype, {planned, description_.output_size}, device);

    auto input = abi_struct<vlm_connector_input>();
    input.features = features.rows.abi();
    input.pooled = features.pooled ? features.pooled.abi() : nullptr;
    input.layout = features.layout.abi();
    input.width = features.width;
    input.height = features.height;
    input.prompt = {prompt.data(), prompt.size()};
    input.row_of_position = reduced ? features.map.row_of_position.abi() : nullptr;
    auto output = abi_struct<vlm_connector_output>();
    output.tokens = tokens.rows.abi();
    output.rows = planned;
    output.confidence = -1;
    const vlm_connector_input* inputs[] = {&input};
    vlm_connector_output* outputs[] = {&output};
    check(run, api_.connect(handle_, context(run), 1, inputs, outputs), "connect");
    if (output.rows < 0 || output.rows > planned)
        throw broken(
            plugin(), "VLM-P-17",
            "connect made " + std::to_string(output.rows) + " rows where " + std::to_string(planned) + " were planned");
    tokens.rows = tokens.rows.first_rows(output.rows);
    tokens.confidence = output.confidence;
    return tokens;
}

// ----------------------------------------------------------------------------------------- reducer and post-processor

TokenReducer::TokenReducer(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config)
    : Component(std::move(plugin), VLM_KIND_TOKEN_REDUCER, config) {}

uint32_t TokenReducer::needs(Run& run, uint32_t site, int32_t layer, int32_t layers) const {
    uint32_t needs = 0;
    check(run, api_.needs(handle_, context(run), site, layer, layers, &needs), "needs");
    return needs;
}

bool TokenReducer::reduce(Run& run, const vlm_token_view& view, vlm_token_map& map) const {
    map.group_count = 0;
    check(run, api_.reduce(handle_, context(run), &view, &map), "reduce");
    if (map.group_count < 0 || map.group_count > view.tokens)
        throw broken(
            plugin(), "VLM-P-14",
            "reduce made " + std::to_string(map.group_count) + " groups of " + std::to_string(view.tokens) + " tokens");
    return map.group_count > 0;
}

PostProcessor::PostProcessor(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config)
    : Component(std::move(plugin), VLM_KIND_POST_PROCESSOR, config) {}

std::string PostProcessor::process(Run& run, const vlm_post_input& input) const {
    std::string json;
    const auto emit = [](void* sink, const char* text, uint64_t size) -> vlm_status {
        if (text == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        try {
            static_cast<std::string*>(sink)->assign(text, size);
            return VLM_STATUS_OK;
        } catch (...) {
            return VLM_STATUS_RESOURCE_EXHAUSTED;
        }
    };
    check(run, api_.process(handle_, context(run), &input, emit, &json), "process");
    if (json.empty()) throw broken(plugin(), "VLM-P-17", "process succeeded but emitted no JSON");
    return json;
}

}  // namespace vlm
