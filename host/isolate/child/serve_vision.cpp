/** @file serve_vision.cpp
 *  `vlm.vision_encoder/1`, called for the host; the other end of remote_vision.cpp.
 */
#include <vlm/vision_encoder.h>

#include "host/isolate/child/served_table.hpp"

namespace vlm::isolate {
namespace {

class ServedEncoder final : public ServedTable<vlm_vision_encoder> {
  public:
    using ServedTable::ServedTable;
    vlm_status call(ServedCall& call) override {
        switch (call.op) {
            case Op::describe:
                return describe<vlm_vision_description>(call);
            case Op::plan:
                return plan(call);
            case Op::preprocess:
                return preprocess(call);
            case Op::encode:
                return encode(call);
            default:
                throw unknown_call();
        }
    }

  private:
    vlm_status plan(ServedCall& call) {
        const auto width = call.arguments.get<int32_t>();
        const auto height = call.arguments.get<int32_t>();
        auto made = abi_struct<vlm_vision_plan>();
        const vlm_status status = api_.plan(component_, width, height, &made);
        if (status != VLM_STATUS_OK) return status;
        call.result.put(made.pixel_ndim);
        for (const int64_t size : made.pixel_shape) call.result.put(size);
        call.result.put(made.feature_rows);
        call.result.put(made.pooled_rows);
        call.result.put(made.workspace_bytes);
        call.result.layout(made.layout);
        return status;
    }

    vlm_status preprocess(ServedCall& call) {
        auto image = abi_struct<vlm_image>();
        image.width = call.arguments.get<int32_t>();
        image.height = call.arguments.get<int32_t>();
        const uint64_t bytes = uint64_t{3} * static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height);
        const auto place = call.arguments.get<uint64_t>();
        image.pixels = reinterpret_cast<const uint8_t*>(call.tensors.bytes(place, bytes));
        const std::string source(call.arguments.text());
        image.source = source.c_str();
        vlm_tensor* const pixels = call.tensors.take(call.arguments);
        return api_.preprocess(component_, call.run, &image, pixels);
    }

    vlm_status encode(ServedCall& call) {
        std::vector<const vlm_tensor*> pixels(call.arguments.count(1));
        std::vector<vlm_vision_output> outputs(pixels.size(), abi_struct<vlm_vision_output>());
        std::vector<vlm_vision_output*> pointers;
        for (size_t i = 0; i < pixels.size(); ++i) {
            auto& output = outputs[i];
            pixels[i] = call.tensors.take(call.arguments);
            output.features = call.tensors.take(call.arguments);
            output.pooled = call.tensors.take(call.arguments);
            output.row_of_position = call.tensors.take(call.arguments);
            output.sizes = call.tensors.take(call.arguments);
            output.rows = call.arguments.get<int64_t>();
            pointers.push_back(&output);
        }
        const vlm_status status =
            api_.encode(component_, call.run, static_cast<uint32_t>(pixels.size()), pixels.data(), pointers.data());
        for (const auto& output : outputs) {
            call.result.put(output.rows);
            call.result.put(output.reduced);
        }
        return status;
    }
};

}  // namespace

std::unique_ptr<Served> serve_vision_encoder(const void* table) {
    return std::make_unique<ServedEncoder>(table);
}

}  // namespace vlm::isolate
