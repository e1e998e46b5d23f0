/** @file stages.cpp
 *  See stages.hpp. Shapes come from plugins, so each is checked before memory is taken for it.
 */
#include "host/pipeline/stages.hpp"

#include <algorithm>
#include <limits>

#include "host/base/log.hpp"

namespace vlm {
namespace {

/** A plugin broke rule `rule` of docs/abi.md. */
Error broken(const Plugin& plugin, const char* rule, const std::string& what) {
    return {VLM_STATUS_INTERNAL, plugin.id() + ": " + what + "; this is a fault of the plugin (" + rule + ")"};
}

/** What no row is: an encoder that knows its map on the CPU writes over it. */
constexpr int32_t kUntouched = std::numeric_limits<int32_t>::min();

/** Brings a device tensor to the CPU. */
Tensor to_cpu(Run& run, Tensor tensor) {
    if (tensor.on_cpu()) return tensor;
    Tensor copy(tensor.dtype(), tensor.shape());
    run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), tensor.abi(), copy.abi()),
              "copy to the CPU");
    return copy;
}

/** A tensor in memory that others share, `offset` bytes behind its begin. */
Tensor tensor_in(const std::shared_ptr<void>& memory, const vlm_device& device, int64_t offset, uint32_t dtype,
                 std::vector<int64_t> shape) {
    const Allocator place{
        device, [&](int64_t) { return std::shared_ptr<void>(memory, static_cast<char*>(memory.get()) + offset); }};
    return {dtype, std::move(shape), place};
}

/** Brings the rows of all requests to the CPU together, so that the host waits for its device once. */
void bring_to_cpu(Run& run, std::vector<Backbone::Output>& outputs, const Allocator& device) {
    int64_t total = 0, width = 0;
    size_t with_rows = 0;
    for (const auto& output : outputs) {
        if (!output.rows || output.rows.on_cpu() || output.rows.elements() == 0) continue;
        total += output.rows.dim(0);
        width = output.rows.dim(1);
        ++with_rows;
    }
    if (with_rows <= 1) {
        for (auto& output : outputs)
            if (output.rows) output.rows = to_cpu(run, output.rows);
        return;
    }
    const int64_t row_bytes = width * dtype_bytes(VLM_DTYPE_F32);
    const std::shared_ptr<void> joined = device.allocate(total * row_bytes);
    int64_t first = 0;
    for (auto& output : outputs) {
        if (!output.rows || output.rows.on_cpu() || output.rows.elements() == 0) continue;
        Tensor part = tensor_in(joined, device.device, first * row_bytes, VLM_DTYPE_F32, output.rows.shape());
        run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), output.rows.abi(), part.abi()),
                  "joining the outputs");
        first += output.rows.dim(0);
    }
    const auto& cpu = Allocator::cpu();
    const std::shared_ptr<void> host = cpu.allocate(total * row_bytes);
    Tensor source = tensor_in(joined, device.device, 0, VLM_DTYPE_F32, {total, width});
    Tensor target = tensor_in(host, cpu.device, 0, VLM_DTYPE_F32, {total, width});
    run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), source.abi(), target.abi()),
              "copy to the CPU");
    first = 0;
    for (auto& output : outputs) {
        if (!output.rows || output.rows.on_cpu()) continue;
        const int64_t count = output.rows.dim(0);
        output.rows = tensor_in(host, cpu.device, first * row_bytes, VLM_DTYPE_F32, {count, width});
        first += count;
    }
}

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

// ---------------------------------------------------------------------------------------------------------- backbone

namespace {

/** The ABI's form of one request, with the memory that its pointers need. */
struct RequestStorage {
    std::vector<vlm_segment> segments;
    std::vector<const vlm_segment*> segment_pointers;
    std::vector<vlm_visual_input> images;
    std::vector<const vlm_visual_input*> image_pointers;
    vlm_backbone_request request = abi_struct<vlm_backbone_request>();

    explicit RequestStorage(const Backbone::Request& source) {
        segments.reserve(source.segments.size());
        for (const Segment& segment : source.segments) {
            auto s = abi_struct<vlm_segment>();
            s.kind = segment.image < 0 ? VLM_SEGMENT_TEXT : VLM_SEGMENT_IMAGE;
            s.image = segment.image;
            s.first = segment.first;
            s.count = segment.image < 0 ? static_cast<int64_t>(segment.ids.size()) : segment.count;
            s.ids = segment.image < 0 ? segment.ids.data() : nullptr;
            segments.push_back(s);
        }
        images.reserve(source.images.size());
        for (const VisualTokens* tokens : source.images) {
            auto v = abi_struct<vlm_visual_input>();
            v.tokens = tokens->rows.abi();
            v.layout = tokens->layout.abi();
            if (tokens->map.row_of_position) {
                v.row_of_position = tokens->map.row_of_position.abi();
                v.sizes = tokens->map.sizes.abi();
                v.host_row_of_position = tokens->map.host_rows.empty() ? nullptr : tokens->map.host_rows.data();
            }
            v.keep = tokens->keep ? tokens->keep.abi() : nullptr;
            v.host_keep = tokens->host_keep ? tokens->host_keep.data<uint8_t>() : nullptr;
            images.push_back(v);
        }
        for (const auto& s : segments) segment_pointers.push_back(&s);
        for (const auto& v : images) image_pointers.push_back(&v);
        request.context = source.context != nullptr ? source.context->handle() : nullptr;
        request.segment_count = static_cast<uint32_t>(segments.size());
        request.image_count = static_cast<uint32_t>(images.size());
        request.segments = segment_pointers.data();
        request.images = image_pointers.data();
        request.logits = source.logits;
        request.confidence = -1;
    }
    RequestStorage(const RequestStorage&) = delete;
    RequestStorage& operator=(const RequestStorage&) = delete;
};

}  // namespace

Backbone::Backbone(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config)
    : Component(std::move(plugin), VLM_KIND_BACKBONE, config) {
    describe();
}

void Backbone::describe() {
    description_ = abi_struct<vlm_backbone_description>();
    check(api_.describe(handle_, &description_), "describe");
    if (description_.output_size <= 0)
        throw broken(plugin(), "VLM-P-17", "describes an output_size of " + std::to_string(description_.output_size));
}

void Backbone::load(Run& run, const vlm_weights& weights) {
    Component::load(run, weights);
    describe();
}

std::unique_ptr<Backbone::Context> Backbone::create_context(Run& run, int64_t max_tokens) const {
    vlm_backbone_context* handle = nullptr;
    const vlm_status status = api_.context_create(handle_, context(run), max_tokens, &handle);
    if (status == VLM_STATUS_UNIMPLEMENTED) return nullptr;  // encoder-only: no conversation to keep
    check(run, status, "context_create");
    return std::make_unique<Context>(*this, handle);
}

vlm_backbone_state Backbone::state(const Context& context) const {
    auto state = abi_struct<vlm_backbone_state>();
    check(api_.context_state(handle_, context.handle(), &state), "context_state");
    return state;
}

void Backbone::truncate(Context& context, int64_t tokens) const {
    check(api_.context_truncate(handle_, context.handle(), tokens), "context_truncate");
}

std::vector<Backbone::Output> Backbone::run(Run& run, std::span<const Request> requests,
                                            const Allocator& device) const {
    std::vector<std::unique_ptr<RequestStorage>> storage;
    std::vector<vlm_backbone_request*> pointers;
    std::vector<Output> outputs(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
        storage.push_back(std::make_unique<RequestStorage>(requests[i]));
        auto& request = storage.back()->request;
        int64_t rows = 0;
        int64_t workspace = 0;
        check(run, api_.plan(handle_, &request, &rows, &workspace), "plan");
        if (rows < 0) throw broken(plugin(), "VLM-P-17", "plans " + std::to_string(rows) + " output rows");
        if (rows > 0) {
            outputs[i].rows = Tensor(VLM_DTYPE_F32, {rows, description_.output_size}, device);
            outputs[i].row_of_output = Tensor(VLM_DTYPE_I32, {rows});
            request.output = outputs[i].rows.abi();
            request.row_of_output = requests[i].logits == VLM_LOGITS_ALL ? outputs[i].row_of_output.abi() : nullptr;
        }
        request.output_rows = rows;
        pointers.push_back(&request);
    }
    check(run, api_.run(handle_, context(run), static_cast<uint32_t>(pointers.size()), pointers.data()), "run");
    for (size_t i = 0; i < requests.size(); ++i) {
        const auto& request = storage[i]->request;
        outputs[i].confidence = request.confidence;
        if (!outputs[i].rows) continue;
        if (request.output_rows < 0 || request.output_rows > outputs[i].rows.dim(0))
            throw broken(plugin(), "VLM-P-17",
                         "run made " + std::to_string(request.output_rows) + " output rows where " +
                             std::to_string(outputs[i].rows.dim(0)) + " were planned");
        outputs[i].rows = outputs[i].rows.first_rows(request.output_rows);
        outputs[i].row_of_output = outputs[i].row_of_output.first_rows(request.output_rows);
    }
    bring_to_cpu(run, outputs, device);
    return outputs;
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
