/** @file reread.cpp
 *  See reread.hpp.
 */
#include "host/pipeline/reread.hpp"

#include <algorithm>
#include <cmath>

#include "host/pipeline/prompt.hpp"
#include "host/pipeline/score.hpp"

namespace vlm {
namespace {

/** A token that a cut rules out must not outvote all others by itself. */
constexpr double kLeastLogProbability = -20;

/** One cut of a row: its visual tokens and the prompt around them. */
struct View {
    std::shared_ptr<const VisualTokens> image;
    std::vector<Segment> prompt;
};

/** A possible answer: the ids that were generated, the end token included. */
struct Reading {
    std::vector<int32_t> ids;
    Answer answer;
    std::vector<double> sums;  ///< Log-probability of each id, summed over the views.

    double total() const {
        double sum = 0;
        for (const double x : sums) sum += x;
        return sum;
    }
};

/** A row while it is read again. */
struct Doubt {
    ReadRow row;
    std::vector<View> views;  ///< The first is the one that was read already.
    std::vector<Reading> readings;
};

/** The ids that a finished sequence generated: behind its prompt in the history, with the end token if there was one.
 */
std::vector<int32_t> generated_ids(const Sequence& sequence) {
    size_t count = sequence.answer.tokens.size();
    if (sequence.answer.finish == FinishReason::stop_token) ++count;
    return {sequence.history.end() - static_cast<std::ptrdiff_t>(count), sequence.history.end()};
}

class Rereading {
  public:
    explicit Rereading(PipelineRun& run) : pipeline_(run.pipeline()), run_(run) {}

    void add(const ReadRow& row) {
        Doubt doubt{row, {{row.sequence->images.front(), row.sequence->segments}}, {}};
        doubt.readings.push_back({generated_ids(*row.sequence), row.sequence->answer, {}});
        doubts_.push_back(std::move(doubt));
    }

    /** Cuts all rows with one more margin and reads them. */
    void read(double margin, const GenerationOptions& options) {
        std::vector<NamedImage> images;
        for (const auto& doubt : doubts_)
            images.push_back(cut_again(*doubt.row.part, pipeline_.manifest().image, margin));
        std::vector<const NamedImage*> pointers;
        for (const auto& image : images) pointers.push_back(&image);
        const auto tokens = run_.visual().encode(pointers, *doubts_.front().row.prompt, nullptr);
        std::vector<Sequence> sequences(doubts_.size());
        for (size_t i = 0; i < doubts_.size(); ++i) {
            sequences[i].segments = place_images(pipeline_, *doubts_[i].row.prompt, {&tokens[i], 1});
            sequences[i].images = {tokens[i]};
            doubts_[i].views.push_back({tokens[i], sequences[i].segments});
        }
        generate(pipeline_, run_.run(), sequences, options, {}, run_.trace());
        for (size_t i = 0; i < doubts_.size(); ++i) {
            auto ids = generated_ids(sequences[i]);
            auto& known = doubts_[i].readings;
            const auto same = [&](const Reading& reading) { return reading.ids == ids; };
            if (ids.empty() || std::any_of(known.begin(), known.end(), same)) continue;
            sequences[i].answer.image = known.front().answer.image;
            sequences[i].answer.region = known.front().answer.region;
            known.push_back({std::move(ids), std::move(sequences[i].answer), {}});
        }
    }

    /** Scores every reading against every view and keeps the best of each row. */
    void decide() {
        std::vector<Pair> pairs;
        for (auto& doubt : doubts_)
            for (auto& reading : doubt.readings) {
                reading.sums.assign(reading.ids.size(), 0);
                for (const auto& view : doubt.views) pairs.push_back({&view, &reading});
            }
        const auto most = static_cast<size_t>(std::max<int64_t>(1, pipeline_.manifest().batch));
        for (size_t begin = 0; begin < pairs.size(); begin += most)
            score(std::span(pairs).subspan(begin, std::min(most, pairs.size() - begin)));

        for (auto& doubt : doubts_) {
            const auto best =
                std::max_element(doubt.readings.begin(), doubt.readings.end(),
                                 [](const Reading& a, const Reading& b) { return a.total() < b.total(); });
            const auto views = static_cast<double>(doubt.views.size());
            for (size_t t = 0; t < best->answer.tokens.size(); ++t)
                best->answer.tokens[t].log_probability = static_cast<float>(best->sums[t] / views);
            doubt.row.sequence->answer = std::move(best->answer);
        }
    }

  private:
    /** A reading to score behind a view's prompt. */
    struct Pair {
        const View* view;
        Reading* reading;
    };

    /** Adds the log-probabilities of each reading's ids, all pairs in one call of the backbone. */
    void score(std::span<const Pair> pairs) {
        std::vector<std::vector<Segment>> segments;
        std::vector<std::unique_ptr<Backbone::Context>> contexts;
        std::vector<const VisualTokens*> images;
        for (const auto& [view, reading] : pairs) {
            segments.push_back(view->prompt);
            segments.back().push_back({reading->ids, -1, 0, static_cast<int64_t>(reading->ids.size())});
            contexts.push_back(pipeline_.backbone().create_context(run_.run(), segment_tokens(segments.back())));
            images.push_back(view->image.get());
        }
        std::vector<Backbone::Request> requests;
        for (size_t i = 0; i < pairs.size(); ++i)
            requests.push_back({contexts[i].get(), segments[i], {&images[i], 1}, VLM_LOGITS_ALL});
        const auto outputs = pipeline_.backbone().run(run_.run(), requests, pipeline_.device().allocator());
        for (size_t i = 0; i < pairs.size(); ++i) {
            auto& [view, reading] = pairs[i];
            std::vector<int32_t> labels(static_cast<size_t>(segment_tokens(view->prompt)), kNoLabel);
            labels.insert(labels.end(), reading->ids.begin(), reading->ids.end());
            const auto scores = label_log_probabilities(outputs[i].rows, outputs[i].row_of_output, labels);
            if (scores.size() != reading->ids.size())
                throw Error(VLM_STATUS_INTERNAL, "the backbone gave " + std::to_string(scores.size()) +
                                                     " rows of logits for the " + std::to_string(reading->ids.size()) +
                                                     " tokens of a row that was read again");
            for (size_t t = 0; t < scores.size(); ++t) reading->sums[t] += std::max(scores[t], kLeastLogProbability);
        }
    }

    const Pipeline& pipeline_;
    PipelineRun& run_;
    std::vector<Doubt> doubts_;
};

}  // namespace

bool is_doubtful(const Answer& answer, double probability) {
    return std::any_of(answer.tokens.begin(), answer.tokens.end(), [&](const TokenPiece& token) {
        return std::exp(static_cast<double>(token.log_probability)) < probability;
    });
}

int64_t reread(PipelineRun& run, std::span<const ReadRow> rows, const GenerationOptions& options) {
    const auto& wish = run.pipeline().manifest().image.reread;
    Rereading again(run);
    int64_t doubtful = 0;
    for (const auto& row : rows) {
        if (!is_doubtful(row.sequence->answer, wish.below)) continue;
        again.add(row);
        ++doubtful;
    }
    if (doubtful == 0) return 0;
    const Trace::Scope scope(run.trace(), "reread");
    for (const double margin : wish.margins) again.read(margin, options);
    again.decide();
    return doubtful;
}

}  // namespace vlm
