/** @file post_process.cpp
 *  See post_process.hpp.
 */
#include "host/pipeline/post_process.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"

namespace vlm {

void post_process(const Pipeline& pipeline, Run& run, const std::vector<std::string>& prompts, Result& result) {
    std::vector<std::vector<vlm_token_piece>> pieces(result.answers.size());
    std::vector<std::vector<const vlm_token_piece*>> piece_pointers(result.answers.size());
    std::vector<vlm_answer> answers(result.answers.size());
    std::vector<const vlm_answer*> answer_pointers;
    for (size_t i = 0; i < result.answers.size(); ++i) {
        auto& source = result.answers[i];
        for (const auto& token : source.tokens) {
            auto piece = abi_struct<vlm_token_piece>();
            piece.id = token.id;
            piece.log_probability = token.log_probability;
            piece.piece = {token.piece.data(), token.piece.size()};
            piece.text_begin = token.text_begin;
            piece.text_end = token.text_end;
            pieces[i].push_back(piece);
        }
        for (const auto& piece : pieces[i]) piece_pointers[i].push_back(&piece);
        auto& answer = answers[i];
        answer = abi_struct<vlm_answer>();
        answer.text = {source.text.data(), source.text.size()};
        answer.token_count = static_cast<uint32_t>(pieces[i].size());
        answer.image = source.image;
        answer.tokens = piece_pointers[i].data();
        std::copy(source.region.begin(), source.region.end(), answer.region);
        answer.output = source.output ? source.output.abi() : nullptr;
        answer.image_embeddings = result.image_embeddings ? result.image_embeddings.abi() : nullptr;
        answer.confidence = source.confidence;
        answer_pointers.push_back(&answer);
    }
    std::vector<vlm_string> prompt_views;
    for (const auto& prompt : prompts) prompt_views.push_back({prompt.data(), prompt.size()});

    auto merged = nlohmann::ordered_json::object();
    for (const auto& post : pipeline.post_processors()) {
        const std::string so_far = merged.dump();
        auto input = abi_struct<vlm_post_input>();
        input.answer_count = static_cast<uint32_t>(answers.size());
        input.prompt_count = static_cast<uint32_t>(prompt_views.size());
        input.answers = answer_pointers.data();
        input.prompts = prompt_views.data();
        input.result = {so_far.data(), so_far.size()};
        const std::string json = post->process(run, input);
        const auto members = nlohmann::ordered_json::parse(json, nullptr, false);
        if (!members.is_object())
            throw Error(VLM_STATUS_INTERNAL, post->plugin().id() +
                                                 ": process emitted something that is no JSON object; "
                                                 "this is a fault of the plugin");
        merged.update(members);
    }
    result.extra = merged.dump();
}

}  // namespace vlm
