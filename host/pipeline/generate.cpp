/** @file generate.cpp
 *  See generate.hpp.
 */
#include "host/pipeline/generate.hpp"

#include <algorithm>

#include "host/pipeline/prompt.hpp"

namespace vlm {
namespace {

/** Shows text as it settles: never a part of a character, never a part of what may become a stop string. */
class TextStream {
  public:
    TextStream(const Tokenizer& tokenizer, const std::vector<std::string>& stops)
        : shown_(tokenizer, true), full_(tokenizer, false), stops_(stops) {
        for (const auto& stop : stops) hold_back_ = std::max(hold_back_, stop.size());
        if (hold_back_ > 0) --hold_back_;
    }

    /** Takes a token; returns the text that may be shown now. Sets `stopped` when a stop string is complete. */
    std::string push(Answer& answer, TokenPiece piece, bool& stopped) {
        piece.text_begin = static_cast<int64_t>(answer.text.size());
        answer.text += full_.push(piece.id);
        piece.text_end = static_cast<int64_t>(answer.text.size());
        answer.tokens.push_back(std::move(piece));
        answer.display_text += shown_.push(answer.tokens.back().id);
        for (const auto& stop : stops_) {
            const size_t from = emitted_ > stop.size() ? emitted_ - stop.size() : 0;
            const size_t at = stop.empty() ? std::string::npos : answer.display_text.find(stop, from);
            if (at == std::string::npos) continue;
            answer.display_text.resize(at);
            stopped = true;
        }
        return emit(answer, stopped ? 0 : hold_back_);
    }

    /** Returns what was held back. */
    std::string finish(Answer& answer, bool stopped) {
        answer.text += full_.finish();
        if (!answer.tokens.empty()) answer.tokens.back().text_end = static_cast<int64_t>(answer.text.size());
        const std::string rest = shown_.finish();
        if (!stopped) answer.display_text += rest;
        return emit(answer, 0);
    }

  private:
    std::string emit(const Answer& answer, size_t hold_back) {
        size_t end = answer.display_text.size() > hold_back ? answer.display_text.size() - hold_back : 0;
        while (end > emitted_ && end < answer.display_text.size() &&
               (static_cast<unsigned char>(answer.display_text[end]) & 0xC0) == 0x80)
            --end;
        if (end <= emitted_) return {};
        std::string text = answer.display_text.substr(emitted_, end - emitted_);
        emitted_ = end;
        return text;
    }

    StreamDecoder shown_;
    StreamDecoder full_;
    const std::vector<std::string>& stops_;
    size_t hold_back_ = 0;
    size_t emitted_ = 0;
};

/** A sequence while it is being generated. */
struct Active {
    Sequence* sequence;
    Sampler sampler;
    TextStream text;
    int64_t room;  ///< New tokens that may still come.
    bool done = false;
    Segment next;  ///< The token to read in the next step.
};

class Batch {
  public:
    Batch(const Pipeline& pipeline, Run& run, const GenerationOptions& options, const StreamCallback& stream,
          Trace& trace)
        : pipeline_(pipeline), run_(run), options_(options), stream_(stream), trace_(trace) {
        if (!options.ignore_eos) eos_ = pipeline.checkpoint().eos_ids();
    }

    void start(Sequence& sequence) {
        const auto& description = pipeline_.backbone().description();
        const int64_t prompt = segment_tokens(sequence.segments);
        int64_t used = 0;
        if (sequence.context) used = pipeline_.backbone().state(*sequence.context).tokens;
        const int64_t limit = pipeline_.manifest().max_context > 0 ? pipeline_.manifest().max_context
                              : description.max_positions > 0      ? description.max_positions
                                                                   : used + prompt + options_.max_new_tokens;
        if (used + prompt > limit)
            throw resource_exhausted("the prompt with its images is " + std::to_string(used + prompt) +
                                     " tokens long, and the model's context holds " + std::to_string(limit) +
                                     "; shorten the prompt, use fewer or smaller images, or a token reducer");
        if (!sequence.context) sequence.context = pipeline_.backbone().create_context(run_, limit);
        for (const auto& segment : sequence.segments)
            sequence.history.insert(sequence.history.end(), segment.ids.begin(), segment.ids.end());
        const int64_t room = std::min(options_.max_new_tokens, limit - used - prompt);
        active_.push_back({&sequence,
                           Sampler(options_, sequence.stream_index),
                           TextStream(pipeline_.checkpoint().tokenizer(), options_.stop),
                           room,
                           false,
                           {}});
    }

    void run_to_end() {
        std::vector<Backbone::Output> outputs = prefill();
        std::vector<Active*> live;
        for (auto& active : active_) live.push_back(&active);
        while (true) {
            run_.poll();
            std::vector<Active*> next;
            for (size_t i = 0; i < live.size(); ++i) {
                take_token(*live[i], outputs[i]);
                if (!live[i]->done) next.push_back(live[i]);
            }
            live = std::move(next);
            if (live.empty()) return;
            outputs = decode(live);
        }
    }

  private:
    std::vector<Backbone::Output> prefill() {
        const Trace::Scope scope(trace_, "prefill");
        std::vector<Backbone::Request> requests;
        std::vector<std::vector<const VisualTokens*>> images(active_.size());
        for (size_t i = 0; i < active_.size(); ++i) {
            const auto& sequence = *active_[i].sequence;
            for (const auto& image : sequence.images) images[i].push_back(image.get());
            requests.push_back({sequence.context.get(), sequence.segments, images[i], VLM_LOGITS_LAST});
        }
        return pipeline_.backbone().run(run_, requests, pipeline_.device().allocator());
    }

    std::vector<Backbone::Output> decode(const std::vector<Active*>& live) {
        const Trace::Scope scope(trace_, "decode");
        std::vector<Backbone::Request> requests;
        for (auto* active : live)
            requests.push_back({active->sequence->context.get(), {&active->next, 1}, {}, VLM_LOGITS_LAST});
        return pipeline_.backbone().run(run_, requests, pipeline_.device().allocator());
    }

    void take_token(Active& active, Backbone::Output& output) {
        auto& answer = active.sequence->answer;
        if (active.room <= 0) return finish(active, FinishReason::length, false);
        // A head judges the prompt with its images; what single tokens of the answer say later does not replace that.
        if (answer.confidence < 0) answer.confidence = output.confidence;
        const auto rows = output.rows.dim(0);
        const auto width = static_cast<size_t>(output.rows.dim(1));
        const auto logits = output.rows.span<float>().subspan(static_cast<size_t>(rows - 1) * width, width);
        const Choice choice = active.sampler.choose(logits, active.sequence->history);
        active.sequence->history.push_back(choice.id);
        if (eos_.contains(choice.id)) return finish(active, FinishReason::stop_token, false);
        bool stopped = false;
        TokenPiece piece{choice.id, choice.log_probability,
                         pipeline_.checkpoint().tokenizer().piece_of(choice.id).value_or(""), 0, 0};
        const std::string text = active.text.push(answer, std::move(piece), stopped);
        --active.room;
        if (!show(active, text)) return finish(active, FinishReason::stop_string, true);
        if (stopped) return finish(active, FinishReason::stop_string, true);
        if (active.room <= 0) return finish(active, FinishReason::length, false);
        active.next = {{choice.id}, -1, 0, 1};
    }

    void finish(Active& active, FinishReason reason, bool stopped) {
        active.done = true;
        active.sequence->answer.finish = reason;
        show(active, active.text.finish(active.sequence->answer, stopped));
    }

    bool show(const Active& active, const std::string& text) {
        return text.empty() || !stream_ || stream_(active.sequence->stream_index, text);
    }

    const Pipeline& pipeline_;
    Run& run_;
    const GenerationOptions& options_;
    const StreamCallback& stream_;
    Trace& trace_;
    std::set<int32_t> eos_;
    std::vector<Active> active_;
};

}  // namespace

void generate(const Pipeline& pipeline, Run& run, std::vector<Sequence>& sequences, const GenerationOptions& options,
              const StreamCallback& stream, Trace& trace) {
    const auto most = static_cast<size_t>(std::max<int64_t>(1, pipeline.manifest().batch));
    for (size_t begin = 0; begin < sequences.size(); begin += most) {
        Batch batch(pipeline, run, options, stream, trace);
        for (size_t i = begin; i < std::min(sequences.size(), begin + most); ++i) batch.start(sequences[i]);
        batch.run_to_end();
    }
}

}  // namespace vlm
