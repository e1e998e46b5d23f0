/** @file isolate_bench.cpp
 *  What a call costs when the plugin is in a process of its own: the same connector here and there, with tensors from
 * 64 bytes to 16 MB; and what a question to the token reducers costs from there, about 576 tokens of 64 or 1024
 * numbers. `calls` are round trips per iteration, `copied` bytes of tensors copied for them.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "host/compute/device.hpp"
#include "host/isolate/isolated_plugin.hpp"
#include "host/pipeline/plugin_table.hpp"
#include "host/pipeline/stages.hpp"

namespace {

using namespace vlm;

constexpr int64_t kWidth = 4;  // of the connector's rows

std::string library(const std::string& name) {
    setenv("VLM_PLUGIN_HOST", VLM_BINARY_DIR "/vlm-plugin-host", 0);
    return VLM_BINARY_DIR "/torture/" + name + ".so";
}

TokenLayout layout_of(int64_t tokens) {
    vlm_token_block block{sizeof(block), VLM_ABI_VERSION, VLM_BLOCK_LATENT, 0, 0, tokens, 1, 0, 0, 0, {0, 0, 0, 0}};
    block.columns = static_cast<int32_t>(tokens);
    const vlm_token_block* blocks[] = {&block};
    return {{sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, 1, 0, blocks}, "benchmark"};
}

/** A plugin, its device and its memory; the arena also serves the runs in this process. */
struct Bench {
    std::shared_ptr<isolate::SharedArena> arena = isolate::SharedArena::create();
    std::shared_ptr<Device> device = open_device("cpu", {"f32", "f32", 1});
    std::shared_ptr<const Plugin> plugin;

    Bench(bool isolated, const std::string& name) {
        isolate::IsolateOptions options;
        options.arena = arena;
        options.device = {"f32", "f32", 1};
        plugin = isolated ? isolate::IsolatedPlugin::open(library(name), options) : Plugin::open(library(name));
    }
    void report(benchmark::State& state) const {
        const auto iterations = static_cast<double>(state.iterations());
        state.counters["calls"] = static_cast<double>(arena->counters().calls) / iterations;
        state.counters["copied"] = static_cast<double>(arena->counters().copied_bytes) / iterations;
    }
};

void plan(benchmark::State& state, bool isolated) {
    const Bench bench(isolated, "sound_connector");
    const Connector connector(bench.plugin, ComponentConfig{});
    const TokenLayout layout = layout_of(16);
    bench.arena->counters().calls = 0;
    for (auto _ : state) benchmark::DoNotOptimize(connector.plan(layout, 64, 64));
    bench.report(state);
}

void connect(benchmark::State& state, bool isolated) {
    const Bench bench(isolated, "sound_connector");
    const Connector connector(bench.plugin, ComponentConfig{});
    const Listeners quiet;
    Run run(bench.device->compute(), &quiet);
    Features features;
    features.rows = Tensor(VLM_DTYPE_F32, {state.range(0), kWidth}, bench.arena->allocator());
    features.layout = layout_of(state.range(0));
    bench.arena->counters().calls = 0;
    for (auto _ : state) benchmark::DoNotOptimize(connector.connect(run, features, "", bench.arena->allocator()));
    bench.report(state);
}

/** A reducer between the stages, on 576 tokens of 1024 numbers. */
void reduce(benchmark::State& state, bool isolated) {
    const Bench bench(isolated, "sound_plugin");
    const TokenReducer reducer(bench.plugin, ComponentConfig{});
    const Listeners quiet;
    Run run(bench.device->compute(), &quiet);
    constexpr int64_t kTokens = 576;
    Tensor hidden(VLM_DTYPE_F32, {kTokens, 1024}, bench.arena->allocator());
    Tensor groups(VLM_DTYPE_I32, {kTokens}, bench.arena->allocator());
    auto view = abi_struct<vlm_token_view>();
    view.site = VLM_SITE_ENCODER_OUTPUT;
    view.layer = -1;
    view.tokens = kTokens;
    view.hidden = hidden.abi();
    auto map = abi_struct<vlm_token_map>();
    map.groups = groups.abi();
    bench.arena->counters().calls = 0;
    for (auto _ : state) benchmark::DoNotOptimize(reducer.reduce(run, view, map));
    bench.report(state);
}

/** Reducers that want to see `needs` in every layer and leave the tokens as they are. */
struct Reducers {
    vlm_hooks abi = abi_struct<vlm_hooks>();
    uint32_t wanted = 0;

    explicit Reducers(uint32_t needs) : wanted(needs) {
        abi.host = this;
        abi.needs = [](void* host, uint32_t, int32_t, int32_t) { return static_cast<Reducers*>(host)->wanted; };
        abi.reduce = [](void*, const vlm_run_context*, const vlm_token_view*, const vlm_token_map** map) -> vlm_status {
            *map = nullptr;
            return VLM_STATUS_OK;
        };
    }
};

/** An encoder asks in each of its 16 layers; `per_question` is time. */
void hooks(benchmark::State& state, bool isolated, int64_t needs) {
    constexpr double kQuestions = 16;
    const auto side = static_cast<int32_t>(state.range(0)) * 8;  // pixels of that many patches
    Bench bench(isolated, "asking_encoder");
    const VisionEncoder encoder(bench.plugin, ComponentConfig{});
    const Reducers reducers(static_cast<uint32_t>(std::max<int64_t>(0, needs)));
    const Listeners quiet;
    Run run(bench.device->compute(), &quiet, needs < 0 ? nullptr : &reducers.abi);
    const auto plan = encoder.plan(side, side);
    Tensor pixels(VLM_DTYPE_F32, {1, 3, side, side}, bench.arena->allocator());
    bench.arena->counters().calls = bench.arena->counters().copied_bytes = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(encoder.encode(run, {&pixels, 1}, {&plan, 1}, bench.arena->allocator()));
    bench.report(state);
    state.counters["per_question"] =
        benchmark::Counter(kQuestions, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

BENCHMARK_CAPTURE(plan, here, false)->UseRealTime();
BENCHMARK_CAPTURE(plan, isolated, true)->UseRealTime();
BENCHMARK_CAPTURE(connect, here, false)->Arg(4)->Arg(1 << 16)->Arg(1 << 20)->UseRealTime();
BENCHMARK_CAPTURE(connect, isolated, true)->Arg(4)->Arg(1 << 16)->Arg(1 << 20)->UseRealTime();
BENCHMARK_CAPTURE(reduce, here, false)->UseRealTime();
BENCHMARK_CAPTURE(reduce, isolated, true)->UseRealTime();
BENCHMARK_CAPTURE(hooks, none_isolated, true, -1)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, needs_here, false, 0)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, needs_isolated, true, 0)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, keys_here, false, VLM_NEED_KEYS)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, keys_isolated, true, VLM_NEED_KEYS)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, hidden_here, false, VLM_NEED_HIDDEN)->Arg(24)->UseRealTime();
BENCHMARK_CAPTURE(hooks, hidden_isolated, true, VLM_NEED_HIDDEN)->Arg(24)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
