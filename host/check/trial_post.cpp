/** @file trial_post.cpp
 *  Post-processors under random answers: words, numbers, special tokens and characters of several bytes.
 */
#include <vlm/post_processor.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr int64_t kMostAnswers = 4;
constexpr int64_t kMostTokens = 24;
constexpr int64_t kClasses = 8;
constexpr std::array kPieces = {
    "one", " tablet", " 500", "mg", "\n", "<|special|>", " \xEC\x95\x84\xEC\xB9\xA8", "3/day",
    " ",   ",",       "{",    "\"", "\\", "<loc_12>",    " \xF0\x9F\x92\x8A",         "A"};

/** What `emit` received. */
struct Received {
    int calls = 0;
    std::string json;
};

vlm_status receive(void* sink, const char* json, uint64_t size) {
    auto& received = *static_cast<Received*>(sink);
    if (ServiceFaults::fails(HostService::emit)) return VLM_STATUS_INTERNAL;
    ++received.calls;
    if (json != nullptr) received.json.assign(json, size);
    return json != nullptr ? VLM_STATUS_OK : VLM_STATUS_INVALID_ARGUMENT;
}

struct Answer {
    std::string text;
    std::vector<vlm_token_piece> pieces;
    std::vector<const vlm_token_piece*> pointers;
    std::unique_ptr<GuardedTensor> output;
    vlm_answer abi{};
};

class PostTrial : public Trial {
  public:
    explicit PostTrial(const Subject& subject)
        : options_(subject.options()),
          table_(table_of<vlm_post_processor>(subject, VLM_KIND_POST_PROCESSOR)),
          component_(table_.base, VLM_KIND_POST_PROCESSOR, options_, *device_) {
        must(table_.process != nullptr, "the table of vlm.post_processor/1 lacks process");
    }

    Outcome run(uint64_t number, const Conditions& conditions) override {
        Draw draw(options_.seed, number);
        std::vector<Answer> answers(static_cast<size_t>(draw.below(kMostAnswers + 1)));
        GuardedTensor embeddings(VLM_DTYPE_F32, {1, kClasses}, 0);
        draw.fill(embeddings, VLM_DTYPE_F32);
        const bool classes = draw.below(2) == 0;
        std::vector<const vlm_answer*> pointers;
        for (auto& answer : answers) {
            fill(answer, draw, classes ? &embeddings : nullptr);
            pointers.push_back(&answer.abi);
        }
        if (conditions.wrong_input && !answers.empty()) {
            answers[0].abi.tokens = nullptr;
            answers[0].abi.token_count = 1;
        }
        const std::string prompt = "Read the page";
        const vlm_string prompts[] = {{prompt.data(), prompt.size()}};
        vlm_post_input input{};
        input.struct_size = sizeof(input);
        input.abi_version = VLM_ABI_VERSION;
        input.answer_count = static_cast<uint32_t>(answers.size());
        input.prompt_count = 1;
        input.answers = pointers.data();
        input.prompts = prompts;
        input.result = {"{}", 2};
        Received received;
        Outcome outcome =
            call(std::to_string(answers.size()) + " answers", conditions, [&](const vlm_run_context* context) {
                return table_.process(component_.get(), context, &input, receive, &received);
            });
        for (auto& answer : answers)
            if (answer.output && !answer.output->intact()) outcome.damage = "process wrote around an answer's output";
        if (outcome.status != VLM_STATUS_OK) return outcome;
        if (received.calls != 1)
            outcome.misshapen = "process called emit " + std::to_string(received.calls) + " times, expected once";
        else if (!nlohmann::json::parse(received.json, nullptr, false).is_object())
            outcome.misshapen = "process emitted something that is no JSON object";
        outcome.bytes.assign(received.json.begin(), received.json.end());
        return outcome;
    }

  private:
    static void fill(Answer& answer, Draw& draw, GuardedTensor* embeddings) {
        const int64_t tokens = draw.below(kMostTokens);
        for (int64_t i = 0; i < tokens; ++i) {
            const char* piece = kPieces[static_cast<size_t>(draw.below(kPieces.size()))];
            vlm_token_piece p{};
            p.struct_size = sizeof(p);
            p.abi_version = VLM_ABI_VERSION;
            p.id = static_cast<int32_t>(draw.below(1000));
            p.log_probability = (draw.real() - 1.F) * 2.F;
            p.piece = {piece, std::strlen(piece)};
            p.text_begin = static_cast<int64_t>(answer.text.size());
            answer.text += piece;
            p.text_end = static_cast<int64_t>(answer.text.size());
            answer.pieces.push_back(p);
        }
        for (const auto& p : answer.pieces) answer.pointers.push_back(&p);
        auto& a = answer.abi;
        a.struct_size = sizeof(a);
        a.abi_version = VLM_ABI_VERSION;
        a.text = {answer.text.data(), answer.text.size()};
        a.token_count = static_cast<uint32_t>(answer.pieces.size());
        a.image = draw.below(2) == 0 ? 0 : -1;
        a.tokens = answer.pointers.data();
        const auto left = static_cast<float>(draw.below(100)), top = static_cast<float>(draw.below(100));
        const float region[4] = {left, top, left + static_cast<float>(draw.below(100)), top + 20};
        std::copy(region, region + 4, a.region);
        if (embeddings != nullptr) {
            answer.output = std::make_unique<GuardedTensor>(VLM_DTYPE_F32, std::vector<int64_t>{1, kClasses}, 0);
            draw.fill(*answer.output, VLM_DTYPE_F32);
            a.output = answer.output->abi();
            a.image_embeddings = embeddings->abi();
        }
        a.confidence = draw.below(2) == 0 ? -1 : 0.5;
    }

    CheckOptions options_;
    vlm_post_processor table_;
    LoadedComponent component_;
};

}  // namespace

std::unique_ptr<Trial> post_trial(const Subject& subject) {
    return std::make_unique<PostTrial>(subject);
}

}  // namespace vlm
