/** @file serve_post.cpp
 *  `vlm.post_processor/1`, called for the host; the other end of remote_post.cpp.
 */
#include <vlm/post_processor.h>

#include <deque>

#include "host/isolate/child/served_table.hpp"

namespace vlm::isolate {
namespace {

/** An answer with the memory that its pointers need. */
struct OwnedAnswer {
    vlm_answer abi = abi_struct<vlm_answer>();
    std::string text;
    std::vector<std::string> pieces;
    std::vector<vlm_token_piece> tokens;
    std::vector<const vlm_token_piece*> pointers;
};

void read_answer(ServedCall& call, OwnedAnswer& answer) {
    auto& in = call.arguments;
    answer.text = in.text();
    answer.abi.text = {answer.text.data(), answer.text.size()};
    answer.abi.image = in.get<int32_t>();
    for (float& side : answer.abi.region) side = in.get<float>();
    answer.abi.confidence = in.get<double>();
    answer.abi.output = call.tensors.take(in);
    answer.abi.image_embeddings = call.tensors.take(in);
    const uint32_t count = in.count(sizeof(int32_t));
    answer.pieces.resize(count);
    answer.tokens.resize(count, abi_struct<vlm_token_piece>());
    for (uint32_t i = 0; i < count; ++i) {
        auto& token = answer.tokens[i];
        token.id = in.get<int32_t>();
        token.log_probability = in.get<float>();
        answer.pieces[i] = in.text();
        token.piece = {answer.pieces[i].data(), answer.pieces[i].size()};
        token.text_begin = in.get<int64_t>();
        token.text_end = in.get<int64_t>();
        answer.pointers.push_back(&token);
    }
    answer.abi.token_count = count;
    answer.abi.tokens = answer.pointers.data();
}

class ServedPost final : public ServedTable<vlm_post_processor> {
  public:
    using ServedTable::ServedTable;
    vlm_status call(ServedCall& call) override {
        if (call.op != Op::process) throw unknown_call();
        auto& in = call.arguments;
        std::deque<OwnedAnswer> answers;
        std::vector<const vlm_answer*> pointers;
        for (uint32_t left = in.count(1); left > 0; --left) {
            read_answer(call, answers.emplace_back());
            pointers.push_back(&answers.back().abi);
        }
        std::deque<std::string> prompts;
        std::vector<vlm_string> prompt_views;
        for (uint32_t left = in.count(sizeof(uint64_t)); left > 0; --left) {
            const auto& prompt = prompts.emplace_back(in.text());
            prompt_views.push_back({prompt.data(), prompt.size()});
        }
        const std::string result(in.text());
        auto input = abi_struct<vlm_post_input>();
        input.answer_count = static_cast<uint32_t>(pointers.size());
        input.prompt_count = static_cast<uint32_t>(prompt_views.size());
        input.answers = pointers.data();
        input.prompts = prompt_views.data();
        input.result = {result.data(), result.size()};
        std::vector<std::string> emitted;
        const auto emit = [](void* sink, const char* json, uint64_t size) -> vlm_status {
            if (json == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
            try {
                static_cast<std::vector<std::string>*>(sink)->emplace_back(json, size);
                return VLM_STATUS_OK;
            } catch (...) {
                return VLM_STATUS_RESOURCE_EXHAUSTED;
            }
        };
        const vlm_status status = api_.process(component_, call.run, &input, emit, &emitted);
        call.result.put(static_cast<uint32_t>(emitted.size()));
        for (const auto& json : emitted) call.result.text(json);
        return status;
    }
};

}  // namespace

std::unique_ptr<Served> serve_post_processor(const void* table) {
    return std::make_unique<ServedPost>(table);
}

}  // namespace vlm::isolate
