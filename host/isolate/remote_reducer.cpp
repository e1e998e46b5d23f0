/** @file remote_reducer.cpp
 *  `vlm.token_reducer/1` in another process; its other end is child/serve_reducer.cpp.
 *
 *  Between the stages the tokens lie in the arena. Inside the layers of a plugin they lie in that plugin's own memory
 * and are copied for each call.
 */
#include <vlm/token_reducer.h>

#include "host/isolate/fields.hpp"
#include "host/isolate/hook_messages.hpp"
#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"

namespace vlm::isolate {
namespace {

const char* const kKind = VLM_KIND_TOKEN_REDUCER;

vlm_status needs(vlm_component* component, const vlm_run_context* run, uint32_t site, int32_t layer, int32_t layers,
                 uint32_t* needs) {
    return remotely(run, [&] {
        Writer arguments;
        arguments.put(site);
        arguments.put(layer);
        arguments.put(layers);
        const Answer answer = RemoteComponent::of(component).call(Op::needs, arguments, run);
        if (answer.status == VLM_STATUS_OK) *needs = Reader(answer.body).get<uint32_t>();
        return answer.status;
    });
}

vlm_status reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                  vlm_token_map* map) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        put_members(arguments, *view);
        for (const auto& member : kViewMembers) tensors.input(arguments, view->*member.tensor);
        arguments.layout(view->layout);
        tensors.output(arguments, map->groups);
        arguments.put(map->group_count);
        const Answer answer = remote.call(Op::reduce, arguments, run, tensors);
        if (answer.status == VLM_STATUS_OK) map->group_count = Reader(answer.body).get<int64_t>();
        return answer.status;
    });
}

}  // namespace

const void* remote_token_reducer() {
    static const vlm_token_reducer table = {
        {sizeof(table), VLM_ABI_VERSION, remote_create<&kKind>, remote_load, remote_destroy}, needs, reduce};
    return &table;
}

}  // namespace vlm::isolate
