/** @file attention_fast_ops_test.cpp
 *  The attention kernels for bf16: tiles of many rows on the tensor cores, and single rows of several sequences that
 * wait for each other. The reference is the CPU device in f32.
 */
#include "host/base/log.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

std::vector<Target> half_targets() {
#ifdef VLM_EMULATED_CUDA
    return {{"forward_bf16", "forward", "bf16"}, {"backward_bf16", "backward", "bf16"}};
#else
    return {{"gpu_bf16", nullptr, "bf16"}};
#endif
}

using FastAttention = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, FastAttention, testing::ValuesIn(half_targets()), target_name);

/** Both kernels are in use: opening the device has found nothing wrong with them. */
TEST_P(FastAttention, TheDeviceTrustsItsKernels) {
    std::string warnings;
    set_log_sink([&](int level, std::string_view source, std::string_view text) {
        if (level >= VLM_LOG_WARNING) warnings += std::string(source) + ": " + std::string(text) + "\n";
    });
    open_target(GetParam());
    set_log_sink({});
    EXPECT_EQ(warnings, "");
}

vlm_attention arguments(const Tensor& q, const Tensor& out, uint32_t rule) {
    vlm_attention a{};
    a.struct_size = sizeof(a);
    a.abi_version = VLM_ABI_VERSION;
    a.q = q.abi();
    a.out = writable(out.abi());
    a.scale = 0.15f;
    a.mask_rule = rule;
    return a;
}

void attend(Side& s, const vlm_attention& a) {
    s.call(&vlm_compute::attention, static_cast<const vlm_attention*>(&a));
}

std::shared_ptr<vlm_kv_cache> make_cache(Side& s, int32_t heads, int32_t dim) {
    vlm_kv_spec spec{};
    spec.struct_size = sizeof(spec);
    spec.abi_version = VLM_ABI_VERSION;
    spec.layers = 1;
    spec.kv_heads = heads;
    spec.head_dim = dim;
    spec.capacity = 1000;
    vlm_kv_cache* cache = nullptr;
    if (s.table()->kv_create(s.table(), &spec, &cache) != VLM_STATUS_OK) throw failed_precondition("no cache");
    const vlm_compute* owner = s.table();
    return {cache, [owner](vlm_kv_cache* c) { owner->kv_destroy(owner, c); }};
}

struct Shape {
    int64_t rows, keys, heads, kv_heads, dim, value_dim;
};

TEST_P(FastAttention, TilesOfEveryShapeAndRule) {
    for (const Shape& d : {Shape{16, 16, 2, 2, 64, 64}, Shape{70, 70, 2, 1, 72, 72}, Shape{66, 130, 1, 1, 128, 128},
                           Shape{130, 129, 2, 2, 32, 64}})
        for (const uint32_t rule : {VLM_MASK_FULL, VLM_MASK_CAUSAL, VLM_MASK_RANGES}) {
            SCOPED_TRACE(std::to_string(d.rows) + " rows, " + std::to_string(d.keys) + " keys, heads of " +
                         std::to_string(d.dim) + ", rule " + std::to_string(rule));
            const Tensor q = floats({d.rows, d.heads, d.dim}, 1), k = floats({d.keys, d.kv_heads, d.dim}, 2);
            const Tensor v = floats({d.keys, d.kv_heads, d.value_dim}, 3), bias = floats({d.keys}, 4);
            std::vector<int32_t> begin, end;
            for (int64_t r = 0; r < d.rows; ++r) {
                // A window, rows that see nothing, a row that asks for more than there is.
                const bool none = r % 7 == 2;
                begin.push_back(static_cast<int32_t>(none ? 9 : std::max<int64_t>(0, r - 20)));
                end.push_back(static_cast<int32_t>(none ? 3 : r == 1 ? d.keys + 9 : std::min(d.keys, r + 5)));
            }
            compare([&](Side& s) {
                const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v), bs = s.put(bias);
                const Tensor b = s.put(ints(begin)), e = s.put(ints(end));
                const Tensor y = s.make({d.rows, d.heads, d.value_dim});
                vlm_attention a = arguments(qs, y, rule);
                a.k = ks.abi();
                a.v = vs.abi();
                a.key_begin = b.abi();
                a.key_end = e.abi();
                if (rule != VLM_MASK_CAUSAL) a.key_bias = bs.abi();
                a.logit_softcap = rule == VLM_MASK_CAUSAL ? 2.0f : 0.0f;
                attend(s, a);
                return std::vector<Tensor>{y};
            });
        }
}

/** Prompts in two parts, from pages and out of one fused projection. */
TEST_P(FastAttention, TilesReadPagesAndFusedProjections) {
    constexpr int64_t kDim = 64, kHeads = 2, kWidth = kHeads * kDim + 2 * kDim;
    const Tensor first = floats({70, kWidth}, 5), second = floats({40, kWidth}, 6);
    compare([&](Side& s) {
        const auto cache = make_cache(s, 1, kDim);
        std::vector<Tensor> y;
        for (const Tensor& source : {first, second}) {
            const int64_t n = source.dim(0);
            const Tensor all = s.act(source);
            y.push_back(s.make({n, kHeads, kDim}));
            Part q(all, 0, {n, kHeads, kDim}, {kWidth, kDim, 1}),
                k(all, kHeads * kDim, {n, 1, kDim}, {kWidth, kDim, 1});
            Part v(all, kHeads * kDim + kDim, {n, 1, kDim}, {kWidth, kDim, 1});
            vlm_attention a = arguments(all, y.back(), VLM_MASK_CAUSAL);
            a.q = q.abi();
            a.k = k.abi();
            a.v = v.abi();
            a.cache = cache.get();
            attend(s, a);
        }
        return y;
    });
}

/** Merged rows that stand for several positions, each with its own rotation. */
TEST_P(FastAttention, TilesOverVirtualKeys) {
    constexpr int64_t kDim = 64, kRows = 40, kKeys = 75;
    const Tensor q = floats({kRows, 2, kDim}, 60), k = floats({30, 1, kDim}, 61), v = floats({30, 1, kDim}, 62);
    const Tensor angles = floats({kKeys, 24}, 63, 2.0f);
    Tensor cos(VLM_DTYPE_F32, {kKeys, 24}), sin(VLM_DTYPE_F32, {kKeys, 24});
    for (int64_t i = 0; i < angles.elements(); ++i) {
        cos.data<float>()[i] = std::cos(angles.data<float>()[i]);
        sin.data<float>()[i] = std::sin(angles.data<float>()[i]);
    }
    std::vector<int32_t> rows;
    for (int32_t j = 0; j < kKeys; ++j) rows.push_back(j * 7 % 30);
    compare([&](Side& s) {
        const auto cache = make_cache(s, 1, kDim);
        const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v), r = s.put(ints(rows));
        const Tensor cs = s.put(cos), sn = s.put(sin), y = s.make({kRows, 2, kDim});
        vlm_attention a = arguments(qs, y, VLM_MASK_CAUSAL);
        a.k = ks.abi();
        a.v = vs.abi();
        a.cache = cache.get();
        a.key_rows = r.abi();
        a.key_cos = cs.abi();
        a.key_sin = sn.abi();
        attend(s, a);
        return std::vector<Tensor>{y};
    });
}

/** Sequences of different lengths take steps together; then what they have stored is read by the plain kernel. */
void decode(Side& s, const Shape& d, uint32_t rule, std::vector<Tensor>& y) {
    const std::vector<int64_t> lengths = {1, 63, 64, 150};
    std::vector<std::shared_ptr<vlm_kv_cache>> caches;
    const auto dim = static_cast<int32_t>(d.dim), heads = static_cast<int32_t>(d.kv_heads);
    for (const int64_t n : lengths) {
        caches.push_back(make_cache(s, heads, dim));
        const Tensor q = s.act(floats({n, d.heads, d.dim}, 7)), k = s.act(floats({n, d.kv_heads, d.dim}, 8));
        const Tensor v = s.act(floats({n, d.kv_heads, d.dim}, 9)), out = s.make({n, d.heads, d.dim});
        vlm_attention a = arguments(q, out, VLM_MASK_CAUSAL);
        a.k = k.abi();
        a.v = v.abi();
        a.cache = caches.back().get();
        attend(s, a);
    }
    for (uint32_t step = 0; step < 3; ++step) {
        const auto rows = static_cast<int64_t>(caches.size());
        const Tensor out = s.make({rows, d.heads, d.dim});
        {
            // Inputs go away as soon as the calls have been made.
            const Tensor q = s.act(floats({rows, d.heads, d.dim}, 10 + step));
            const Tensor k = s.act(floats({rows, d.kv_heads, d.dim}, 20 + step));
            const Tensor v = s.act(floats({rows, d.kv_heads, d.dim}, 30 + step));
            const Tensor begin = s.put(ints({0, 0, 40, 100})), end = s.put(ints({2, 60, 999, 100}));
            for (int64_t i = 0; i < rows; ++i) {
                const std::vector<int64_t> strides = {d.heads * d.dim, d.dim, 1}, kv = {d.kv_heads * d.dim, d.dim, 1};
                Part qi(q, i * strides[0], {1, d.heads, d.dim}, strides),
                    oi(out, i * strides[0], {1, d.heads, d.dim}, strides);
                Part ki(k, i * kv[0], {1, d.kv_heads, d.dim}, kv), vi(v, i * kv[0], {1, d.kv_heads, d.dim}, kv);
                Part bi(begin, i, {1}, {1}), ei(end, i, {1}, {1});
                vlm_attention a = arguments(q, out, rule);
                a.q = qi.abi();
                a.out = oi.abi();
                a.k = ki.abi();
                a.v = vi.abi();
                a.key_begin = bi.abi();
                a.key_end = ei.abi();
                a.cache = caches[static_cast<size_t>(i)].get();
                a.logit_softcap = rule == VLM_MASK_CAUSAL ? 3.0f : 0.0f;
                attend(s, a);
            }
        }
        y.push_back(out);
        if (step == 1) s.table()->kv_truncate(s.table(), caches[1].get(), 0, 10);
    }
    for (const auto& cache : caches) {
        const Tensor q = s.act(floats({3, d.heads, d.dim}, 40));
        y.push_back(s.make({3, d.heads, d.dim}));
        vlm_attention a = arguments(q, y.back(), VLM_MASK_FULL);
        a.cache = cache.get();
        attend(s, a);
    }
}

TEST_P(FastAttention, SequencesDecodeTogether) {
    for (const Shape& d : {Shape{1, 0, 2, 2, 64, 64}, Shape{1, 0, 4, 1, 128, 128}, Shape{1, 0, 12, 2, 72, 72},
                           Shape{1, 0, 10, 1, 200, 200}})
        for (const uint32_t rule : {VLM_MASK_CAUSAL, VLM_MASK_RANGES}) {
            SCOPED_TRACE(std::to_string(d.heads) + " heads of " + std::to_string(d.dim) + ", rule " +
                         std::to_string(rule));
            compare([&](Side& s) {
                std::vector<Tensor> y;
                decode(s, d, rule, y);
                return y;
            });
        }
}

/** The same cache twice in a row, and a call that cannot wait behind one that does. */
TEST_P(FastAttention, CallsOnOneCacheKeepTheirOrder) {
    const Tensor q = floats({1, 2, 64}, 50), k = floats({1, 2, 64}, 51), v = floats({1, 2, 64}, 52);
    compare([&](Side& s) {
        const auto cache = make_cache(s, 2, 64);
        const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v);
        std::vector<Tensor> y;
        for (int call = 0; call < 70; ++call) {
            y.push_back(s.make({1, 2, 64}));
            vlm_attention a = arguments(qs, y.back(), VLM_MASK_CAUSAL);
            a.k = ks.abi();
            a.v = vs.abi();
            a.cache = cache.get();
            const Tensor scores = s.make(VLM_DTYPE_F32, {call + 1});
            if (call % 3 == 2) a.last_row_scores = writable(scores.abi());
            attend(s, a);
        }
        EXPECT_EQ(s.table()->kv_length(s.table(), cache.get(), 0), 70);
        return y;
    });
}

#ifdef VLM_EMULATED_CUDA
/** A GPU on which the kernel for many rows is wrong gets the plain one, and its owner is told. */
TEST(AttentionCheck, AKernelThatIsWrongIsNotUsed) {
    std::string warnings;
    set_log_sink([&](int level, std::string_view, std::string_view text) {
        if (level >= VLM_LOG_WARNING) warnings += text;
    });
    setenv("VLM_EMULATED_BROKEN", "tensor-cores", 1);
    Side gpu(open_target({"broken", "serial", "bf16"}));
    unsetenv("VLM_EMULATED_BROKEN");
    set_log_sink({});
    EXPECT_NE(warnings.find("many rows"), std::string::npos) << warnings;
    EXPECT_EQ(warnings.find("single rows"), std::string::npos) << warnings;

    // Every value is that of its key; a causal row's answer is then a mean of what it sees.
    Tensor q(VLM_DTYPE_F32, {20, 1, 64}), v(VLM_DTYPE_F32, {20, 1, 64});
    for (int64_t i = 0; i < 20 * 64; ++i) v.data<float>()[i] = static_cast<float>(i / 64 * 2 + i % 2);
    const Tensor qs = gpu.act(q), vs = gpu.act(v), out = gpu.make({20, 1, 64});
    vlm_attention a = arguments(qs, out, VLM_MASK_CAUSAL);
    a.k = qs.abi();
    a.v = vs.abi();
    attend(gpu, a);
    const Tensor found = gpu.get(out);
    for (int64_t row = 0; row < 20; ++row)
        for (int64_t d = 0; d < 64; ++d)
            EXPECT_NEAR(found.data<float>()[row * 64 + d], static_cast<float>(row + d % 2), 0.2f);
}
#endif

}  // namespace
}  // namespace vlm::test
