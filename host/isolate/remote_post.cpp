/** @file remote_post.cpp
 *  `vlm.post_processor/1` in another process; its other end is child/serve_post.cpp.
 */
#include <vlm/post_processor.h>

#include "host/isolate/remote.hpp"
#include "host/isolate/tables.hpp"

namespace vlm::isolate {
namespace {

const char* const kKind = VLM_KIND_POST_PROCESSOR;

void write_answer(Writer& writer, TensorSender& tensors, const vlm_answer& answer) {
    writer.text({answer.text.data, answer.text.size});
    writer.put(answer.image);
    for (const float side : answer.region) writer.put(side);
    writer.put(answer.confidence);
    tensors.input(writer, answer.output);
    tensors.input(writer, answer.image_embeddings);
    writer.put(answer.token_count);
    for (uint32_t i = 0; i < answer.token_count; ++i) {
        const auto& token = *answer.tokens[i];
        writer.put(token.id);
        writer.put(token.log_probability);
        writer.text({token.piece.data, token.piece.size});
        writer.put(token.text_begin);
        writer.put(token.text_end);
    }
}

vlm_status process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                   vlm_emit_json_fn emit, void* sink) {
    return remotely(run, [&] {
        auto& remote = RemoteComponent::of(component);
        Writer arguments;
        TensorSender tensors(remote.arena());
        arguments.put(input->answer_count);
        for (uint32_t i = 0; i < input->answer_count; ++i) write_answer(arguments, tensors, *input->answers[i]);
        arguments.put(input->prompt_count);
        for (uint32_t i = 0; i < input->prompt_count; ++i)
            arguments.text({input->prompts[i].data, input->prompts[i].size});
        arguments.text({input->result.data, input->result.size});
        const Answer answer = remote.call(Op::process, arguments, run, tensors);
        if (answer.status != VLM_STATUS_OK) return answer.status;
        Reader reader(answer.body);
        const uint32_t emitted = reader.count(sizeof(uint64_t));
        for (uint32_t i = 0; i < emitted; ++i) {
            const std::string_view json = reader.text();
            if (const vlm_status status = emit(sink, json.data(), json.size()); status != VLM_STATUS_OK) return status;
        }
        return VLM_STATUS_OK;
    });
}

}  // namespace

const void* remote_post_processor() {
    static const vlm_post_processor table = {
        {sizeof(table), VLM_ABI_VERSION, remote_create<&kKind>, remote_load, remote_destroy}, process};
    return &table;
}

}  // namespace vlm::isolate
