/** @file attention_ops_test.cpp
 *  Attention with every mask, caches, virtual keys and by-products: the CUDA device beside the CPU device.
 */
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using AttentionOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, AttentionOps, testing::ValuesIn(targets()), target_name);

vlm_attention arguments(const Tensor& q, const Tensor& out, uint32_t rule) {
    vlm_attention a{};
    a.struct_size = sizeof(a);
    a.abi_version = VLM_ABI_VERSION;
    a.q = q.abi();
    a.out = writable(out.abi());
    a.scale = 0.3f;
    a.mask_rule = rule;
    return a;
}

void attend(Side& s, const vlm_attention& a) {
    s.call(&vlm_compute::attention, static_cast<const vlm_attention*>(&a));
}

struct Shape {
    int64_t rows, keys, heads, kv_heads, dim, value_dim;
};

TEST_P(AttentionOps, MasksAndHeads) {
    for (const Shape& d : {Shape{1, 40, 4, 4, 16, 16}, Shape{9, 9, 6, 2, 24, 24}, Shape{5, 70, 6, 1, 72, 40},
                           Shape{3, 3, 2, 2, 130, 130}})
        for (uint32_t rule = VLM_MASK_FULL; rule <= VLM_MASK_DENSE; ++rule) {
            SCOPED_TRACE(std::to_string(d.rows) + " rows, " + std::to_string(d.keys) + " keys, rule " +
                         std::to_string(rule));
            const Tensor q = floats({d.rows, d.heads, d.dim}, 1), k = floats({d.keys, d.kv_heads, d.dim}, 2);
            const Tensor v = floats({d.keys, d.kv_heads, d.value_dim}, 3), bias = floats({d.keys}, 4);
            std::vector<int32_t> begin, end;
            std::vector<uint8_t> mask;
            for (int64_t r = 0; r < d.rows; ++r) {
                // Row 2 sees nothing, row 1 asks for more than there is.
                begin.push_back(static_cast<int32_t>(r == 2 ? 3 : r / 2));
                end.push_back(static_cast<int32_t>(r == 2 ? 2 : r == 1 ? d.keys + 9 : d.keys - r % 3));
                for (int64_t j = 0; j < d.keys; ++j) mask.push_back(r != 2 && (r + j) % 3 != 0 ? 1 : 0);
            }
            compare([&](Side& s) {
                const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v), bs = s.put(bias);
                const Tensor b = s.put(ints(begin)), e = s.put(ints(end)), m = s.put(bytes(mask, {d.rows, d.keys}));
                std::vector<Tensor> y{s.make({d.rows, d.heads, d.value_dim}), s.make(VLM_DTYPE_F32, {d.keys}),
                                      s.make(VLM_DTYPE_F32, {d.rows, d.keys})};
                vlm_attention a = arguments(qs, y[0], rule);
                a.k = ks.abi();
                a.v = vs.abi();
                a.key_begin = b.abi();
                a.key_end = e.abi();
                a.mask = m.abi();
                a.key_bias = bs.abi();
                a.logit_softcap = rule == VLM_MASK_CAUSAL ? 2.0f : 0.0f;
                a.last_row_scores = y[1].abi();
                a.weights = y[2].abi();
                attend(s, a);
                return y;
            });
        }
}

TEST_P(AttentionOps, FusedProjectionsAreReadInPlace) {
    const Tensor qkv = floats({7, 3 * 32}, 5);
    compare([&](Side& s) {
        const Tensor all = s.act(qkv), wide = s.make({7, 50});
        s.call(&vlm_compute::fill, wide.abi(), 0.0);
        Part q(all, 0, {7, 4, 8}, {96, 8, 1}), k(all, 32, {7, 4, 8}, {96, 8, 1}), v(all, 64, {7, 4, 8}, {96, 8, 1});
        Part out(wide, 10, {7, 4, 8}, {50, 8, 1});
        vlm_attention a = arguments(all, wide, VLM_MASK_CAUSAL);
        a.q = q.abi();
        a.k = k.abi();
        a.v = v.abi();
        a.out = out.abi();
        attend(s, a);
        // Heads whose elements are apart.
        Part apart(all, 0, {7, 8, 4}, {96, 1, 8});
        const Tensor other = s.make({7, 8, 4});
        vlm_attention b = arguments(all, other, VLM_MASK_FULL);
        b.q = b.k = b.v = apart.abi();
        attend(s, b);
        return std::vector<Tensor>{wide, other};
    });
}

/** A cache that frees itself. */
std::shared_ptr<vlm_kv_cache> make_cache(Side& s, int32_t layers, int32_t heads, int32_t dim, int64_t capacity) {
    vlm_kv_spec spec{};
    spec.struct_size = sizeof(spec);
    spec.abi_version = VLM_ABI_VERSION;
    spec.layers = layers;
    spec.kv_heads = heads;
    spec.head_dim = dim;
    spec.capacity = capacity;
    vlm_kv_cache* cache = nullptr;
    if (s.table()->kv_create(s.table(), &spec, &cache) != VLM_STATUS_OK) throw failed_precondition("no cache");
    const vlm_compute* owner = s.table();
    return {cache, [owner](vlm_kv_cache* c) { owner->kv_destroy(owner, c); }};
}

TEST_P(AttentionOps, ACacheGrowsIsCutAndGrowsAgain) {
    const Tensor q = floats({140, 4, 16}, 6), k = floats({140, 2, 16}, 7), v = floats({140, 2, 16}, 8);
    compare([&](Side& s) {
        const auto cache = make_cache(s, 2, 2, 16, 1000);
        std::vector<Tensor> y;
        const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v);
        const auto step = [&](int64_t first, int64_t count, int32_t layer) {
            Part qp(qs, first * 64, {count, 4, 16}, {64, 16, 1}), kp(ks, first * 32, {count, 2, 16}, {32, 16, 1});
            Part vp(vs, first * 32, {count, 2, 16}, {32, 16, 1});
            y.push_back(s.make({count, 4, 16}));
            vlm_attention a = arguments(qs, y.back(), VLM_MASK_CAUSAL);
            a.q = qp.abi();
            a.k = kp.abi();
            a.v = vp.abi();
            a.cache = cache.get();
            a.layer = layer;
            attend(s, a);
        };
        step(0, 100, 0);
        step(100, 1, 0);
        step(0, 3, 1);
        for (int64_t i = 101; i < 135; ++i) step(i, 1, 0);
        EXPECT_EQ(s.table()->kv_length(s.table(), cache.get(), 0), 135);
        EXPECT_EQ(s.table()->kv_length(s.table(), cache.get(), 1), 3);
        EXPECT_EQ(s.table()->kv_truncate(s.table(), cache.get(), 0, 70), VLM_STATUS_OK);
        step(2, 5, 0);
        EXPECT_EQ(s.table()->kv_length(s.table(), cache.get(), 0), 75);
        EXPECT_EQ(s.table()->kv_truncate(s.table(), cache.get(), 0, 0), VLM_STATUS_OK);
        step(9, 66, 0);
        // Only the cache, without new keys.
        Part last(qs, 0, {2, 4, 16}, {64, 16, 1});
        y.push_back(s.make({2, 4, 16}));
        vlm_attention a = arguments(qs, y.back(), VLM_MASK_FULL);
        a.q = last.abi();
        a.cache = cache.get();
        attend(s, a);
        return y;
    });
}

TEST_P(AttentionOps, DecodingCutsLongCachesIntoSpans) {
    const Tensor q = floats({1, 8, 32}, 9), k = floats({700, 2, 32}, 10), v = floats({700, 2, 32}, 11);
    compare([&](Side& s) {
        const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v), scores = s.make(VLM_DTYPE_F32, {700});
        const Tensor y = s.make({1, 8, 32}), begin = s.put(ints({300})), end = s.put(ints({310}));
        vlm_attention a = arguments(qs, y, VLM_MASK_FULL);
        a.k = ks.abi();
        a.v = vs.abi();
        a.last_row_scores = writable(scores.abi());
        attend(s, a);
        // Whole spans that the row does not see.
        const Tensor z = s.make({1, 8, 32});
        vlm_attention b = arguments(qs, z, VLM_MASK_RANGES);
        b.k = ks.abi();
        b.v = vs.abi();
        b.key_begin = begin.abi();
        b.key_end = end.abi();
        attend(s, b);
        return std::vector<Tensor>{y, scores, z};
    });
}

TEST_P(AttentionOps, VirtualKeysAreRotatedInside) {
    const Tensor q = floats({4, 4, 16}, 12), k = floats({6, 2, 16}, 13), v = floats({6, 2, 16}, 14);
    std::vector<int32_t> rows;
    for (int32_t j = 0; j < 90; ++j) rows.push_back(j * 5 % 6);
    Tensor cos = floats({90, 6}, 15), sin = floats({90, 6}, 16);
    for (int64_t i = 0; i < cos.elements(); ++i) {
        const float angle = cos.data<float>()[i];
        cos.data<float>()[i] = std::cos(angle);
        sin.data<float>()[i] = std::sin(angle);
    }
    compare([&](Side& s) {
        const auto cache = make_cache(s, 1, 2, 16, 100);
        const Tensor qs = s.act(q), ks = s.act(k), vs = s.act(v), r = s.put(ints(rows)), c = s.put(cos), n = s.put(sin);
        std::vector<Tensor> y{s.make({4, 4, 16}), s.make(VLM_DTYPE_F32, {90}), s.make({4, 4, 16})};
        vlm_attention a = arguments(qs, y[0], VLM_MASK_CAUSAL);
        a.k = ks.abi();
        a.v = vs.abi();
        a.cache = cache.get();
        a.key_rows = r.abi();
        a.key_cos = c.abi();
        a.key_sin = n.abi();
        a.last_row_scores = y[1].abi();
        attend(s, a);
        // The cache holds the keys as they came.
        vlm_attention b = arguments(qs, y[2], VLM_MASK_FULL);
        b.cache = cache.get();
        attend(s, b);
        return y;
    });
}

TEST_P(AttentionOps, WrongCallsChangeNothing) {
    const auto cache = make_cache(*gpu_, 1, 2, 16, 4);
    const Tensor q = gpu_->act(floats({3, 2, 16}, 17)), k = gpu_->act(floats({5, 2, 16}, 18)),
                 y = gpu_->make({3, 2, 16});
    vlm_attention a = arguments(q, y, VLM_MASK_CAUSAL);
    a.k = a.v = k.abi();
    a.cache = cache.get();
    EXPECT_THROW(attend(*gpu_, a), Error);  // five keys into four places
    EXPECT_EQ(gpu_->table()->kv_length(gpu_->table(), cache.get(), 0), 0);
    a.cache = nullptr;
    a.mask_rule = VLM_MASK_DENSE;
    EXPECT_THROW(attend(*gpu_, a), Error);
    const Tensor rows = gpu_->put(ints({0, 1, 5}));
    a.mask_rule = VLM_MASK_FULL;
    a.key_rows = rows.abi();
    attend(*gpu_, a);
    EXPECT_THROW(gpu_->get(y), Error);  // key row 5 of 5
}

}  // namespace
}  // namespace vlm::test
