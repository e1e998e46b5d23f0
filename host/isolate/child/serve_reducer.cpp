/** @file serve_reducer.cpp
 *  `vlm.token_reducer/1`, called for the host; the other end of remote_reducer.cpp.
 */
#include <vlm/token_reducer.h>

#include "host/isolate/child/served_table.hpp"
#include "host/isolate/fields.hpp"
#include "host/isolate/hook_messages.hpp"

namespace vlm::isolate {
namespace {

class ServedReducer final : public ServedTable<vlm_token_reducer> {
  public:
    using ServedTable::ServedTable;
    vlm_status call(ServedCall& call) override {
        switch (call.op) {
            case Op::needs:
                return needs(call);
            case Op::reduce:
                return reduce(call);
            default:
                throw unknown_call();
        }
    }

  private:
    vlm_status needs(ServedCall& call) {
        const auto site = call.arguments.get<uint32_t>();
        const auto layer = call.arguments.get<int32_t>();
        const auto layers = call.arguments.get<int32_t>();
        uint32_t needed = 0;
        const vlm_status status = api_.needs(component_, call.run, site, layer, layers, &needed);
        call.result.put(needed);
        return status;
    }

    vlm_status reduce(ServedCall& call) {
        auto& in = call.arguments;
        auto view = abi_struct<vlm_token_view>();
        get_members(in, view);
        for (const auto& member : kViewMembers) view.*member.tensor = call.tensors.take(in);
        OwnedLayout layout;
        view.layout = in.layout(layout) ? &layout.abi : nullptr;
        auto map = abi_struct<vlm_token_map>();
        map.groups = call.tensors.take(in);
        map.group_count = in.get<int64_t>();
        const vlm_status status = api_.reduce(component_, call.run, &view, &map);
        call.result.put(map.group_count);
        return status;
    }
};

}  // namespace

std::unique_ptr<Served> serve_token_reducer(const void* table) {
    return std::make_unique<ServedReducer>(table);
}

}  // namespace vlm::isolate
