/** @file remote_connector.cpp
 *  `vlm.connector/1` in another process; its other end is child/serve_connector.cpp.
 */
#include <vlm/connector.h>

#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"

namespace vlm::isolate {
namespace {

const char* const kKind = VLM_KIND_CONNECTOR;

vlm_status plan(vlm_component* component, const vlm_token_layout* layout, int32_t width, int32_t height,
                vlm_connector_plan* out) {
    return remotely(nullptr, [&] {
        thread_local OwnedLayout made;
        Writer arguments;
        arguments.layout(layout);
        arguments.put(width);
        arguments.put(height);
        const Answer answer = RemoteComponent::of(component).call(Op::plan, arguments, nullptr);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        out->rows = reader.get<int64_t>();
        out->workspace_bytes = reader.get<int64_t>();
        out->layout = reader.layout(made) ? &made.abi : nullptr;
        return VLM_STATUS_OK;
    });
}

vlm_status connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                   const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        arguments.put(count);
        for (uint32_t i = 0; i < count; ++i) {
            const auto& input = *inputs[i];
            tensors.input(arguments, input.features);
            tensors.input(arguments, input.pooled);
            arguments.layout(input.layout);
            arguments.put(input.width);
            arguments.put(input.height);
            arguments.text({input.prompt.data, input.prompt.size});
            tensors.input(arguments, input.row_of_position);
            tensors.output(arguments, outputs[i]->tokens);
            arguments.put(outputs[i]->rows);
            arguments.put(outputs[i]->confidence);
        }
        const Answer answer = remote.call(Op::connect, arguments, run, tensors);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        for (uint32_t i = 0; i < count; ++i) {
            outputs[i]->rows = reader.get<int64_t>();
            outputs[i]->confidence = reader.get<double>();
        }
        return VLM_STATUS_OK;
    });
}

}  // namespace

const void* remote_connector() {
    static const vlm_connector table = {
        {sizeof(table), VLM_ABI_VERSION, remote_create<&kKind>, remote_load, remote_destroy},
        remote_describe<vlm_connector_description>,
        plan,
        connect};
    return &table;
}

}  // namespace vlm::isolate
