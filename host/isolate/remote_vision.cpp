/** @file remote_vision.cpp
 *  `vlm.vision_encoder/1` in another process; its other end is child/serve_vision.cpp.
 */
#include <vlm/vision_encoder.h>

#include <span>

#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"

namespace vlm::isolate {
namespace {

/** The host follows these rows through its own arrays, so they are checked where the plugin cannot be trusted. */
void check_rows(const vlm_vision_output& output) {
    const auto& view = output.row_of_position->view;
    const std::span rows(reinterpret_cast<const int32_t*>(static_cast<const char*>(view.data) + view.byte_offset),
                         static_cast<size_t>(view.shape[0]));
    for (const int32_t row : rows)
        if (row < -1 || row >= output.rows)
            throw Error(VLM_STATUS_INTERNAL, "encode put a position into row " + std::to_string(row) + " of " +
                                                 std::to_string(output.rows) +
                                                 "; this is a fault of the plugin (VLM-P-17)");
}

const char* const kKind = VLM_KIND_VISION_ENCODER;

vlm_status plan(vlm_component* component, int32_t width, int32_t height, vlm_vision_plan* out) {
    return remotely(nullptr, [&] {
        thread_local OwnedLayout layout;
        Writer arguments;
        arguments.put(width);
        arguments.put(height);
        const Answer answer = RemoteComponent::of(component).call(Op::plan, arguments, nullptr);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        out->pixel_ndim = reader.get<int32_t>();
        for (auto& size : out->pixel_shape) size = reader.get<int64_t>();
        out->feature_rows = reader.get<int64_t>();
        out->pooled_rows = reader.get<int64_t>();
        out->workspace_bytes = reader.get<int64_t>();
        out->layout = reader.layout(layout) ? &layout.abi : nullptr;
        return VLM_STATUS_OK;
    });
}

vlm_status preprocess(vlm_component* component, const vlm_run_context* run, const vlm_image* image,
                      vlm_tensor* pixels) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        arguments.put(image->width);
        arguments.put(image->height);
        arguments.put(tensors.bytes(
            image->pixels, uint64_t{3} * static_cast<uint64_t>(image->width) * static_cast<uint64_t>(image->height)));
        arguments.text(image->source != nullptr ? image->source : "");
        tensors.output(arguments, pixels);
        return remote.call(Op::preprocess, arguments, run, tensors).status;
    });
}

vlm_status encode(vlm_component* component, const vlm_run_context* run, uint32_t count, const vlm_tensor* const* pixels,
                  vlm_vision_output* const* outputs) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        arguments.put(count);
        for (uint32_t i = 0; i < count; ++i) {
            const auto& output = *outputs[i];
            tensors.input(arguments, pixels[i]);
            tensors.output(arguments, output.features);
            tensors.output(arguments, output.pooled);
            tensors.output(arguments, output.row_of_position);
            tensors.output(arguments, output.sizes);
            arguments.put(output.rows);
        }
        const Answer answer = remote.call(Op::encode, arguments, run, tensors);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        for (uint32_t i = 0; i < count; ++i) {
            outputs[i]->rows = reader.get<int64_t>();
            outputs[i]->reduced = reader.get<int32_t>();
            if (outputs[i]->reduced != 0) check_rows(*outputs[i]);
        }
        return VLM_STATUS_OK;
    });
}

}  // namespace

const void* remote_vision_encoder() {
    static const vlm_vision_encoder table = {
        {sizeof(table), VLM_ABI_VERSION, remote_create<&kKind>, remote_load, remote_destroy},
        remote_describe<vlm_vision_description>,
        plan,
        preprocess,
        encode};
    return &table;
}

}  // namespace vlm::isolate
