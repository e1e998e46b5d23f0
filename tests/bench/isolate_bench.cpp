/** @file isolate_bench.cpp
 *  What a call costs when the plugin is in a process of its own: the same connector here and there, with tensors from
 * 64 bytes to 16 MB. `calls` are round trips per iteration, `copied` bytes of tensors copied for them.
 */
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>

#include "host/compute/device.hpp"
#include "host/isolate/isolated_plugin.hpp"
#include "host/pipeline/stages.hpp"

namespace {

using namespace vlm;

constexpr int64_t kWidth = 4;  // of the connector's rows

const char* library() {
    setenv("VLM_PLUGIN_HOST", VLM_BINARY_DIR "/vlm-plugin-host", 0);
    return VLM_BINARY_DIR "/torture/sound_connector.so";
}

TokenLayout layout_of(int64_t tokens) {
    vlm_token_block block{sizeof(block), VLM_ABI_VERSION, VLM_BLOCK_LATENT, 0, 0, tokens, 1, 0, 0, 0, {0, 0, 0, 0}};
    block.columns = static_cast<int32_t>(tokens);
    const vlm_token_block* blocks[] = {&block};
    return {{sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, 1, 0, blocks}, "benchmark"};
}

/** The connector, its device and its memory; the arena also serves the runs in this process. */
struct Bench {
    std::shared_ptr<isolate::SharedArena> arena = isolate::SharedArena::create();
    std::shared_ptr<Device> device = open_device("cpu", {"f32", "f32", 1});
    std::unique_ptr<Connector> connector;

    explicit Bench(bool isolated) {
        isolate::IsolateOptions options;
        options.arena = arena;
        options.device = {"f32", "f32", 1};
        connector = std::make_unique<Connector>(
            isolated ? isolate::IsolatedPlugin::open(library(), options) : Plugin::open(library()), ComponentConfig{});
    }
    void report(benchmark::State& state) const {
        const auto iterations = static_cast<double>(state.iterations());
        state.counters["calls"] = static_cast<double>(arena->counters().calls) / iterations;
        state.counters["copied"] = static_cast<double>(arena->counters().copied_bytes) / iterations;
    }
};

void plan(benchmark::State& state, bool isolated) {
    const Bench bench(isolated);
    const TokenLayout layout = layout_of(16);
    bench.arena->counters().calls = 0;
    for (auto _ : state) benchmark::DoNotOptimize(bench.connector->plan(layout, 64, 64));
    bench.report(state);
}

void connect(benchmark::State& state, bool isolated) {
    const Bench bench(isolated);
    const Listeners quiet;
    Run run(bench.device->compute(), &quiet);
    Features features;
    features.rows = Tensor(VLM_DTYPE_F32, {state.range(0), kWidth}, bench.arena->allocator());
    features.layout = layout_of(state.range(0));
    bench.arena->counters().calls = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(bench.connector->connect(run, features, "", bench.arena->allocator()));
    bench.report(state);
}

BENCHMARK_CAPTURE(plan, here, false)->UseRealTime();
BENCHMARK_CAPTURE(plan, isolated, true)->UseRealTime();
BENCHMARK_CAPTURE(connect, here, false)->Arg(4)->Arg(1 << 16)->Arg(1 << 20)->UseRealTime();
BENCHMARK_CAPTURE(connect, isolated, true)->Arg(4)->Arg(1 << 16)->Arg(1 << 20)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
