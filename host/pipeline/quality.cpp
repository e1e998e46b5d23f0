/** @file quality.cpp
 *  See quality.hpp.
 */
#include "host/pipeline/quality.hpp"

#include <algorithm>
#include <cmath>

#include "host/base/error.hpp"
#include "host/pipeline/generate.hpp"
#include "host/pipeline/pages.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {
namespace {

/** log(sum(exp(row))), and where the largest is. */
double log_sum(std::span<const float> row, size_t& favourite) {
    favourite = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    const auto largest = static_cast<double>(row[favourite]);
    double sum = 0;
    for (const float x : row) sum += std::exp(static_cast<double>(x) - largest);
    return largest + std::log(sum);
}

class Teaching {
  public:
    Teaching(const Pipeline& pipeline, const Listeners& listeners) : pipeline_(pipeline), run_(pipeline, listeners) {}

    /** A question for each part that the page is cut into. */
    std::vector<ReadyPrompt> questions(const NamedImage& image, const std::string& text) {
        Request request;
        request.prompt = text;
        request.images.push_back(image);
        const std::string prompt = pipeline_.render_prompt(request);
        const auto parts = split_pages(request.images, pipeline_.manifest().image);
        std::vector<const NamedImage*> images;
        for (const auto& part : parts) images.push_back(&part.image);
        std::vector<ReadyPrompt> questions;
        for (const auto& tokens : run_.visual().encode(images, prompt, nullptr))
            questions.push_back({place_images(pipeline_, prompt, {&tokens, 1}), {tokens}});
        return questions;
    }

    std::vector<int32_t> answer(const ReadyPrompt& question, int64_t max_new_tokens) {
        std::vector<Sequence> sequences(1);
        sequences[0].segments = question.segments;
        sequences[0].images = question.images;
        GenerationOptions greedy;
        greedy.max_new_tokens = max_new_tokens;
        generate(pipeline_, run_.run(), sequences, greedy, {}, run_.trace());
        std::vector<int32_t> tokens;
        for (const auto& token : sequences[0].answer.tokens) tokens.push_back(token.id);
        if (sequences[0].answer.finish == FinishReason::stop_token) tokens.push_back(sequences[0].history.back());
        return tokens;
    }

    /** Reads the prompt, then all of the answer but its last token: a prediction for each token. */
    TaughtAnswer predictions(const ReadyPrompt& question, std::vector<int32_t> tokens) {
        TaughtAnswer result{std::move(tokens), {}};
        if (result.tokens.empty()) return result;
        const auto count = static_cast<int64_t>(result.tokens.size());
        const auto context = pipeline_.backbone().create_context(run_.run(), segment_tokens(question.segments) + count);
        add(run_.read(context.get(), question.segments, question.visual(), VLM_LOGITS_LAST), 1, result);
        if (count == 1) return result;
        const std::vector<Segment> rest{{{result.tokens.begin(), result.tokens.end() - 1}, -1, 0, count - 1}};
        add(run_.read(context.get(), rest, {}, VLM_LOGITS_ALL), count - 1, result);
        return result;
    }

  private:
    /** Appends the last `count` rows of logits. */
    void add(const Backbone::Output& output, int64_t count, TaughtAnswer& result) const {
        const Tensor& rows = output.rows;
        if (rows.dim(0) < count)
            throw failed_precondition(pipeline_.backbone().plugin().id() + " gave " + std::to_string(rows.dim(0)) +
                                      " rows of logits for " + std::to_string(count) + " tokens");
        const auto all = rows.span<float>();
        result.logits.insert(result.logits.end(), all.end() - count * rows.dim(1), all.end());
    }

    const Pipeline& pipeline_;
    PipelineRun run_;
};

}  // namespace

void LogitDifference::add(const LogitDifference& other) {
    positions += other.positions;
    same_favourite += other.same_favourite;
    answers += other.answers;
    same_answers += other.same_answers;
    kl_sum += other.kl_sum;
    kl_max = std::max(kl_max, other.kl_max);
}

std::vector<TaughtAnswer> teach(const Pipeline& pipeline, const NamedImage& image, const std::string& prompt,
                                int64_t max_new_tokens, std::span<const TaughtAnswer> taught,
                                const Listeners& listeners) {
    if (pipeline.backbone().description().output != VLM_OUTPUT_LOGITS)
        throw failed_precondition(pipeline.backbone().plugin().id() +
                                  " predicts no text; quality compares predictions of the next token");
    Teaching teaching(pipeline, listeners);
    const auto questions = teaching.questions(image, prompt);
    if (!taught.empty() && taught.size() != questions.size())
        throw failed_precondition(image.name + ": " + std::to_string(taught.size()) + " answers for " +
                                  std::to_string(questions.size()) + " questions");
    std::vector<TaughtAnswer> answers;
    for (size_t i = 0; i < questions.size(); ++i)
        answers.push_back(teaching.predictions(
            questions[i], taught.empty() ? teaching.answer(questions[i], max_new_tokens) : taught[i].tokens));
    return answers;
}

LogitDifference compare_logits(const TaughtAnswer& reference, const TaughtAnswer& other) {
    if (reference.tokens != other.tokens || reference.logits.size() != other.logits.size())
        throw failed_precondition("predictions of different answers cannot be compared");
    LogitDifference difference;
    difference.answers = 1;
    difference.positions = static_cast<int64_t>(reference.tokens.size());
    const size_t vocabulary = reference.tokens.empty() ? 0 : reference.logits.size() / reference.tokens.size();
    for (size_t i = 0; i < reference.tokens.size(); ++i) {
        const auto p = std::span(reference.logits).subspan(i * vocabulary, vocabulary);
        const auto q = std::span(other.logits).subspan(i * vocabulary, vocabulary);
        size_t p_favourite = 0, q_favourite = 0;
        const double p_sum = log_sum(p, p_favourite), q_sum = log_sum(q, q_favourite);
        double kl = 0;
        for (size_t v = 0; v < vocabulary; ++v) {
            const double log_p = static_cast<double>(p[v]) - p_sum;
            if (const double weight = std::exp(log_p); weight > 0)
                kl += weight * (log_p - (static_cast<double>(q[v]) - q_sum));
        }
        difference.same_favourite += p_favourite == q_favourite ? 1 : 0;
        difference.kl_sum += kl;
        difference.kl_max = std::max(difference.kl_max, kl);
    }
    difference.same_answers = difference.same_favourite == difference.positions ? 1 : 0;
    return difference;
}

}  // namespace vlm
