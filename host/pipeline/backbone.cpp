/** @file backbone.cpp
 *  The backbone of stages.hpp: requests in, rows of logits out, or the few largest of them where a device finds those
 * itself.
 */
#include <algorithm>

#include "host/compute/decoding_device.hpp"
#include "host/pipeline/stages.hpp"

namespace vlm {
namespace {

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

/** Has the device find the largest logits of each last row; false where it does not. */
bool find_top(Run& run, std::vector<Backbone::Output>& outputs, Device& device, int64_t largest) {
    std::vector<const vlm_tensor*> rows;
    for (const auto& output : outputs) {
        if (!output.rows || output.rows.on_cpu() || output.rows.dim(0) < 1) return false;
        rows.push_back(output.rows.abi());
    }
    auto* decoding = dynamic_cast<DecodingDevice*>(&device);
    if (decoding == nullptr) return false;
    auto top = decoding->top_logits(run.context(VLM_ABI_VERSION), rows, largest);
    if (top.size() != outputs.size()) return false;
    for (size_t i = 0; i < outputs.size(); ++i) {
        outputs[i].rows = {};
        outputs[i].top = std::move(top[i]);
    }
    return true;
}

/** The time in which calls of a run belong to a step of decoding. */
class DeviceStep {
  public:
    DeviceStep(Run& run, DecodingDevice& device, int64_t rows) : run_(run), device_(device), usual_(run.stream()) {
        if (void* stream = device.begin_step(rows)) run.set_stream(stream);
    }
    ~DeviceStep() { end(); }
    DeviceStep(const DeviceStep&) = delete;
    DeviceStep& operator=(const DeviceStep&) = delete;
    /** False, as often as it is asked, when the step is lost. */
    bool end() noexcept {
        if (!ended_) {
            run_.set_stream(usual_);
            kept_ = device_.end_step();
        }
        ended_ = true;
        return kept_;
    }

  private:
    Run& run_;
    DecodingDevice& device_;
    void* usual_;
    bool ended_ = false, kept_ = true;
};

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

std::vector<Backbone::Output> Backbone::run_on_device(Run& run, std::span<const Request> requests,
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
    return outputs;
}

std::vector<Backbone::Output> Backbone::run(Run& run, std::span<const Request> requests,
                                            const Allocator& device) const {
    auto outputs = run_on_device(run, requests, device);
    bring_to_cpu(run, outputs, device);
    return outputs;
}

void Backbone::choose(Run& run, std::vector<Output>& outputs, Device& device, int64_t largest) const {
    largest = std::min(largest, description_.output_size);
    if (largest > 0 && largest <= kMostTopLogits && find_top(run, outputs, device, largest)) return;
    bring_to_cpu(run, outputs, device.allocator());
}

std::vector<Backbone::Output> Backbone::run_for_choice(Run& run, std::span<const Request> requests, Device& device,
                                                       int64_t largest) const {
    auto outputs = run_on_device(run, requests, device.allocator());
    choose(run, outputs, device, largest);
    return outputs;
}

std::vector<Backbone::Output> Backbone::step(Run& run, std::span<const Request> requests, Device& device,
                                             int64_t largest) const {
    auto* decoding = dynamic_cast<DecodingDevice*>(&device);
    // Whoever listens to tensors waits for each.
    if (decoding == nullptr || (run.listeners() != nullptr && run.listeners()->tap))
        return run_for_choice(run, requests, device, largest);
    int64_t rows = 0;
    std::vector<int64_t> before;
    for (const Request& request : requests) {
        for (const Segment& segment : request.segments) rows += segment.count;
        before.push_back(state(*request.context).tokens);
    }
    std::vector<Output> outputs;
    bool lost = false;
    {
        DeviceStep recorded(run, *decoding, rows);
        try {
            outputs = run_on_device(run, requests, device.allocator());
        } catch (const Error& error) {
            // The plugin has set its contexts back. What failed may be the recording and not the work.
            if (recorded.end() || error.code() == VLM_STATUS_CANCELLED) throw;
            lost = true;
        }
        lost = !recorded.end() || lost;
    }
    if (lost) {
        for (size_t i = 0; i < requests.size(); ++i)
            if (state(*requests[i].context).tokens > before[i]) truncate(*requests[i].context, before[i]);
        outputs = run_on_device(run, requests, device.allocator());
    }
    choose(run, outputs, device, largest);
    return outputs;
}

}  // namespace vlm
