/** @file score.cpp
 *  See score.hpp.
 */
#include "host/pipeline/score.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "host/base/error.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {

std::vector<int32_t> text_labels(std::span<const Segment> segments, int64_t skip_text) {
    std::vector<int32_t> labels;
    int64_t seen = 0;
    bool after_text = false;
    for (const auto& segment : segments) {
        if (segment.image >= 0) {
            labels.insert(labels.end(), static_cast<size_t>(segment.count), kNoLabel);
            after_text = after_text && segment.count == 0;
            continue;
        }
        for (const int32_t id : segment.ids) {
            labels.push_back(after_text && seen >= skip_text ? id : kNoLabel);
            after_text = true;
            ++seen;
        }
    }
    return labels;
}

std::vector<double> label_log_probabilities(const Tensor& logits, const Tensor& row_of_output,
                                            std::span<const int32_t> labels) {
    const int64_t vocabulary = logits.dim(1);
    const auto rows = row_of_output.span<int32_t>();
    const auto all = logits.span<float>();
    std::vector<double> result;
    for (size_t r = 0; r < rows.size(); ++r) {
        const auto next = static_cast<size_t>(rows[r]) + 1;
        if (rows[r] < 0 || next >= labels.size() || labels[next] == kNoLabel) continue;
        const int32_t label = labels[next];
        if (label < 0 || label >= vocabulary)
            throw invalid_argument("token id " + std::to_string(label) + " is outside the model's vocabulary of " +
                                   std::to_string(vocabulary));
        const auto row = all.subspan(r * static_cast<size_t>(vocabulary), static_cast<size_t>(vocabulary));
        const auto largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
        double sum = 0;
        for (const float x : row) sum += std::exp(static_cast<double>(x) - largest);
        result.push_back(static_cast<double>(row[static_cast<size_t>(label)]) - largest - std::log(sum));
    }
    return result;
}

double mean_loss(std::span<const double> log_probabilities) {
    if (log_probabilities.empty()) return 0;
    double sum = 0;
    for (const double x : log_probabilities) sum -= x;
    return sum / static_cast<double>(log_probabilities.size());
}

std::vector<std::vector<double>> score_sequences(const Pipeline& pipeline, Run& run,
                                                 std::span<const GivenSequence> sequences) {
    const auto& backbone = pipeline.backbone();
    const auto most = static_cast<size_t>(std::max<int64_t>(1, pipeline.manifest().batch));
    std::vector<std::vector<double>> scores;
    for (size_t begin = 0; begin < sequences.size(); begin += most) {
        const auto batch = sequences.subspan(begin, std::min(most, sequences.size() - begin));
        std::vector<std::unique_ptr<Backbone::Context>> contexts;
        std::vector<std::vector<const VisualTokens*>> images(batch.size());
        std::vector<Backbone::Request> requests;
        for (size_t i = 0; i < batch.size(); ++i) {
            const int64_t length = segment_tokens(batch[i].segments);
            const int64_t limit = backbone.description().max_positions;
            if (limit > 0 && length > limit)
                throw resource_exhausted("prompt and answer are " + std::to_string(length) +
                                         " tokens long, and the model's context holds " + std::to_string(limit) +
                                         "; shorten the answer, or use fewer or smaller images");
            for (const auto& image : batch[i].images) images[i].push_back(image.get());
            contexts.push_back(backbone.create_context(run, length));
            requests.push_back({contexts.back().get(), batch[i].segments, images[i], VLM_LOGITS_ALL});
        }
        const auto outputs = backbone.run(run, requests, pipeline.device().allocator());
        for (size_t i = 0; i < batch.size(); ++i)
            scores.push_back(label_log_probabilities(outputs[i].rows, outputs[i].row_of_output,
                                                     text_labels(batch[i].segments, batch[i].prompt_text)));
    }
    return scores;
}

std::vector<Score> score_answers(const Pipeline& pipeline, const Request& request,
                                 const std::vector<std::string>& answers, bool end, const Listeners& listeners,
                                 Trace* trace) {
    if (pipeline.backbone().description().output != VLM_OUTPUT_LOGITS)
        throw unimplemented(
            pipeline.backbone().plugin().id() +
            " does not generate text, so no answer can be scored; ask without --score for its own scores");
    if (pipeline.manifest().image.split_rows)
        throw unimplemented("an answer is scored on whole images; remove image.split_rows from the manifest");
    PipelineRun run(pipeline, listeners, trace);
    const auto ready = run.prepare(request.images, pipeline.render_prompt(request));
    const auto layouts = ready.layouts();
    const auto& tokenizer = pipeline.checkpoint().tokenizer();
    GivenSequence asked{ready.segments, ready.images};
    for (const auto& segment : asked.segments) asked.prompt_text += static_cast<int64_t>(segment.ids.size());

    std::vector<Score> scores;
    std::vector<GivenSequence> sequences;
    for (const auto& answer : answers) {
        auto ids = tokenizer.encode(answer, false);
        if (const auto id = tokenizer.special_id("eos_token"); id && end) ids.push_back(*id);
        if (ids.empty()) throw invalid_argument("the answer to score is empty");
        sequences.push_back(asked);
        auto& segments = sequences.back().segments;
        const bool text_before = !segments.empty() && segments.back().image < 0 && !segments.back().ids.empty();
        if (segments.empty() || segments.back().image >= 0) segments.emplace_back();
        segments.back().ids.insert(segments.back().ids.end(), ids.begin(), ids.end());
        segments.back().count = static_cast<int64_t>(segments.back().ids.size());
        Score score;
        score.answer = answer;
        score.prompt_tokens = asked.prompt_text;
        for (const auto& layout : layouts) score.visual_tokens += layout.tokens();
        // The first token behind an image has no text in front that could predict it.
        for (size_t i = text_before ? 0 : 1; i < ids.size(); ++i)
            score.tokens.push_back({ids[i], 0, tokenizer.piece_of(ids[i]).value_or(""), 0, 0});
        scores.push_back(std::move(score));
    }
    {
        const Trace::Scope scope(run.trace(), "score");
        const auto values = score_sequences(pipeline, run.run(), sequences);
        for (size_t i = 0; i < scores.size(); ++i) {
            if (values[i].size() != scores[i].tokens.size())
                throw failed_precondition("a token reducer dropped positions of the answer, so it cannot be scored");
            for (size_t t = 0; t < values[i].size(); ++t)
                scores[i].tokens[t].log_probability = static_cast<float>(values[i][t]);
            scores[i].loss = mean_loss(values[i]);
        }
    }
    return scores;
}

}  // namespace vlm
