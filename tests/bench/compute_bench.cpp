/** @file compute_bench.cpp
 *  Speed of the CPU device: linear layers from decoding to a page, attention at prefill and decoding. `FLOPS` and
 * `bytes_per_second` are to be read against the peaks that the first two benchmarks measure on the same machine in the
 * same run.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "host/base/cpu_features.hpp"
#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/linear_onednn.hpp"

namespace {

using namespace vlm;

/** A tensor over memory of the benchmark. */
struct Array {
    std::vector<float> values;
    std::vector<int64_t> shape;
    vlm_tensor tensor{};

    explicit Array(std::vector<int64_t> dims) : shape(std::move(dims)) {
        int64_t count = 1;
        for (const int64_t d : shape) count *= d;
        values.resize(static_cast<size_t>(count));
        std::mt19937 random(1);
        for (float& v : values) v = static_cast<float>(random() % 1000) * 2e-3f - 1.0f;
        tensor.struct_size = sizeof(tensor);
        tensor.abi_version = VLM_ABI_VERSION;
        tensor.view = {values.data(),
                       {VLM_DEVICE_CPU, 0},
                       static_cast<int32_t>(shape.size()),
                       {VLM_TYPE_FLOAT, 32, 1},
                       shape.data(),
                       nullptr,
                       0};
    }
    Array(const Array&) = delete;
};

CpuOptions options_for(int64_t bf16) {
    CpuOptions options;
    options.mode = bf16 != 0 ? Precision::bf16 : Precision::f32;
    options.weights = bf16 != 0 ? WeightType::bf16 : WeightType::f32;
    return options;
}

void set_rates(benchmark::State& state, double flops, double bytes) {
    using benchmark::Counter;
    state.counters["FLOPS"] = Counter(flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
    state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

/** The kernel alone on data in the first-level cache, on all threads: what the machine can do. */
void peak(benchmark::State& state) {
    const cpu::Kernels& kernels = cpu::kernels();
    const bool bf16 = state.range(0) != 0 && kernels.gemm_bf16 != nullptr;
    const int64_t rows = 112, depth = 256, repeats = 200;
    const int threads = ThreadPool::global().threads();
    for (auto _ : state) {
        parallel_for(0, threads, 1, [&](int64_t, int64_t) {
            alignas(64) static thread_local float a[28 * 256], panel[256 * 32], c[28 * 32];
            for (int64_t r = 0; r < repeats * rows / 28; ++r) {
                if (bf16) {
                    kernels.gemm_bf16(reinterpret_cast<uint16_t*>(a), depth, reinterpret_cast<uint16_t*>(panel), depth,
                                      c, 32, 28, true, nullptr);
                } else {
                    kernels.gemm_f32(a, depth, panel, depth, c, 32, 28, true);
                }
            }
        });
    }
    set_rates(state, 2.0 * rows * depth * 32 * repeats * threads, 0);
}

/** Reading memory on all threads. */
void bandwidth(benchmark::State& state) {
    std::vector<float> memory(64 << 20, 1.0f);
    const auto size = static_cast<int64_t>(memory.size());
    for (auto _ : state) {
        parallel_for(0, size, 1 << 16, [&](int64_t begin, int64_t end) {
            float sums[64] = {};
            for (int64_t i = begin; i < end; i += 64)
                for (int64_t k = 0; k < 64; ++k) sums[k] += memory[static_cast<size_t>(i + k)];
            benchmark::DoNotOptimize(sums);
        });
    }
    set_rates(state, 0, static_cast<double>(memory.size() * sizeof(float)));
}

void linear(benchmark::State& state, DenseEngine engine) {
    const int64_t bf16 = state.range(0), rows = state.range(1), in = state.range(2), out = state.range(3);
    if (engine == DenseEngine::onednn && (cpu::onednn_version() == nullptr || active_isa() < Isa::avx512_bf16))
        return state.SkipWithError("no oneDNN in this build, or a processor without bf16 products");
    CpuOptions options = options_for(bf16);
    options.dense = engine;
    CpuCompute compute(options);
    const vlm_compute* table = compute.table();
    vlm_run_context run{};
    // Several layers, so that weights come from memory as they do in a model and not from the last-level cache.
    const int64_t bytes = in * out * (bf16 != 0 ? 2 : 4);
    const int64_t count = std::clamp<int64_t>((int64_t{128} << 20) / bytes, 1, 64);
    Array weight({out, in});
    std::vector<vlm_linear*> layers;
    for (int64_t i = 0; i < count; ++i) {
        const vlm_tensor* parts[] = {&weight.tensor};
        const vlm_linear_spec spec{sizeof(spec), VLM_ABI_VERSION, 1, 0, parts, nullptr, "bench"};
        vlm_linear* layer = nullptr;
        if (table->linear_pack(table, &spec, &layer) != VLM_STATUS_OK) return state.SkipWithError("pack failed");
        layers.push_back(layer);
    }
    Array x({rows, in}), y({rows, out});
    size_t next = 0;
    for (auto _ : state) {
        table->linear(table, &run, layers[next], &x.tensor, nullptr, &y.tensor);
        next = (next + 1) % layers.size();
    }
    set_rates(state, 2.0 * static_cast<double>(rows * in * out), static_cast<double>(bytes));
    for (vlm_linear* layer : layers) table->linear_release(table, layer);
}

void attention_prefill(benchmark::State& state) {
    const int64_t bf16 = state.range(0), rows = state.range(1), heads = state.range(2), kv = state.range(3),
                  dim = state.range(4);
    CpuCompute compute(options_for(bf16));
    const vlm_compute* table = compute.table();
    vlm_run_context run{};
    Array q({rows, heads, dim}), k({rows, kv, dim}), v({rows, kv, dim}), out({rows, heads, dim});
    vlm_attention args{};
    args.struct_size = sizeof(args);
    args.q = &q.tensor;
    args.k = &k.tensor;
    args.v = &v.tensor;
    args.out = &out.tensor;
    args.scale = 0.1f;
    args.mask_rule = state.range(5) != 0 ? VLM_MASK_CAUSAL : VLM_MASK_FULL;
    for (auto _ : state) table->attention(table, &run, &args);
    const auto pairs = static_cast<double>(state.range(5) != 0 ? rows * (rows + 1) / 2 : rows * rows);
    set_rates(state, 4.0 * pairs * static_cast<double>(heads * dim), 0);
}

/** One row over a cache, products in f32 for a cache in f32 and else in bf16. `B/s` counts the cache as it is stored.
 */
void attention_decode(benchmark::State& state, KvType type) {
    const int64_t keys = state.range(0), heads = state.range(1), kv = state.range(2), dim = state.range(3);
    CpuOptions options = options_for(type == KvType::f32 ? 0 : 1);
    options.kv = type;
    CpuCompute compute(options);
    const vlm_compute* table = compute.table();
    vlm_run_context run{};
    const vlm_kv_spec spec{sizeof(spec), VLM_ABI_VERSION, 22, static_cast<int32_t>(kv), static_cast<int32_t>(dim), 0,
                           keys};
    vlm_kv_cache* cache = nullptr;
    table->kv_create(table, &spec, &cache);
    Array q({1, heads, dim}), k({keys, kv, dim}), v({keys, kv, dim}), out({1, heads, dim});
    vlm_attention args{};
    args.struct_size = sizeof(args);
    args.q = &q.tensor;
    args.out = &out.tensor;
    args.scale = 0.1f;
    args.cache = cache;
    args.k = &k.tensor;
    args.v = &v.tensor;
    for (args.layer = 0; args.layer < 22; ++args.layer) table->attention(table, &run, &args);
    args.k = args.v = nullptr;
    args.layer = 0;
    for (auto _ : state) {
        table->attention(table, &run, &args);
        args.layer = (args.layer + 1) % 22;
    }
    set_rates(state, 4.0 * static_cast<double>(keys * heads * dim),
              static_cast<double>(table->kv_bytes(table, cache)) / 22);
    table->kv_destroy(table, cache);
}

void add_shapes(benchmark::internal::Benchmark* b, int64_t bf16) {
    for (const int64_t rows : {1, 4, 16, 64, 577, 640})
        for (const auto& [in, out] :
             {std::pair<int64_t, int64_t>{1024, 1024}, {1024, 4096}, {2048, 2048}, {2048, 11264}, {5632, 2048}})
            b->Args({bf16, rows, in, out});
}

void all_shapes(benchmark::internal::Benchmark* b) {
    add_shapes(b, 0);
    add_shapes(b, 1);
}

void bf16_shapes(benchmark::internal::Benchmark* b) {
    add_shapes(b, 1);
}

BENCHMARK(peak)->ArgName("bf16")->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(bandwidth)->UseRealTime();
BENCHMARK_CAPTURE(linear, own, DenseEngine::own)
    ->ArgNames({"bf16", "rows", "in", "out"})
    ->Apply(all_shapes)
    ->UseRealTime();
BENCHMARK_CAPTURE(linear, onednn, DenseEngine::onednn)
    ->ArgNames({"bf16", "rows", "in", "out"})
    ->Apply(bf16_shapes)
    ->UseRealTime();
BENCHMARK(attention_prefill)
    ->ArgNames({"bf16", "rows", "heads", "kv", "dim", "causal"})
    ->ArgsProduct({{0, 1}, {577}, {16}, {16}, {64}, {0}})
    ->ArgsProduct({{0, 1}, {640, 2048, 8192}, {32}, {4}, {64}, {1}})
    ->UseRealTime();

void decode_shapes(benchmark::internal::Benchmark* b) {
    b->ArgNames({"keys", "heads", "kv", "dim"})->UseRealTime();
    b->ArgsProduct({{640, 2048, 8192}, {32}, {4}, {64}})->Args({640, 32, 32, 128});
}

BENCHMARK_CAPTURE(attention_decode, f32, KvType::f32)->Apply(decode_shapes);
BENCHMARK_CAPTURE(attention_decode, bf16, KvType::bf16)->Apply(decode_shapes);
BENCHMARK_CAPTURE(attention_decode, f16, KvType::f16)->Apply(decode_shapes);
BENCHMARK_CAPTURE(attention_decode, int8, KvType::int8)->Apply(decode_shapes);

}  // namespace

BENCHMARK_MAIN();
