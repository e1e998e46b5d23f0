/** @file attention_merged_test.cpp
 *  Few rows over merged keys, against the same keys written out and rotated one by one in double.
 */
#include "tests/host/compute/cpu/attention_problem.hpp"

namespace vlm::test {
namespace {

/** A problem whose `p` holds the keys and values as they are expanded; `call` passes them as rows and rotations. */
struct Merged {
    Merged(int64_t rows, int64_t heads, int64_t kv_heads, int64_t dim, int64_t half, uint32_t seed)
        : p(rows, kKeys, heads, kv_heads, dim, dim, seed),
          kept(random_floats({kStored, kv_heads, dim}, seed + 10)),
          values(random_floats({kStored, kv_heads, dim}, seed + 11)),
          map({kKeys}),
          cos(random_floats({kKeys, half}, seed + 12)),
          sin(random_floats({kKeys, half}, seed + 13)),
          half_(half) {
        std::mt19937 random(seed + 14);
        // One row stands nowhere, and the last in many places.
        for (int64_t j = 0; j < kKeys; ++j)
            map[j] = j % 5 == 0 ? kStored - 1 : static_cast<int32_t>(random() % kStored + 1) % kStored;
        for (int64_t j = 0; j < kKeys; ++j)
            if (map[j] == 7) map[j] = 8;
        expand();
    }

    /** Writes keys and values out. */
    void expand() {
        for (int64_t j = 0; j < kKeys; ++j)
            for (int64_t h = 0; h < p.kv_heads; ++h) {
                const float* key = kept.values.data() + (map[j] * p.kv_heads + h) * p.dim;
                for (int64_t d = 0; d < p.dim; ++d) {
                    double x = key[d];
                    const int64_t i = d % half_;
                    if (d < half_) x = key[d] * cos[j * half_ + i] - key[d + half_] * sin[j * half_ + i];
                    if (d >= half_ && d < 2 * half_)
                        x = key[d] * cos[j * half_ + i] + key[d - half_] * sin[j * half_ + i];
                    p.k[(j * p.kv_heads + h) * p.dim + d] = static_cast<float>(x);
                    p.v[(j * p.kv_heads + h) * p.dim + d] = values[(map[j] * p.kv_heads + h) * p.dim + d];
                }
            }
    }

    /** The output for query rows [first, first + count). */
    Floats call(Device& device, int64_t first, int64_t count) {
        Floats q({count, p.heads, p.dim}), out({count, p.heads, p.dim});
        const int64_t width = p.heads * p.dim;
        std::copy_n(p.q.values.begin() + first * width, count * width, q.values.begin());
        std::fill(out.values.begin(), out.values.end(), NAN);
        auto cache = make_cache(device, 1, static_cast<int32_t>(p.kv_heads), static_cast<int32_t>(p.dim), kStored);
        vlm_attention args = p.args;
        args.q = q.abi();
        args.k = kept.abi();
        args.v = values.abi();
        args.out = out.abi();
        args.cache = cache.get();
        args.key_rows = map.abi();
        args.key_cos = cos.abi();
        args.key_sin = sin.abi();
        EXPECT_OK(device, device->attention(device.table(), device.run(), &args));
        return out;
    }

    static constexpr int64_t kKeys = 150, kStored = 70;
    Problem p;
    Floats kept, values;
    Ints map;
    Floats cos, sin;

  private:
    int64_t half_;
};

CpuOptions options(Precision mode, ThreadPool* pool = nullptr) {
    CpuOptions made;
    made.mode = mode;
    made.pool = pool;
    return made;
}

TEST(AttentionMerged, EqualsTheKeysWrittenOut) {
    struct Shape {
        int64_t rows, heads, kv_heads, dim, half;
    };
    for_each_isa([](Isa) {
        for (const auto& s : {Shape{1, 8, 2, 64, 32}, Shape{1, 3, 3, 20, 10}, Shape{8, 4, 1, 80, 20},
                              Shape{3, 4, 4, 17, 3}, Shape{2, 6, 2, 128, 64}}) {
            Merged m(s.rows, s.heads, s.kv_heads, s.dim, s.half, static_cast<uint32_t>(s.dim));
            m.p.causal();
            Device exact, rounded(options(Precision::bf16));
            EXPECT_LT(relative_error(m.call(exact, 0, s.rows).values, m.p.expected()), 5e-6) << s.dim;
            EXPECT_LT(relative_error(m.call(rounded, 0, s.rows).values, m.p.expected()), 1e-2) << s.dim;
        }
    });
}

TEST(AttentionMerged, MasksBiasSoftcapAndRowsThatSeeNothing) {
    for_each_isa([](Isa) {
        std::mt19937 random(5);
        for (int round = 0; round < 6; ++round) {
            const int64_t rows = 5, keys = Merged::kKeys;
            Merged m(rows, 4, 2, 24, 12, static_cast<uint32_t>(200 + round));
            Ints begin({rows}), end({rows});
            Bytes mask({rows, keys});
            Floats bias = random_floats({keys}, 8);
            const bool dense = round % 2 == 0;
            for (int64_t r = 0; r < rows; ++r) {
                begin[r] = static_cast<int32_t>(random() % 150) - 5;
                end[r] = r == 3 ? begin[r] : begin[r] + static_cast<int32_t>(random() % 90);
                for (int64_t j = 0; j < keys; ++j) {
                    mask[r * keys + j] = r != 2 && random() % 3 == 0 ? 1 : 0;
                    m.p.visible[static_cast<size_t>(r)][static_cast<size_t>(j)] =
                        dense ? mask[r * keys + j] != 0 : j >= begin[r] && j < end[r];
                }
            }
            m.p.bias = bias.values;
            m.p.args.key_bias = bias.abi();
            m.p.args.logit_softcap = round < 3 ? 0.0f : 3.0f;
            m.p.args.mask_rule = dense ? VLM_MASK_DENSE : VLM_MASK_RANGES;
            m.p.args.key_begin = begin.abi();
            m.p.args.key_end = end.abi();
            m.p.args.mask = mask.abi();
            Device device;
            const Floats out = m.call(device, 0, rows);
            EXPECT_LT(relative_error(out.values, m.p.expected()), 5e-6) << "round " << round;
            const int64_t blind = dense ? 2 : 3;
            for (int64_t i = 0; i < 4 * 24; ++i) ASSERT_EQ(out[blind * 4 * 24 + i], 0.0f) << "round " << round;
        }
    });
}

TEST(AttentionMerged, SameBitsForAnyThreadsAndRowsAtOnce) {
    for (const Precision mode : {Precision::f32, Precision::bf16}) {
        const int64_t rows = 4;
        Merged m(rows, 6, 3, 64, 32, 31);
        m.p.args.mask_rule = VLM_MASK_FULL;
        Device alone(options(mode));
        const Floats all = m.call(alone, 0, rows);
        for (const int threads : {1, 3}) {
            ThreadPool pool(threads);
            Device device(options(mode, &pool));
            EXPECT_EQ(m.call(device, 0, rows).values, all.values) << threads;
            for (int64_t r = 0; r < rows; ++r) {
                const Floats one = m.call(device, r, 1);
                for (int64_t i = 0; i < 6 * 64; ++i) ASSERT_EQ(one[i], all[r * 6 * 64 + i]) << "row " << r;
            }
        }
    }
}

TEST(AttentionMerged, NaNGoesOn) {
    Merged m(1, 2, 1, 16, 8, 41);
    m.p.args.mask_rule = VLM_MASK_FULL;
    m.kept.values[static_cast<size_t>(m.map[3]) * 16] = NAN;
    Device device;
    for (const float x : m.call(device, 0, 1).values) EXPECT_TRUE(std::isnan(x));
}

}  // namespace
}  // namespace vlm::test
