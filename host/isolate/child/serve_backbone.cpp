/** @file serve_backbone.cpp
 *  `vlm.backbone/1`, called for the host; the other end of remote_backbone.cpp. Conversations live here, by number.
 */
#include <vlm/backbone.h>

#include <deque>
#include <map>

#include "host/isolate/child/served_table.hpp"

namespace vlm::isolate {
namespace {

/** A request with the memory that its pointers need. */
struct OwnedRequest {
    vlm_backbone_request abi = abi_struct<vlm_backbone_request>();
    std::deque<std::vector<int32_t>> ids;
    std::deque<OwnedLayout> layouts;
    std::deque<vlm_segment> segments;
    std::deque<vlm_visual_input> images;
    std::vector<const vlm_segment*> segment_pointers;
    std::vector<const vlm_visual_input*> image_pointers;
};

class ServedBackbone final : public ServedTable<vlm_backbone> {
  public:
    using ServedTable::ServedTable;
    vlm_status call(ServedCall& call) override {
        switch (call.op) {
            case Op::describe:
                return describe<vlm_backbone_description>(call);
            case Op::context_create:
                return create_context(call);
            case Op::context_destroy:
                return destroy_context(call);
            case Op::context_truncate: {
                auto* const context = context_of(call.arguments.get<uint64_t>());
                return api_.context_truncate(component_, context, call.arguments.get<int64_t>());
            }
            case Op::context_state:
                return state(call);
            case Op::plan:
                return plan(call);
            case Op::run:
                return run(call);
            default:
                throw unknown_call();
        }
    }

  private:
    vlm_backbone_context* context_of(uint64_t number) const {
        if (number == 0) return nullptr;
        const auto found = contexts_.find(number);
        if (found == contexts_.end())
            throw failed_precondition("the conversation was lost with the process that held it; start a new one");
        return found->second;
    }

    vlm_status create_context(ServedCall& call) {
        const auto number = call.arguments.get<uint64_t>();
        vlm_backbone_context* context = nullptr;
        const vlm_status status = api_.context_create(component_, call.run, call.arguments.get<int64_t>(), &context);
        if (status == VLM_STATUS_OK) contexts_[number] = context;
        return status;
    }

    vlm_status destroy_context(ServedCall& call) {
        const auto found = contexts_.find(call.arguments.get<uint64_t>());
        if (found == contexts_.end()) return VLM_STATUS_OK;
        api_.context_destroy(component_, found->second);
        contexts_.erase(found);
        return VLM_STATUS_OK;
    }

    vlm_status state(ServedCall& call) {
        auto made = abi_struct<vlm_backbone_state>();
        const vlm_status status = api_.context_state(component_, context_of(call.arguments.get<uint64_t>()), &made);
        put_members(call.result, made);
        return status;
    }

    void read_request(ServedCall& call, OwnedRequest& request) const {
        auto& in = call.arguments;
        request.abi.context = context_of(in.get<uint64_t>());
        for (uint32_t left = in.count(1); left > 0; --left) {
            auto& segment = request.segments.emplace_back(abi_struct<vlm_segment>());
            segment.kind = in.get<uint32_t>();
            segment.image = in.get<int32_t>();
            segment.first = in.get<int64_t>();
            segment.count = in.get<int64_t>();
            const std::string_view bytes = in.text();
            auto& ids = request.ids.emplace_back(bytes.size() / sizeof(int32_t));
            if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), ids.size() * sizeof(int32_t));
            segment.ids = ids.empty() ? nullptr : ids.data();
            segment.device_ids = call.tensors.take(in);
            request.segment_pointers.push_back(&segment);
        }
        for (uint32_t left = in.count(1); left > 0; --left) {
            auto& image = request.images.emplace_back(abi_struct<vlm_visual_input>());
            image.tokens = call.tensors.take(in);
            image.layout = in.layout(request.layouts.emplace_back()) ? &request.layouts.back().abi : nullptr;
            image.row_of_position = call.tensors.take(in);
            image.sizes = call.tensors.take(in);
            image.keep = call.tensors.take(in);
            request.image_pointers.push_back(&image);
        }
        request.abi.segment_count = static_cast<uint32_t>(request.segment_pointers.size());
        request.abi.image_count = static_cast<uint32_t>(request.image_pointers.size());
        request.abi.segments = request.segment_pointers.data();
        request.abi.images = request.image_pointers.data();
        request.abi.logits = in.get<uint32_t>();
        request.abi.output = call.tensors.take(in);
        request.abi.output_rows = in.get<int64_t>();
        request.abi.row_of_output = call.tensors.take(in);
        request.abi.hidden = call.tensors.take(in);
        request.abi.confidence = in.get<double>();
    }

    vlm_status plan(ServedCall& call) {
        OwnedRequest request;
        read_request(call, request);
        int64_t rows = 0;
        int64_t workspace = 0;
        const vlm_status status = api_.plan(component_, &request.abi, &rows, &workspace);
        call.result.put(rows);
        call.result.put(workspace);
        return status;
    }

    vlm_status run(ServedCall& call) {
        const uint32_t count = call.arguments.count(1);
        std::deque<OwnedRequest> requests;
        std::vector<vlm_backbone_request*> pointers;
        for (uint32_t i = 0; i < count; ++i) {
            read_request(call, requests.emplace_back());
            pointers.push_back(&requests.back().abi);
        }
        const vlm_status status = api_.run(component_, call.run, count, pointers.data());
        for (const auto& request : requests) {
            call.result.put(request.abi.output_rows);
            call.result.put(request.abi.confidence);
        }
        return status;
    }

    std::map<uint64_t, vlm_backbone_context*> contexts_;
};

}  // namespace

std::unique_ptr<Served> serve_backbone(const void* table) {
    return std::make_unique<ServedBackbone>(table);
}

}  // namespace vlm::isolate
