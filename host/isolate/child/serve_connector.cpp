/** @file serve_connector.cpp
 *  `vlm.connector/1`, called for the host; the other end of remote_connector.cpp.
 */
#include <vlm/connector.h>

#include <deque>

#include "host/isolate/child/served_table.hpp"

namespace vlm::isolate {
namespace {

class ServedConnector final : public ServedTable<vlm_connector> {
  public:
    using ServedTable::ServedTable;
    vlm_status call(ServedCall& call) override {
        switch (call.op) {
            case Op::describe:
                return describe<vlm_connector_description>(call);
            case Op::plan:
                return plan(call);
            case Op::connect:
                return connect(call);
            default:
                throw unknown_call();
        }
    }

  private:
    vlm_status plan(ServedCall& call) {
        OwnedLayout layout;
        const bool given = call.arguments.layout(layout);
        const auto width = call.arguments.get<int32_t>();
        const auto height = call.arguments.get<int32_t>();
        auto made = abi_struct<vlm_connector_plan>();
        const vlm_status status = api_.plan(component_, given ? &layout.abi : nullptr, width, height, &made);
        if (status != VLM_STATUS_OK) return status;
        call.result.put(made.rows);
        call.result.put(made.workspace_bytes);
        call.result.layout(made.layout);
        return status;
    }

    vlm_status connect(ServedCall& call) {
        const uint32_t count = call.arguments.count(1);
        std::deque<OwnedLayout> layouts;
        std::deque<std::string> prompts;
        std::vector<vlm_connector_input> inputs(count, abi_struct<vlm_connector_input>());
        std::vector<vlm_connector_output> outputs(count, abi_struct<vlm_connector_output>());
        std::vector<const vlm_connector_input*> input_pointers;
        std::vector<vlm_connector_output*> output_pointers;
        for (uint32_t i = 0; i < count; ++i) {
            auto& input = inputs[i];
            input.features = call.tensors.take(call.arguments);
            input.pooled = call.tensors.take(call.arguments);
            input.layout = call.arguments.layout(layouts.emplace_back()) ? &layouts.back().abi : nullptr;
            input.width = call.arguments.get<int32_t>();
            input.height = call.arguments.get<int32_t>();
            const auto& prompt = prompts.emplace_back(call.arguments.text());
            input.prompt = {prompt.data(), prompt.size()};
            input.row_of_position = call.tensors.take(call.arguments);
            outputs[i].tokens = call.tensors.take(call.arguments);
            outputs[i].rows = call.arguments.get<int64_t>();
            outputs[i].confidence = call.arguments.get<double>();
            input_pointers.push_back(&input);
            output_pointers.push_back(&outputs[i]);
        }
        const vlm_status status =
            api_.connect(component_, call.run, count, input_pointers.data(), output_pointers.data());
        for (const auto& output : outputs) {
            call.result.put(output.rows);
            call.result.put(output.confidence);
        }
        return status;
    }
};

}  // namespace

std::unique_ptr<Served> serve_connector(const void* table) {
    return std::make_unique<ServedConnector>(table);
}

}  // namespace vlm::isolate
