/** @file session.cpp
 *  See session.hpp.
 */
#include "host/pipeline/session.hpp"

#include <algorithm>

#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/post_process.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {

std::vector<Session::Unit> Session::units_of(const std::vector<Segment>& segments) {
    std::vector<Unit> units;
    for (const auto& segment : segments) {
        for (const int32_t id : segment.ids) units.push_back({id, -1, 0});
        if (segment.image >= 0)
            for (int64_t i = 0; i < segment.count; ++i) units.push_back({-1, segment.image, segment.first + i});
    }
    return units;
}

std::vector<Segment> Session::segments_from(const std::vector<Unit>& units, size_t begin) {
    std::vector<Segment> segments;
    for (size_t i = begin; i < units.size(); ++i) {
        const auto& unit = units[i];
        if (segments.empty() || segments.back().image != unit.image)
            segments.push_back({{}, unit.image, unit.position, 0});
        if (unit.image < 0) segments.back().ids.push_back(unit.id);
        ++segments.back().count;
    }
    return segments;
}

std::string Session::render(const Request& request) {
    const std::string& prompt = request.prompt.empty() ? pipeline_->manifest().prompt : request.prompt;
    const bool raw = request.raw_prompt || !pipeline_->manifest().use_template ||
                     count_markers(prompt, pipeline_->recipe().prompt) > 0;
    if (raw) {
        raw_text_ += prompt;
        return raw_text_;
    }
    turns_.push_back({"user", prompt, request.images.size()});
    return apply_template(pipeline_->checkpoint(), pipeline_->recipe().prompt, turns_);
}

Listeners Session::listeners() const {
    Listeners made;
    made.cancelled = &cancelled_;
    return made;
}

Result Session::generate(const Request& request, const GenerationOptions& options, const StreamCallback& stream,
                         Trace* trace) {
    const auto& description = pipeline_->backbone().description();
    const bool plain = description.output == VLM_OUTPUT_LOGITS && !pipeline_->manifest().image.split_rows &&
                       pipeline_->connector().description().delivery == VLM_DELIVERY_INLINE;
    // Pages that are cut into rows, classifications and cross-attention memories have no running text to continue.
    if (!plain) return pipeline_->answer({request}, options, listeners(), stream, trace).front();

    Trace own;
    const size_t images = images_.size();
    const size_t turns = turns_.size();
    const size_t text = raw_text_.size();
    try {
        return take_turn(request, options, stream, trace != nullptr ? *trace : own);
    } catch (...) {
        images_.resize(images);
        turns_.resize(turns);
        raw_text_.resize(text);
        throw;
    }
}

std::vector<Result> Session::answer(const std::vector<Request>& requests, const GenerationOptions& options) const {
    return pipeline_->answer(requests, options, listeners());
}

Tensor Session::encode(const NamedImage& image, const std::string& prompt) {
    PipelineRun alone(*pipeline_, listeners());
    const NamedImage* const images[] = {&image};
    const auto tokens = alone.visual(false).encode(images, prompt, &cache_).front();
    Tensor rows(VLM_DTYPE_F32, tokens->rows.shape());
    Run& run = alone.run();
    const auto& compute = run.compute();
    run.check(compute.copy(&compute, run.context(VLM_ABI_VERSION), tokens->rows.abi(), rows.abi()),
              "copy of visual tokens");
    return rows;
}

Result Session::take_turn(const Request& request, const GenerationOptions& options, const StreamCallback& stream,
                          Trace& spans) {
    PipelineRun turn(*pipeline_, listeners(), &spans);
    const std::string prompt = render(request);
    std::vector<const NamedImage*> images;
    for (const auto& image : request.images) images.push_back(&image);
    for (auto& made : turn.visual().encode(images, prompt, &cache_)) images_.push_back(std::move(made));
    const auto units = units_of(place_images(*pipeline_, prompt, images_));

    // At least one token is read anew: its logits choose the first token of the answer.
    size_t common = 0;
    while (common < read_.size() && common + 1 < units.size() && read_[common] == units[common]) ++common;
    if (context_ && common < read_.size()) {
        try {
            pipeline_->backbone().truncate(*context_, static_cast<int64_t>(common));
        } catch (const Error& error) {
            if (error.code() != VLM_STATUS_FAILED_PRECONDITION) throw;
            context_.reset();  // a merged or pruned prefix cannot be cut: read everything again
            common = 0;
        }
    }
    if (!context_) common = 0;

    std::vector<Sequence> sequences(1);
    auto& sequence = sequences.front();
    sequence.segments = segments_from(units, common);
    sequence.images = images_;
    sequence.context = context_;
    for (size_t i = 0; i < common; ++i)
        if (units[i].image < 0) sequence.history.push_back(units[i].id);
    read_.clear();
    try {
        vlm::generate(*pipeline_, turn.run(), sequences, options, stream, spans);
    } catch (...) {
        context_.reset();  // half-read: the next turn starts over
        throw;
    }
    context_ = sequence.context;

    Result result;
    for (const auto& image : request.images) result.images.push_back(image.name);
    result.text = sequence.answer.display_text;
    result.timings_ms = spans.totals_ms();
    result.tokens.reused = static_cast<int64_t>(common);
    for (const auto& segment : sequence.segments)
        (segment.image < 0 ? result.tokens.text : result.tokens.visual) += segment.count;
    result.tokens.generated = static_cast<int64_t>(sequence.answer.tokens.size());
    result.tokens.guesses = sequence.answer.guesses;
    const auto state = pipeline_->backbone().state(*context_);
    result.tokens.kv_bytes = state.kv_bytes;
    result.tokens.pruned = state.pruned;
    result.reductions = turn.hooks().records();

    // The context has read all but the last chosen token (which nobody has fed back).
    read_ = units;
    for (const auto& token : sequence.answer.tokens) read_.push_back({token.id, -1, 0});
    read_.resize(static_cast<size_t>(std::min<int64_t>(state.tokens, static_cast<int64_t>(read_.size()))));
    if (!turns_.empty() && turns_.back().role == "user")
        turns_.push_back({"assistant", result.text, 0});
    else
        raw_text_ += result.text;
    result.answers.push_back(std::move(sequence.answer));
    post_process(*pipeline_, turn.run(), {request.prompt}, result);
    return result;
}

}  // namespace vlm
