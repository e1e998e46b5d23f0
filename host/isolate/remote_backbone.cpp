/** @file remote_backbone.cpp
 *  `vlm.backbone/1` in another process; its other end is child/serve_backbone.cpp.
 *
 *  Keys and values of a conversation stay in that process. Here a conversation is a number; one whose process was lost
 * is unknown to the next one, which says so.
 */
#include <vlm/backbone.h>
#include <vlm/hooks.h>

#include <atomic>

#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"

namespace vlm::isolate {
namespace {

const char* const kKind = VLM_KIND_BACKBONE;

/** What `vlm_backbone_context*` points at. */
struct RemoteContext {
    uint64_t number;
    static uint64_t number_of(const vlm_backbone_context* context) {
        return context != nullptr ? reinterpret_cast<const RemoteContext*>(context)->number : 0;
    }
};

vlm_status context_create(vlm_component* component, const vlm_run_context* run, int64_t max_tokens,
                          vlm_backbone_context** context) {
    return remotely(run, [&] {
        static std::atomic<uint64_t> last{0};
        auto made = std::make_unique<RemoteContext>(RemoteContext{++last});
        Writer arguments;
        arguments.put(made->number);
        arguments.put(max_tokens);
        const Answer answer = RemoteComponent::of(component).call(Op::context_create, arguments, run);
        if (answer.status == VLM_STATUS_OK) *context = reinterpret_cast<vlm_backbone_context*>(made.release());
        return answer.status;
    });
}

void context_destroy(vlm_component* component, vlm_backbone_context* context) {
    if (context == nullptr) return;
    const std::unique_ptr<RemoteContext> ended(reinterpret_cast<RemoteContext*>(context));
    Writer arguments;
    arguments.put(ended->number);
    RemoteComponent::of(component).release(Op::context_destroy, arguments);
}

vlm_status context_truncate(vlm_component* component, vlm_backbone_context* context, int64_t tokens) {
    return remotely(nullptr, [&] {
        Writer arguments;
        arguments.put(RemoteContext::number_of(context));
        arguments.put(tokens);
        return RemoteComponent::of(component).call(Op::context_truncate, arguments, nullptr).status;
    });
}

vlm_status context_state(const vlm_component* component, const vlm_backbone_context* context,
                         vlm_backbone_state* state) {
    return remotely(nullptr, [&] {
        Writer arguments;
        arguments.put(RemoteContext::number_of(context));
        const Answer answer = RemoteComponent::of(component).call(Op::context_state, arguments, nullptr);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        get_members(reader, *state);
        return VLM_STATUS_OK;
    });
}

void write_request(Writer& writer, TensorSender& tensors, const vlm_backbone_request& request) {
    writer.put(RemoteContext::number_of(request.context));
    writer.put(request.segment_count);
    for (uint32_t i = 0; i < request.segment_count; ++i) {
        const auto& segment = *request.segments[i];
        writer.put(segment.kind);
        writer.put(segment.image);
        writer.put(segment.first);
        writer.put(segment.count);
        const uint64_t bytes = segment.ids != nullptr ? static_cast<uint64_t>(segment.count) * sizeof(int32_t) : 0;
        writer.text({reinterpret_cast<const char*>(segment.ids), bytes});
        tensors.input(writer, segment.device_ids);
    }
    writer.put(request.image_count);
    for (uint32_t i = 0; i < request.image_count; ++i) {
        const auto& image = *request.images[i];
        tensors.input(writer, image.tokens);
        writer.layout(image.layout);
        tensors.input(writer, image.row_of_position);
        tensors.input(writer, image.sizes);
        tensors.input(writer, image.keep);
    }
    writer.put(request.logits);
    tensors.output(writer, request.output);
    writer.put(request.output_rows);
    tensors.output(writer, request.row_of_output);
    tensors.output(writer, request.hidden);
    writer.put(request.confidence);
}

vlm_status plan(vlm_component* component, const vlm_backbone_request* request, int64_t* output_rows,
                int64_t* workspace_bytes) {
    return remotely(nullptr, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        write_request(arguments, tensors, *request);
        const Answer answer = remote.call(Op::plan, arguments, nullptr, tensors);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        *output_rows = reader.get<int64_t>();
        *workspace_bytes = reader.get<int64_t>();
        return VLM_STATUS_OK;
    });
}

vlm_status run_requests(vlm_component* component, const vlm_run_context* run, uint32_t count,
                        vlm_backbone_request* const* requests) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        arguments.put(count);
        for (uint32_t i = 0; i < count; ++i) write_request(arguments, tensors, *requests[i]);
        const Answer answer = remote.call(Op::run, arguments, run, tensors);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        for (uint32_t i = 0; i < count; ++i) {
            requests[i]->output_rows = reader.get<int64_t>();
            requests[i]->confidence = reader.get<double>();
        }
        return VLM_STATUS_OK;
    });
}

}  // namespace

const void* remote_backbone() {
    static const vlm_backbone table = {
        {sizeof(table), VLM_ABI_VERSION, remote_create<&kKind>, remote_load, remote_destroy},
        remote_describe<vlm_backbone_description>,
        context_create,
        context_destroy,
        context_truncate,
        context_state,
        plan,
        run_requests};
    return &table;
}

}  // namespace vlm::isolate
