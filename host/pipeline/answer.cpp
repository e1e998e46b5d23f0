/** @file answer.cpp
 *  Answering: requests become sequences, sequences are generated together, answers are put back with their request and
 * handed to the post-processors.
 */
#include <algorithm>

#include "host/pipeline/generate.hpp"
#include "host/pipeline/pages.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/post_process.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/reread.hpp"

namespace vlm {
namespace {

/** One call of Pipeline::answer. */
class Answering {
  public:
    Answering(const Pipeline& pipeline, const GenerationOptions& options, const Listeners& listeners, Trace& trace)
        : pipeline_(pipeline), options_(options), run_(pipeline, listeners, &trace) {}

    std::vector<Result> run(const std::vector<Request>& requests, const StreamCallback& stream) {
        std::vector<Result> results(requests.size());
        std::vector<Sequence> sequences;
        std::vector<size_t> request_of;
        std::vector<size_t> first_of;
        for (size_t r = 0; r < requests.size(); ++r) {
            for (const auto& image : requests[r].images) results[r].images.push_back(image.name);
            if (!pipeline_.budget().name.empty()) results[r].budget = pipeline_.budget().to_json();
            const size_t before = run_.hooks().records().size();
            first_of.push_back(sequences.size());
            add_sequences(requests[r], results[r], sequences);
            request_of.resize(sequences.size(), r);
            results[r].reductions.assign(run_.hooks().records().begin() + static_cast<std::ptrdiff_t>(before),
                                         run_.hooks().records().end());
        }
        for (size_t i = 0; i < sequences.size(); ++i) sequences[i].stream_index = i;
        const size_t before = run_.hooks().records().size();
        if (pipeline_.backbone().description().output == VLM_OUTPUT_LOGITS)
            generate(
                pipeline_, run_.run(), sequences, options_,
                [&](size_t answer, const std::string& text) {
                    const size_t r = request_of[answer];
                    if (requests[r].stream) return requests[r].stream(answer - first_of[r], text);
                    return !stream || stream(answer, text);
                },
                run_.trace());
        else
            evaluate(sequences);
        read_again(requests, sequences, request_of);
        for (size_t i = 0; i < sequences.size(); ++i) collect(sequences[i], results[request_of[i]]);
        give_backbone_records(before, sequences, request_of, results);
        const Trace::Scope scope(run_.trace(), "post_process");
        for (size_t r = 0; r < requests.size(); ++r) {
            auto prompts = requests[r].texts;
            if (prompts.empty()) prompts.push_back(requests[r].prompt);
            post_process(pipeline_, run_.run(), prompts, results[r]);
        }
        return results;
    }

  private:
    /** Doubtful rows a second time, where the manifest wants it. */
    void read_again(const std::vector<Request>& requests, std::vector<Sequence>& sequences,
                    const std::vector<size_t>& request_of) {
        if (pipeline_.manifest().image.reread.below <= 0 || rows_.empty()) return;
        std::vector<std::string> prompts;
        for (const auto& request : requests) prompts.push_back(pipeline_.render_prompt(request));
        std::vector<ReadRow> rows;
        for (size_t i = 0; i < sequences.size(); ++i)
            rows.push_back({&rows_[i], &sequences[i], &prompts[request_of[i]]});
        reread(run_, rows, options_);
    }

    /** Hands what reducers did in the backbone to the requests of the sequences that it was done to. */
    void give_backbone_records(size_t first, const std::vector<Sequence>& sequences,
                               const std::vector<size_t>& request_of, std::vector<Result>& results) {
        std::vector<size_t> visual;
        std::vector<int64_t> place;  // of each sequence in its request
        for (size_t i = 0; i < sequences.size(); ++i) {
            place.push_back(i > 0 && request_of[i] == request_of[i - 1] ? place.back() + 1 : 0);
            if (std::any_of(sequences[i].segments.begin(), sequences[i].segments.end(),
                            [](const Segment& segment) { return segment.image >= 0 && segment.count > 0; }))
                visual.push_back(i);
        }
        for (size_t k = first; k < run_.hooks().records().size(); ++k) {
            ReductionRecord record = run_.hooks().records()[k];
            if (record.sequence < 0 || record.sequence >= static_cast<int64_t>(visual.size())) continue;
            const size_t sequence = visual[static_cast<size_t>(record.sequence)];
            record.sequence = place[sequence];
            results[request_of[sequence]].reductions.push_back(std::move(record));
        }
        for (auto& result : results) {
            add_backbone_reductions(result.reduced_images, result.reductions);
            run_.trace().count("tokens in", static_cast<double>(result.tokens.visual));
            run_.trace().count("tokens merged", static_cast<double>(result.tokens.merged));
            run_.trace().count("tokens pruned", static_cast<double>(result.tokens.pruned));
            run_.trace().count("KV bytes", static_cast<double>(result.tokens.kv_bytes));
        }
    }

    void add_sequences(const Request& request, Result& result, std::vector<Sequence>& sequences) {
        if (!request.texts.empty() && pipeline_.backbone().description().output != VLM_OUTPUT_EMBEDDING)
            throw invalid_argument("texts (--text) are labels for models that embed, and " +
                                   pipeline_.backbone().plugin().id() + " does not; put them into the prompt");
        const auto parts = split_pages(request.images, pipeline_.manifest().image);
        std::vector<const NamedImage*> images;
        for (const auto& part : parts) images.push_back(&part.image);
        const std::string prompt = pipeline_.render_prompt(request);
        VisualStage visual = run_.visual();
        const auto tokens = visual.encode(images, prompt, nullptr);
        for (size_t i = 0; i < tokens.size(); ++i) {
            const auto& t = *tokens[i];
            result.tokens.visual += t.layout.tokens();
            if (run_.hooks().abi() == nullptr) continue;
            const bool alone = pipeline_.manifest().image.split_rows;
            ReducedImage reduced{parts[i].page,
                                 parts[i].region,
                                 alone ? static_cast<int64_t>(i) : 0,
                                 alone ? 0 : static_cast<int32_t>(i),
                                 t.layout,
                                 visual.rows_of_positions(t.layout, t.map)};
            const auto dropped = std::count(reduced.row_of_position.begin(), reduced.row_of_position.end(), -1);
            result.tokens.pruned += dropped;
            result.tokens.merged += t.layout.tokens() - t.rows.dim(0) - dropped;
            result.reduced_images.push_back(std::move(reduced));
        }
        if (pipeline_.backbone().description().output == VLM_OUTPUT_EMBEDDING)
            return add_texts(request, result, tokens, sequences);

        const bool each_alone = pipeline_.manifest().image.split_rows;
        const size_t count = each_alone ? parts.size() : 1;
        for (size_t i = 0; i < count; ++i) {
            Sequence sequence;
            sequence.images = each_alone ? std::vector{tokens[i]} : tokens;
            if (each_alone || parts.size() == 1) {
                sequence.answer.image = parts[i].page;
                sequence.answer.region = parts[i].region;
            }
            sequence.segments = place_images(pipeline_, prompt, sequence.images);
            sequences.push_back(std::move(sequence));
        }
        if (each_alone) rows_.insert(rows_.end(), parts.begin(), parts.end());
    }

    /** Late fusion: every text alone, the images beside them. */
    void add_texts(const Request& request, Result& result,
                   const std::vector<std::shared_ptr<const VisualTokens>>& images, std::vector<Sequence>& sequences) {
        auto texts = request.texts;
        if (texts.empty()) texts.push_back(request.prompt.empty() ? pipeline_.manifest().prompt : request.prompt);
        for (const auto& text : texts) {
            Sequence sequence;
            sequence.segments = place_images(pipeline_, text, {});
            pad_text(sequence.segments, pipeline_.recipe().prompt, pipeline_.checkpoint().tokenizer(),
                     pipeline_.backbone().description().max_positions);
            sequences.push_back(std::move(sequence));
        }
        if (images.empty()) return;
        const int64_t width = images.front()->rows.dim(1);
        result.image_embeddings = Tensor(VLM_DTYPE_F32, {static_cast<int64_t>(images.size()), width});
        for (size_t i = 0; i < images.size(); ++i) {
            Tensor row(VLM_DTYPE_F32, {images[i]->rows.dim(0), width});
            Run& run = run_.run();
            const auto& compute = run.compute();
            run.check(compute.copy(&compute, run.context(VLM_ABI_VERSION), images[i]->rows.abi(), row.abi()),
                      "copy of an image embedding");
            std::copy_n(row.data<float>(), width,
                        result.image_embeddings.data<float>() + static_cast<int64_t>(i) * width);
        }
    }

    /** Backbones that do not generate: one pass, the output is the answer. */
    void evaluate(std::vector<Sequence>& sequences) {
        const Trace::Scope scope(run_.trace(), "prefill");
        std::vector<Backbone::Request> requests;
        std::vector<std::vector<const VisualTokens*>> images(sequences.size());
        for (size_t i = 0; i < sequences.size(); ++i) {
            for (const auto& image : sequences[i].images) images[i].push_back(image.get());
            requests.push_back({nullptr, sequences[i].segments, images[i], VLM_LOGITS_LAST});
        }
        auto outputs = pipeline_.backbone().run(run_.run(), requests, pipeline_.device().allocator());
        for (size_t i = 0; i < sequences.size(); ++i) {
            sequences[i].answer.output = outputs[i].rows;
            sequences[i].answer.confidence = outputs[i].confidence;
        }
    }

    void collect(Sequence& sequence, Result& result) {
        for (const auto& segment : sequence.segments)
            if (segment.image < 0) result.tokens.text += segment.count;
        result.tokens.generated += static_cast<int64_t>(sequence.answer.tokens.size());
        result.tokens.guesses.add(sequence.answer.guesses);
        if (sequence.context) {
            const auto state = pipeline_.backbone().state(*sequence.context);
            result.tokens.kv_bytes += state.kv_bytes;
            result.tokens.pruned += state.pruned;
        }
        if (!result.answers.empty() && !result.text.empty()) result.text += '\n';
        result.text += sequence.answer.display_text;
        result.answers.push_back(std::move(sequence.answer));
    }

    const Pipeline& pipeline_;
    const GenerationOptions& options_;
    PipelineRun run_;
    std::vector<PagePart> rows_;  ///< Of each sequence, when pages are cut into rows.
};

}  // namespace

std::vector<Result> Pipeline::answer(const std::vector<Request>& requests, const GenerationOptions& options,
                                     const Listeners& listeners, const StreamCallback& stream, Trace* trace) const {
    Trace own;
    Answering answering(*this, options, listeners, trace != nullptr ? *trace : own);
    auto results = answering.run(requests, stream);
    const auto timings = own.totals_ms();
    if (trace == nullptr)
        for (auto& result : results) result.timings_ms = timings;
    return results;
}

}  // namespace vlm
