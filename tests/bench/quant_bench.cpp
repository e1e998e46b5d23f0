/** @file quant_bench.cpp
 *  Linear layers by type of weights, from decoding one token to a page. With few rows `B/s` (weights as stored) is to
 * be read against `bandwidth`, which reads memory in the same run; with many rows `FLOPS` counts.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "host/compute/cpu/cpu_compute.hpp"

namespace {

using namespace vlm;

vlm_tensor tensor_of(std::vector<float>& values, std::array<int64_t, 2>& shape) {
    vlm_tensor tensor{};
    tensor.struct_size = sizeof(tensor);
    tensor.abi_version = VLM_ABI_VERSION;
    tensor.view = {values.data(), {VLM_DEVICE_CPU, 0}, 2, {VLM_TYPE_FLOAT, 32, 1}, shape.data(), nullptr, 0};
    return tensor;
}

void set_rates(benchmark::State& state, double flops, double bytes) {
    using benchmark::Counter;
    state.counters["FLOPS"] = Counter(flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
    state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

/** Reading memory on all threads, in pieces of the size of a panel. */
void bandwidth(benchmark::State& state) {
    std::vector<uint64_t> memory(size_t{32} << 20, 1);
    const auto size = static_cast<int64_t>(memory.size());
    for (auto _ : state) {
        parallel_for(0, size, 1 << 13, [&](int64_t begin, int64_t end) {
            uint64_t sums[32] = {};
            for (int64_t i = begin; i < end; i += 32)
                for (int64_t k = 0; k < 32; ++k) sums[k] += memory[static_cast<size_t>(i + k)];
            benchmark::DoNotOptimize(sums);
        });
    }
    set_rates(state, 0, static_cast<double>(memory.size() * sizeof(uint64_t)));
}

/** Copying memory on all threads; bytes read and written. */
void copying(benchmark::State& state) {
    std::vector<uint64_t> from(size_t{16} << 20, 1), to(from.size());
    for (auto _ : state)
        parallel_for(0, static_cast<int64_t>(from.size()), 1 << 13, [&](int64_t begin, int64_t end) {
            std::copy(from.begin() + begin, from.begin() + end, to.begin() + begin);
        });
    set_rates(state, 0, 2.0 * static_cast<double>(from.size() * sizeof(uint64_t)));
}

void linear(benchmark::State& state, WeightType type) {
    const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
    CpuOptions options;
    options.mode = Precision::bf16;
    options.weights = type;
    CpuCompute compute(options);
    const vlm_compute* table = compute.table();
    const vlm_run_context run{};
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto fill = [&](int64_t count) {
        std::vector<float> values(static_cast<size_t>(count));
        for (float& v : values) v = normal(random);
        return values;
    };
    auto weights = fill(in * out), inputs = fill(rows * in), outputs = fill(rows * out);
    std::array<int64_t, 2> weight_shape = {out, in}, x_shape = {rows, in}, y_shape = {rows, out};
    const vlm_tensor weight = tensor_of(weights, weight_shape);
    vlm_tensor x = tensor_of(inputs, x_shape), y = tensor_of(outputs, y_shape);
    // Several layers, so that weights come from memory as they do in a model and not from the last-level cache.
    std::vector<vlm_linear*> layers;
    while (layers.empty() || compute.statistics().packed_bytes < int64_t{96} << 20) {
        const vlm_tensor* parts[] = {&weight};
        const vlm_linear_spec spec{sizeof(spec), VLM_ABI_VERSION, 1, 0, parts, nullptr, "bench"};
        vlm_linear* layer = nullptr;
        if (table->linear_pack(table, &spec, &layer) != VLM_STATUS_OK) return state.SkipWithError("pack failed");
        layers.push_back(layer);
    }
    const double bytes = static_cast<double>(compute.statistics().packed_bytes) / static_cast<double>(layers.size());
    size_t next = 0;
    for (auto _ : state) {
        table->linear(table, &run, layers[next], &x, nullptr, &y);
        next = (next + 1) % layers.size();
    }
    set_rates(state, 2.0 * static_cast<double>(rows * in * out), bytes);
    for (vlm_linear* layer : layers) table->linear_release(table, layer);
}

/** Quantising at load: weights per second. */
void packing(benchmark::State& state, WeightType type) {
    const int64_t in = 2048, out = 2048;
    CpuOptions options;
    options.weights = type;
    CpuCompute compute(options);
    const vlm_compute* table = compute.table();
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> weights(static_cast<size_t>(in * out));
    for (float& v : weights) v = normal(random);
    std::array<int64_t, 2> shape = {out, in};
    const vlm_tensor weight = tensor_of(weights, shape);
    for (auto _ : state) {
        const vlm_tensor* parts[] = {&weight};
        const vlm_linear_spec spec{sizeof(spec), VLM_ABI_VERSION, 1, 0, parts, nullptr, "bench"};
        vlm_linear* layer = nullptr;
        if (table->linear_pack(table, &spec, &layer) != VLM_STATUS_OK) return state.SkipWithError("pack failed");
        table->linear_release(table, layer);
    }
    state.counters["weights/s"] =
        benchmark::Counter(static_cast<double>(in * out), benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* b) {
    b->ArgNames({"rows", "in", "out"})->UseRealTime();
    for (const int64_t rows : {1, 4, 8, 16, 64, 640})
        for (const auto& [in, out] : {std::pair<int64_t, int64_t>{2048, 2048}, {2048, 11264}, {5632, 2048}})
            b->Args({rows, in, out});
}

BENCHMARK(bandwidth)->UseRealTime();
BENCHMARK(copying)->UseRealTime();
BENCHMARK_CAPTURE(linear, bf16, WeightType::bf16)->Apply(shapes);
BENCHMARK_CAPTURE(linear, int8, WeightType::int8)->Apply(shapes);
BENCHMARK_CAPTURE(linear, int4, WeightType::int4)->Apply(shapes);
BENCHMARK_CAPTURE(packing, int8, WeightType::int8)->UseRealTime();
BENCHMARK_CAPTURE(packing, int4, WeightType::int4)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
