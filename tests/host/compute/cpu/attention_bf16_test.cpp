/** @file attention_bf16_test.cpp
 *  The bf16 way of attention: masks that cut vectors anywhere, all by-products, infinities, and the same bits whatever
 * the number of threads or of rows that are decoded at once.
 */
#include "tests/host/compute/cpu/attention_problem.hpp"

namespace vlm::test {
namespace {

CpuOptions bf16_options(ThreadPool* pool = nullptr) {
    CpuOptions options;
    options.mode = Precision::bf16;
    options.pool = pool;
    return options;
}

TEST(AttentionBf16, RangesDenseMasksBiasSoftcapAndEmptyRows) {
    for_each_isa([](Isa) {
        std::mt19937 random(7);
        for (int round = 0; round < 8; ++round) {
            const int64_t rows = round % 2 == 0 ? 5 : 70, keys = 300;
            Problem p(rows, keys, 4, 2, 24, 40, static_cast<uint32_t>(100 + round));
            Ints begin({rows}), end({rows});
            Bytes mask({rows, keys});
            Floats bias = random_floats({keys}, 8);
            if (round % 4 >= 2) {
                p.bias = bias.values;
                p.args.key_bias = bias.abi();
            }
            p.args.logit_softcap = round < 4 ? 0.0f : 3.0f;
            const bool dense = round % 3 == 0;
            for (int64_t r = 0; r < rows; ++r) {
                begin[r] = static_cast<int32_t>(random() % 310) - 5;
                end[r] = begin[r] + static_cast<int32_t>(random() % 200) - 10;
                for (int64_t j = 0; j < keys; ++j) {
                    mask[r * keys + j] = r != 2 && random() % 3 == 0 ? 1 : 0;
                    p.visible[static_cast<size_t>(r)][static_cast<size_t>(j)] =
                        dense ? mask[r * keys + j] != 0 : j >= begin[r] && j < end[r];
                }
            }
            p.args.mask_rule = dense ? VLM_MASK_DENSE : VLM_MASK_RANGES;
            p.args.key_begin = begin.abi();
            p.args.key_end = end.abi();
            p.args.mask = mask.abi();
            Floats scores({keys});
            p.args.last_row_scores = scores.abi();
            Device device(bf16_options());
            std::fill(p.out.values.begin(), p.out.values.end(), NAN);
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            EXPECT_LT(relative_error(p.out.values, p.expected()), 1.5e-2) << "round " << round;
            EXPECT_LT(relative_error(scores.values, p.mean_weights(rows - 1)), 1.5e-2);
            for (int64_t r = 0; r < rows; ++r) {
                const auto& row = p.visible[static_cast<size_t>(r)];
                if (std::find(row.begin(), row.end(), true) != row.end()) continue;
                for (int64_t i = 0; i < 4 * 40; ++i) ASSERT_EQ(p.out[r * 4 * 40 + i], 0.0f) << "row " << r;
            }
        }
    });
}

TEST(AttentionBf16, ManyKeysInOneRow) {
    for (const int64_t dim : {int64_t{64}, int64_t{128}}) {
        Device device(bf16_options());
        Problem p(1, 2000, 16, 2, dim, dim, 3);
        EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
        EXPECT_LT(relative_error(p.out.values, p.expected()), 1.5e-2);
    }
}

TEST(AttentionBf16, LargeLogitsNeitherOverflowNorVanish) {
    Device device(bf16_options());
    Problem p(20, 600, 2, 1, 16, 16, 5);
    for (float& x : p.q.values) x = std::round(x * 4) * 8;  // exact in bf16, so that the logits are
    for (float& x : p.k.values) x = std::round(x * 4) / 4;
    p.args.scale = 4.0f;
    EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
    EXPECT_LT(relative_error(p.out.values, p.expected()), 1.5e-2);
}

TEST(AttentionBf16, NanGoesOn) {
    Device device(bf16_options());
    Problem p(1, 3, 1, 1, 8, 8, 6);
    std::fill(p.q.values.begin(), p.q.values.end(), NAN);
    EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
    for (const float x : p.out.values) EXPECT_TRUE(std::isnan(x));
}

TEST(AttentionBf16, SameBitsForEveryNumberOfThreads) {
    for (const auto& [rows, keys] : {std::pair<int64_t, int64_t>{1, 900}, {200, 200}}) {
        std::vector<float> first;
        for (const int threads : {1, 2, 3}) {
            ThreadPool pool(threads);
            Device device(bf16_options(&pool));
            Problem p(rows, keys, 8, 2, 32, 32, 19);
            p.causal();
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            if (first.empty()) first = p.out.values;
            EXPECT_EQ(p.out.values, first);
        }
    }
}

/** What verifies several guessed tokens at once has to see what decoding them one by one would have seen. */
TEST(AttentionBf16, RowsDecodedTogetherEqualRowsDecodedAlone) {
    for_each_isa([](Isa) {
        const int64_t before = 700, rows = 5, heads = 8, kv = 2, dim = 32;
        Problem start(1, before, heads, kv, dim, dim, 20), next(rows, rows, heads, kv, dim, dim, 21);
        const auto decode = [&](int64_t step) {
            Device device(bf16_options());
            auto cache = make_cache(device, 1, kv, dim, before + rows);
            Problem first = start;
            first.bind();
            first.args.cache = cache.get();
            EXPECT_OK(device, device->attention(device.table(), device.run(), &first.args));
            std::vector<float> out;
            for (int64_t at = 0; at < rows; at += step) {
                Problem part(step, step, heads, kv, dim, dim, 0);
                std::copy_n(next.q.values.begin() + at * heads * dim, step * heads * dim, part.q.values.begin());
                std::copy_n(next.k.values.begin() + at * kv * dim, step * kv * dim, part.k.values.begin());
                std::copy_n(next.v.values.begin() + at * kv * dim, step * kv * dim, part.v.values.begin());
                part.args.mask_rule = VLM_MASK_CAUSAL;
                part.args.cache = cache.get();
                EXPECT_OK(device, device->attention(device.table(), device.run(), part.bind()));
                out.insert(out.end(), part.out.values.begin(), part.out.values.end());
            }
            return out;
        };
        EXPECT_EQ(decode(1), decode(rows));
    });
}

}  // namespace
}  // namespace vlm::test
