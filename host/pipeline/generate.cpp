/** @file generate.cpp
 *  See generate.hpp.
 */
#include "host/pipeline/generate.hpp"

#include <algorithm>
#include <memory>

#include "host/pipeline/constraint.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/prompt_lookup.hpp"

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
    Active(Sequence& s, Sampler sampling, TextStream stream, int64_t most, int64_t most_guesses)
        : sequence(&s), sampler(std::move(sampling)), text(std::move(stream)), room(most), guess_length(most_guesses) {}

    Sequence* sequence;
    Sampler sampler;
    std::optional<ConstrainedChoice> constrained;
    TextStream text;
    int64_t room;  ///< New tokens that may still come.
    bool prompt_read = false;
    bool done = false;
    Segment next;  ///< What to read in the next step: the last token and guesses behind it.
    GuessLength guess_length;
    bool may_guess = true;  ///< False for the step that decides a near tie.
    int64_t guesses = 0;    ///< Ids of `next` that are guesses.
};

class Batch {
  public:
    Batch(const Pipeline& pipeline, Run& run, const GenerationOptions& options, const StreamCallback& stream,
          Trace& trace)
        : pipeline_(pipeline), run_(run), options_(options), stream_(stream), trace_(trace) {
        if (!options.ignore_eos) eos_ = pipeline.checkpoint().eos_ids();
        // A sampled token follows the whole distribution, which a guess cannot confirm.
        if (options.temperature == 0) most_guesses_ = options.prompt_lookup;
        exact_ = pipeline.device().exact_rows();
        if (exact_.sequence > 0) most_guesses_ = std::min(most_guesses_, exact_.sequence - 1);
        if (options.grammar)
            constraint_ = std::make_shared<const Constraint>(
                Constraint{options.grammar, pipeline.checkpoint().token_texts(), pipeline.checkpoint().eos_ids()});
    }

    void start(Sequence& sequence) {
        const int64_t prompt = segment_tokens(sequence.segments);
        int64_t used = 0;
        if (sequence.context) used = pipeline_.backbone().state(*sequence.context).tokens;
        check_context(pipeline_, used + prompt);
        const int64_t limit = context_limit(pipeline_, used + prompt + options_.max_new_tokens);
        if (!sequence.context) sequence.context = pipeline_.backbone().create_context(run_, limit);
        for (const auto& segment : sequence.segments)
            sequence.history.insert(sequence.history.end(), segment.ids.begin(), segment.ids.end());
        const int64_t room = std::min(options_.max_new_tokens, limit - used - prompt);
        active_.push_back(std::make_unique<Active>(sequence, Sampler(options_, sequence.stream_index),
                                                   TextStream(pipeline_.checkpoint().tokenizer(), options_.stop), room,
                                                   most_guesses_));
        if (constraint_) active_.back()->constrained.emplace(constraint_);
    }

    bool empty() const { return active_.empty(); }
    size_t size() const { return active_.size(); }

    /** Reads the prompts of all sequences that were started since the last call, and takes their first tokens. */
    void read_prompts() {
        std::vector<Active*> fresh;
        for (auto& active : active_)
            if (!active->prompt_read) fresh.push_back(active.get());
        if (fresh.empty()) return;
        auto outputs = prefill(fresh);
        for (size_t i = 0; i < fresh.size(); ++i) {
            fresh[i]->prompt_read = true;
            judge(*fresh[i], outputs[i]);
            take_token(*fresh[i], outputs[i]);
        }
        drop_finished();
    }

    /** One step of all sequences. */
    void step() {
        run_.poll();
        const Trace::Scope scope(trace_, "decode");
        auto outputs = decode();
        for (size_t i = 0; i < active_.size(); ++i) {
            judge(*active_[i], outputs[i]);
            take_tokens(*active_[i], outputs[i]);
        }
        drop_finished();
    }

  private:
    /** A head judges the prompt with its images; what single tokens of the answer say later does not replace that. */
    static void judge(const Active& active, const Backbone::Output& output) {
        auto& answer = active.sequence->answer;
        if (answer.confidence < 0) answer.confidence = output.confidence;
    }

    void drop_finished() {
        std::erase_if(active_, [](const auto& active) { return active->done; });
    }

    std::vector<Backbone::Output> prefill(const std::vector<Active*>& fresh) {
        const Trace::Scope scope(trace_, "prefill");
        std::vector<Backbone::Request> requests;
        std::vector<std::vector<const VisualTokens*>> images(fresh.size());
        for (size_t i = 0; i < fresh.size(); ++i) {
            const auto& sequence = *fresh[i]->sequence;
            for (const auto& image : sequence.images) images[i].push_back(image.get());
            requests.push_back({sequence.context.get(), sequence.segments, images[i], VLM_LOGITS_LAST});
        }
        return pipeline_.backbone().run_for_choice(run_, requests, pipeline_.device(), needed());
    }

    std::vector<Backbone::Output> decode() {
        std::vector<Backbone::Request> requests;
        bool guessed = false;
        auto left =
            exact_.step > 0 ? exact_.step - static_cast<int64_t>(active_.size()) : GenerationLimits::kMostTokens;
        for (auto& active : active_) {
            guess(*active, left);
            left -= active->guesses;
            guessed = guessed || active->guesses > 0;
            requests.push_back({active->sequence->context.get(),
                                {&active->next, 1},
                                {},
                                active->guesses > 0 ? uint32_t{VLM_LOGITS_ALL} : uint32_t{VLM_LOGITS_LAST}});
        }
        // Whether a guess was right, or nearly tied with another token, the rows of all guesses say.
        return pipeline_.backbone().step(run_, requests, pipeline_.device(), guessed ? 0 : needed());
    }

    /** How many of the largest logits choosing needs to see; 0: all. A grammar may forbid any of them. */
    int64_t needed() const { return constraint_ || active_.empty() ? 0 : active_.front()->sampler.needed(); }

    /** Puts at most `left` guesses behind the token to read. */
    static void guess(Active& active, int64_t left) {
        auto& ids = active.next.ids;
        ids.resize(1);
        if (active.may_guess) {
            // The last token that may come needs no guess behind it.
            const auto found =
                look_up(active.sequence->history, std::min({active.guess_length.next(), left, active.room - 1}));
            ids.insert(ids.end(), found.begin(), found.end());
        }
        active.may_guess = true;
        active.guesses = static_cast<int64_t>(ids.size()) - 1;
        auto& counts = active.sequence->answer.guesses;
        ++counts.steps;
        counts.proposed += active.guesses;
        active.next.count = static_cast<int64_t>(ids.size());
    }

    static std::span<const float> row_of(const Backbone::Output& output, int64_t row) {
        const auto width = static_cast<size_t>(output.rows.dim(1));
        return output.rows.span<float>().subspan(static_cast<size_t>(row) * width, width);
    }

    /** Takes tokens as long as the guesses were right; what was read beyond them leaves the cache. */
    void take_tokens(Active& active, const Backbone::Output& output) {
        if (active.guesses == 0) return take_token(active, output);
        const std::vector<int32_t> read = active.next.ids;
        const auto count = static_cast<int64_t>(read.size());
        if (output.rows.dim(0) != count)
            throw Error(VLM_STATUS_INTERNAL, pipeline_.backbone().plugin().id() + " made " +
                                                 std::to_string(output.rows.dim(0)) + " rows of logits for " +
                                                 std::to_string(count) + " tokens of text; leave prompt_lookup out");
        int64_t used = 0, right = 0;
        bool tied = false;
        while (true) {
            if (exact_.step == 0 && nearly_tied(row_of(output, used))) {
                // Rounding must not decide: the next step reads this token again, alone.
                active.next = {{read[static_cast<size_t>(used)]}, -1, 0, 1};
                active.may_guess = false;
                tied = true;
                break;
            }
            take_token(active, output, used);
            ++used;
            if (active.done || used == count || active.next.ids.front() != read[static_cast<size_t>(used)]) break;
            ++right;
        }
        active.sequence->answer.guesses.accepted += right;
        if (right > 0 || !tied) active.guess_length.learn(active.guesses, right);
        if (used == count) return;
        auto& context = *active.sequence->context;
        pipeline_.backbone().truncate(context, pipeline_.backbone().state(context).tokens - (count - used));
    }

    static Choice choose(Active& active, const Backbone::Output& output, int64_t row) {
        if (output.top) return active.sampler.choose(*output.top);
        const auto logits = row_of(output, row);
        const auto& history = active.sequence->history;
        return active.constrained ? active.constrained->choose(active.sampler, logits, history)
                                  : active.sampler.choose(logits, history);
    }

    /** The token behind the last row. */
    void take_token(Active& active, const Backbone::Output& output) {
        take_token(active, output, output.top ? 0 : output.rows.dim(0) - 1);
    }

    void take_token(Active& active, const Backbone::Output& output, int64_t row) {
        auto& answer = active.sequence->answer;
        if (active.room <= 0) return finish(active, FinishReason::length, false);
        const Choice choice = choose(active, output, row);
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
    std::shared_ptr<const Constraint> constraint_;
    int64_t most_guesses_ = 0;
    ExactRows exact_;  ///< Steps stay within it where the device promises anything.
    std::vector<std::unique_ptr<Active>> active_;
};

}  // namespace

void generate(const Pipeline& pipeline, Run& run, std::vector<Sequence>& sequences, const GenerationOptions& options,
              const StreamCallback& stream, Trace& trace) {
    check_generation(options);
    const auto most = static_cast<size_t>(std::max<int64_t>(1, pipeline.manifest().batch));
    Batch batch(pipeline, run, options, stream, trace);
    // A sequence that ends makes room for the next, so short answers do not wait for long ones.
    for (size_t next = 0; next < sequences.size() || !batch.empty();) {
        while (next < sequences.size() && batch.size() < most) batch.start(sequences[next++]);
        batch.read_prompts();
        if (!batch.empty()) batch.step();
    }
}

}  // namespace vlm
