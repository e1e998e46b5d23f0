/** @file stages.cpp
 *  See stages.hpp.
 */
#include "host/bench/stages.hpp"

#include <chrono>

#include "host/base/error.hpp"
#include "host/services/device_run.hpp"

namespace vlm::bench {
namespace {

using Clock = std::chrono::steady_clock;

/** Largest logits that a greedy choice needs: stages end where such an answer would take its token. */
constexpr int64_t kGreedy = 1;

/** Ids that every vocabulary has and that no family uses for images: behind the control tokens, within one byte. */
std::vector<int32_t> some_ids(int64_t count, int64_t vocabulary) {
    constexpr int64_t kFirst = 10;
    const int64_t different = std::clamp<int64_t>(vocabulary - kFirst, 1, 200);
    std::vector<int32_t> ids(static_cast<size_t>(count));
    for (size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<int32_t>(std::min(kFirst + static_cast<int64_t>(i) * 37 % different, vocabulary - 1));
    return ids;
}

}  // namespace

StageBench::StageBench(const Pipeline& pipeline, Image image, const Listeners& listeners)
    : pipeline_(pipeline), image_(std::move(image)), listeners_(listeners) {
    if (pipeline.backbone().description().output != VLM_OUTPUT_LOGITS ||
        pipeline.connector().description().delivery != VLM_DELIVERY_INLINE)
        throw failed_precondition(
            "stages can be measured of pipelines that generate text from images in the sequence; this one is made "
            "otherwise: measure whole answers instead (without --shape, --stages and --scaling)");
    if (!pipeline.reducers().empty())
        throw failed_precondition(
            "stages are measured without token reducers; measure whole answers, or take the reducers out of the "
            "manifest");
    if (!pipeline.devices().one())
        throw failed_precondition("stages are measured on one device, and this manifest has several (" +
                                  pipeline.devices().description() + "); measure whole answers, or give --device");
    plan_ = pipeline.encoder().plan(image_.width, image_.height);
    visual_tokens_ = pipeline.connector().plan(plan_.layout, image_.width, image_.height).layout.tokens();
}

template <class Call>
Stage StageBench::measure(const std::string& name, int runs, Call&& call) {
    Stage stage;
    stage.name = name;
    for (int i = 0; i <= runs; ++i) {
        DeviceRun run(pipeline_.device(), &listeners_);
        run.poll();
        const double before = pipeline_.device().counters().flops;
        const auto begin = Clock::now();
        call(run);
        pipeline_.device().wait();
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
        stage.flops = pipeline_.device().counters().flops - before;
        if (i > 0 || runs == 0) stage.ms.add(ms);
    }
    return stage;
}

void StageBench::ensure_visual() {
    if (!pixels_) preprocess(0);
    if (features_.empty()) encode(0);
    if (!visual_.rows) connect(0);
}

int64_t StageBench::context_of(int64_t wanted) const {
    constexpr int64_t kText = 64;
    return std::max(wanted, visual_tokens_ + kText);
}

Stage StageBench::preprocess(int runs) {
    return measure("preprocess", runs,
                   [&](Run& run) { pixels_ = pipeline_.encoder().preprocess(run, image_, "page", plan_); });
}

Stage StageBench::encode(int runs) {
    if (!pixels_) preprocess(0);
    Stage stage = measure("encode", runs, [&](Run& run) {
        features_ = pipeline_.encoder().encode(run, {&pixels_, 1}, {&plan_, 1}, pipeline_.device().allocator());
    });
    features_.front().width = image_.width;
    features_.front().height = image_.height;
    stage.tokens = plan_.feature_rows;
    return stage;
}

Stage StageBench::connect(int runs) {
    if (features_.empty()) encode(0);
    Stage stage = measure("connect", runs, [&](Run& run) {
        visual_ = pipeline_.connector().connect(run, features_.front(), "", pipeline_.device().allocator());
    });
    stage.tokens = visual_.layout.tokens();
    return stage;
}

std::vector<Segment> StageBench::prompt(int64_t tokens) {
    constexpr int64_t kBefore = 8;
    const int64_t vocabulary = pipeline_.backbone().description().output_size;
    const int64_t after = tokens - visual_tokens_ - kBefore;
    if (after <= 0) return {{some_ids(tokens, vocabulary), -1, 0, tokens}};
    return {{some_ids(kBefore, vocabulary), -1, 0, kBefore},
            {{}, 0, 0, visual_tokens_},
            {some_ids(after, vocabulary), -1, 0, after}};
}

Stage StageBench::prefill(int64_t tokens, int runs) {
    ensure_visual();
    const auto segments = prompt(tokens);
    std::unique_ptr<Backbone::Context> context;
    const VisualTokens* image = &visual_;
    Stage stage = measure("prefill " + std::to_string(tokens), runs, [&](Run& run) {
        context = pipeline_.backbone().create_context(run, tokens);
        const Backbone::Request request{context.get(), segments, {&image, 1}, VLM_LOGITS_LAST};
        pipeline_.backbone().run_for_choice(run, {&request, 1}, pipeline_.device(), kGreedy);
    });
    stage.tokens = tokens;
    return stage;
}

Stage StageBench::first_token(int64_t tokens, int runs) {
    const auto segments = prompt(tokens);
    Stage stage = measure("first token", runs, [&](Run& run) {
        const Allocator& device = pipeline_.device().allocator();
        const Tensor pixels = pipeline_.encoder().preprocess(run, image_, "page", plan_);
        auto features = pipeline_.encoder().encode(run, {&pixels, 1}, {&plan_, 1}, device);
        features.front().width = image_.width;
        features.front().height = image_.height;
        const VisualTokens tokens_of_image = pipeline_.connector().connect(run, features.front(), "", device);
        const VisualTokens* image = &tokens_of_image;
        const auto context = pipeline_.backbone().create_context(run, tokens);
        const Backbone::Request request{context.get(), segments, {&image, 1}, VLM_LOGITS_LAST};
        pipeline_.backbone().run_for_choice(run, {&request, 1}, pipeline_.device(), kGreedy);
    });
    stage.tokens = tokens;
    return stage;
}

Stage StageBench::decode(int64_t batch, int64_t context, int64_t steps, int runs) {
    ensure_visual();
    const auto segments = prompt(context);
    const VisualTokens* image = &visual_;
    Listeners quiet = listeners_;
    DeviceRun run(pipeline_.device(), &quiet);
    if (filled_ != context || room_ < steps) {
        contexts_.clear();
        room_ = steps;
    }
    filled_ = context;
    while (static_cast<int64_t>(contexts_.size()) < batch) {
        run.poll();
        auto fresh = pipeline_.backbone().create_context(run, context + room_);
        const Backbone::Request request{fresh.get(), segments, {&image, 1}, VLM_LOGITS_NONE};
        pipeline_.backbone().run(run, {&request, 1}, pipeline_.device().allocator());
        pipeline_.device().end_run(run.context(VLM_ABI_VERSION));
        contexts_.push_back(std::move(fresh));
    }
    const std::vector<Segment> next = {{{some_ids(1, pipeline_.backbone().description().output_size)}, -1, 0, 1}};
    Stage stage;
    stage.name = "decode x" + std::to_string(batch);
    stage.tokens = batch;
    std::vector<Backbone::Request> requests;
    for (int64_t i = 0; i < batch; ++i)
        requests.push_back({contexts_[static_cast<size_t>(i)].get(), next, {}, VLM_LOGITS_LAST});
    for (int i = 0; i <= runs; ++i) {
        for (int64_t step = 0; step < steps; ++step) {
            Stage one =
                measure("", 0, [&](Run& r) { pipeline_.backbone().step(r, requests, pipeline_.device(), kGreedy); });
            stage.flops = one.flops;
            if (i > 0) stage.ms.add(one.ms.values.front());
        }
        kv_bytes_ = pipeline_.backbone().state(*contexts_.front()).kv_bytes;
        for (auto& request : requests) pipeline_.backbone().truncate(*request.context, context);
    }
    stage.bytes = static_cast<double>(pipeline_.weight_bytes("backbone") + batch * kv_bytes_);
    return stage;
}

std::vector<Stage> measure_stages(StageBench& bench, const StageOptions& options,
                                  const std::function<void(const std::string&)>& tick) {
    std::vector<Stage> stages;
    const auto next = [&](const char* what, auto&& call) {
        if (tick) tick(what);
        stages.push_back(call());
    };
    next("preprocess", [&] { return bench.preprocess(options.runs); });
    next("encode", [&] { return bench.encode(options.runs); });
    next("connect", [&] { return bench.connect(options.runs); });
    const int64_t context = bench.context_of(options.context);
    next("prefill", [&] { return bench.prefill(context, options.runs); });
    next("first token", [&] { return bench.first_token(context, options.runs); });
    for (const int64_t batch : options.batches)
        next("decode", [&] { return bench.decode(batch, context, options.decode_steps, options.runs); });
    return stages;
}

}  // namespace vlm::bench
