/** @file attention_test.cpp
 *  Attention against a loop in double over every mask rule, with and without cache, virtual keys and by-products.
 */
#include "tests/host/compute/cpu/attention_problem.hpp"

namespace vlm::test {
namespace {

const int64_t kShapes[][6] = {{1, 1, 1, 1, 1, 1},     {1, 70, 4, 2, 16, 16},  {5, 5, 6, 2, 20, 12},
                              {3, 300, 8, 1, 64, 64}, {70, 70, 2, 2, 48, 48}, {130, 130, 3, 1, 33, 40},
                              {9, 200, 4, 4, 80, 80}, {8, 513, 2, 1, 96, 32}};

TEST(Attention, FullAndCausalInEveryInstructionSet) {
    for_each_isa([](Isa) {
        for (const auto& s : kShapes) {
            for (const bool causal : {false, true}) {
                Device device;
                Problem p(s[0], s[1], s[2], s[3], s[4], s[5], 1);
                if (causal) p.causal();
                EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
                EXPECT_LT(relative_error(p.out.values, p.expected()), 3e-6) << s[0] << " rows, " << s[1] << " keys";
            }
        }
    });
}

TEST(Attention, Bf16ModeIsNear) {
    for_each_isa([](Isa) {
        for (const auto& s : kShapes) {
            CpuOptions options;
            options.mode = Precision::bf16;
            Device device(options);
            Problem p(s[0], s[1], s[2], s[3], s[4], s[5], 4);
            p.causal();
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            EXPECT_LT(relative_error(p.out.values, p.expected()), 1.5e-2) << s[0] << " rows, " << s[1] << " keys";
        }
    });
}

TEST(Attention, RangesDenseMasksBiasSoftcapAndEmptyRows) {
    for_each_isa([](Isa) {
        std::mt19937 random(7);
        for (int round = 0; round < 6; ++round) {
            const int64_t rows = round < 3 ? 6 : 90, keys = 150;
            Problem p(rows, keys, 4, 2, 24, 24, static_cast<uint32_t>(100 + round));
            Ints begin({rows}), end({rows});
            Bytes mask({rows, keys});
            Floats bias = random_floats({keys}, 8);
            p.bias = bias.values;
            p.args.key_bias = bias.abi();
            p.args.logit_softcap = round % 2 == 0 ? 0.0f : 3.0f;
            const bool dense = round % 3 == 0;
            for (int64_t r = 0; r < rows; ++r) {
                begin[r] = static_cast<int32_t>(random() % 160) - 5;
                end[r] = begin[r] + static_cast<int32_t>(random() % 100) - 10;
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
            Floats scores({keys}), weights({rows, keys});
            p.args.last_row_scores = scores.abi();
            p.args.weights = weights.abi();
            Device device;
            std::fill(p.out.values.begin(), p.out.values.end(), NAN);
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            EXPECT_LT(relative_error(p.out.values, p.expected()), 5e-6) << "round " << round;
            EXPECT_LT(relative_error(scores.values, p.mean_weights(rows - 1)), 5e-6);
            for (int64_t r = 0; r < rows; ++r) {
                const std::vector<float> row(weights.values.begin() + r * keys,
                                             weights.values.begin() + (r + 1) * keys);
                EXPECT_LT(relative_error(row, p.mean_weights(r), 1e-3), 5e-6);
            }
        }
    });
}

TEST(Attention, CacheEqualsNoCacheWhateverTheSteps) {
    for_each_isa([](Isa) {
        const int64_t keys = 150;
        Device device;
        Problem whole(keys, keys, 4, 2, 16, 16, 9);
        whole.causal();
        EXPECT_OK(device, device->attention(device.table(), device.run(), whole.bind()));
        auto cache = make_cache(device, 2, 2, 16, keys);
        int64_t at = 0;
        for (const int64_t step : {70, 1, 1, 7, 60, 11}) {
            Problem part(step, step, 4, 2, 16, 16, 0);
            std::copy_n(whole.q.values.begin() + at * 64, step * 64, part.q.values.begin());
            std::copy_n(whole.k.values.begin() + at * 32, step * 32, part.k.values.begin());
            std::copy_n(whole.v.values.begin() + at * 32, step * 32, part.v.values.begin());
            part.args.mask_rule = VLM_MASK_CAUSAL;
            part.args.cache = cache.get();
            part.args.layer = 1;
            EXPECT_OK(device, device->attention(device.table(), device.run(), part.bind()));
            const std::vector<float> expected(whole.out.values.begin() + at * 64,
                                              whole.out.values.begin() + (at + step) * 64);
            EXPECT_LT(relative_error(part.out.values, expected), 3e-6) << "at " << at;
            at += step;
        }
        EXPECT_EQ(device->kv_length(device.table(), cache.get(), 1), keys);
        EXPECT_EQ(device->kv_length(device.table(), cache.get(), 0), 0);
        // Nothing is appended when the call is refused.
        Problem more(1, 1, 4, 2, 16, 16, 10);
        more.args.cache = cache.get();
        more.args.layer = 1;
        EXPECT_EQ(device->attention(device.table(), device.run(), more.bind()), VLM_STATUS_RESOURCE_EXHAUSTED);
        EXPECT_EQ(device->kv_length(device.table(), cache.get(), 1), keys);
    });
}

TEST(Attention, VirtualKeysEqualTheExpandedRotatedOnes) {
    for_each_isa([](Isa) {
        for (const int64_t rows : {int64_t{1}, int64_t{40}}) {
            const int64_t stored = 30, keys = 90, half = 6, dim = 16;
            Device device;
            Problem p(rows, keys, 4, 2, dim, dim, 11);
            const Floats kept = random_floats({stored, 2, dim}, 12), values = random_floats({stored, 2, dim}, 13);
            Ints map({keys});
            Floats cos = random_floats({keys, half}, 14), sin = random_floats({keys, half}, 15);
            std::mt19937 random(16);
            for (int64_t j = 0; j < keys; ++j) {
                map[j] = static_cast<int32_t>(random() % stored);
                for (int64_t h = 0; h < 2; ++h)
                    for (int64_t d = 0; d < dim; ++d) {
                        const float* row = kept.values.data() + (map[j] * 2 + h) * dim;
                        double x = row[d];
                        if (d < half) x = row[d] * cos[j * half + d] - row[d + half] * sin[j * half + d];
                        if (d >= half && d < 2 * half)
                            x = row[d] * cos[j * half + d - half] + row[d - half] * sin[j * half + d - half];
                        p.k[(j * 2 + h) * dim + d] = static_cast<float>(x);
                        p.v[(j * 2 + h) * dim + d] = values[(map[j] * 2 + h) * dim + d];
                    }
            }
            p.causal();
            const std::vector<double> expected = p.expected(), scores_expected = p.mean_weights(rows - 1);
            auto cache = make_cache(device, 1, 2, dim, 100);
            p.keys = stored;
            p.k = kept;
            p.v = values;
            p.bind();
            p.args.cache = cache.get();
            p.args.key_rows = map.abi();
            p.args.key_cos = cos.abi();
            p.args.key_sin = sin.abi();
            Floats scores({keys});
            p.args.last_row_scores = scores.abi();
            EXPECT_OK(device, device->attention(device.table(), device.run(), &p.args));
            EXPECT_LT(relative_error(p.out.values, expected), 5e-6);
            EXPECT_LT(relative_error(scores.values, scores_expected), 5e-6);
            EXPECT_EQ(device->kv_length(device.table(), cache.get(), 0), stored);
        }
    });
}

TEST(Attention, VirtualKeysOfManyHeadsGoAFewHeadsAtATime) {
    // Their pages take more than is made at once; head by head they take less.
    const int64_t heads = 16, rows = 12, stored = 200, keys = 640, dim = 64, half = 32;
    Device device;
    const Floats q = random_floats({rows, heads, dim}, 70), k = random_floats({stored, heads, dim}, 71),
                 v = random_floats({stored, heads, dim}, 72);
    Floats cos = random_floats({keys, half}, 73), sin = random_floats({keys, half}, 74);
    Ints map({keys});
    for (int64_t j = 0; j < keys; ++j) map[j] = static_cast<int32_t>(j * 7 % stored);
    const auto attend = [&](int64_t first, int64_t count) {
        const auto part = [&](const Floats& x) {
            Floats y({x.shape[0], count, dim});
            for (int64_t i = 0; i < x.shape[0]; ++i)
                std::copy_n(x.values.begin() + (i * heads + first) * dim, count * dim,
                            y.values.begin() + i * count * dim);
            return y;
        };
        Problem p(rows, stored, count, count, dim, dim, 0);
        p.q = part(q);
        p.k = part(k);
        p.v = part(v);
        auto cache = make_cache(device, 1, static_cast<int32_t>(count), dim, stored);
        p.bind();
        p.args.mask_rule = VLM_MASK_CAUSAL;
        p.args.cache = cache.get();
        p.args.key_rows = map.abi();
        p.args.key_cos = cos.abi();
        p.args.key_sin = sin.abi();
        EXPECT_OK(device, device->attention(device.table(), device.run(), &p.args));
        return p.out;
    };
    const Floats all = attend(0, heads);
    for (const int64_t head : {int64_t{0}, int64_t{5}, heads - 1}) {
        const Floats one = attend(head, 1);
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t d = 0; d < dim; ++d)
                ASSERT_EQ(one[i * dim + d], all[(i * heads + head) * dim + d]) << "head " << head << " row " << i;
    }
}

TEST(Attention, StridedViewsOfAFusedProjection) {
    const int64_t rows = 33, heads = 4, kv = 2, dim = 16, width = (heads + 2 * kv) * dim;
    Device device;
    Floats fused = random_floats({rows, width}, 17), out({rows, heads * dim + 5});
    Problem p(rows, rows, heads, kv, dim, dim, 18);
    for (int64_t r = 0; r < rows; ++r) {
        std::copy_n(fused.values.begin() + r * width, heads * dim, p.q.values.begin() + r * heads * dim);
        std::copy_n(fused.values.begin() + r * width + heads * dim, kv * dim, p.k.values.begin() + r * kv * dim);
        std::copy_n(fused.values.begin() + r * width + (heads + kv) * dim, kv * dim, p.v.values.begin() + r * kv * dim);
    }
    ViewOf<float> q(fused, 0, {rows, heads, dim}, {width, dim, 1}),
        k(fused, heads * dim, {rows, kv, dim}, {width, dim, 1});
    ViewOf<float> v(fused, (heads + kv) * dim, {rows, kv, dim}, {width, dim, 1});
    ViewOf<float> o(out, 0, {rows, heads, dim}, {heads * dim + 5, dim, 1});
    p.args.q = q.abi();
    p.args.k = k.abi();
    p.args.v = v.abi();
    p.args.out = o.abi();
    EXPECT_OK(device, device->attention(device.table(), device.run(), &p.args));
    const std::vector<double> expected = p.expected();
    std::vector<float> found;
    for (int64_t r = 0; r < rows; ++r)
        found.insert(found.end(), &out[r * (heads * dim + 5)], &out[r * (heads * dim + 5)] + heads * dim);
    EXPECT_LT(relative_error(found, expected), 3e-6);
}

TEST(Attention, SameBitsForEveryNumberOfThreads) {
    for (const auto& [rows, keys] : {std::pair<int64_t, int64_t>{1, 900}, {200, 200}}) {
        std::vector<float> first;
        for (const int threads : {1, 2, 3}) {
            ThreadPool pool(threads);
            CpuOptions options;
            options.pool = &pool;
            Device device(options);
            Problem p(rows, keys, 8, 2, 32, 32, 19);
            p.causal();
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            if (first.empty()) first = p.out.values;
            EXPECT_EQ(p.out.values, first);
        }
    }
}

TEST(Attention, ForgottenValuesLeaveNoTrace) {
    Device device;
    auto cache = make_cache(device, 1, 1, 8, 100);
    Problem bad(1, 3, 1, 1, 8, 8, 20);
    std::fill(bad.v.values.begin() + 8, bad.v.values.end(), INFINITY);
    std::fill(bad.k.values.begin() + 8, bad.k.values.end(), NAN);
    bad.args.cache = cache.get();
    EXPECT_OK(device, device->attention(device.table(), device.run(), bad.bind()));
    EXPECT_EQ(device->kv_truncate(device.table(), cache.get(), 0, 1), VLM_STATUS_OK);
    Problem good(1, 1, 1, 1, 8, 8, 21);
    good.args.cache = cache.get();
    EXPECT_OK(device, device->attention(device.table(), device.run(), good.bind()));
    for (const float x : good.out.values) EXPECT_TRUE(std::isfinite(x));
}

TEST(Attention, CountsVisiblePairsOnly) {
    Device device;
    Problem p(10, 10, 2, 1, 8, 4, 22);
    p.causal();
    EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
    EXPECT_EQ(device.compute().statistics().op(Op::attention).flops, 2u * 55 * 2 * (8 + 4));
}

TEST(Attention, RefusesWhatDoesNotFit) {
    Device device;
    const auto status = [&](auto change) {
        Problem p(2, 4, 4, 2, 8, 8, 23);
        p.bind();
        change(p);
        return device->attention(device.table(), device.run(), &p.args);
    };
    EXPECT_EQ(status([](Problem&) {}), VLM_STATUS_OK);
    EXPECT_EQ(status([](Problem& p) { p.args.k = nullptr; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.args.k = p.args.v = nullptr; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.args.mask_rule = 9; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.args.mask_rule = VLM_MASK_DENSE; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.args.mask_rule = VLM_MASK_RANGES; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.q.shape[1] = 3; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.k.shape[2] = 4; }), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(status([](Problem& p) { p.args.struct_size = 8; }), VLM_STATUS_INVALID_ARGUMENT);
    Ints rows({2}, {0, 4});
    EXPECT_EQ(status([&](Problem& p) { p.args.key_rows = rows.abi(); }), VLM_STATUS_OUT_OF_RANGE);
    EXPECT_NE(device.error.find("key_rows[1]"), std::string::npos) << device.error;
}

TEST(Attention, NoRowsAndNoKeys) {
    Device device;
    Problem none(0, 5, 2, 1, 8, 8, 24), alone(3, 0, 2, 1, 8, 8, 25);
    EXPECT_OK(device, device->attention(device.table(), device.run(), none.bind()));
    std::fill(alone.out.values.begin(), alone.out.values.end(), 7.0f);
    EXPECT_OK(device, device->attention(device.table(), device.run(), alone.bind()));
    for (const float x : alone.out.values) EXPECT_EQ(x, 0.0f);
}

}  // namespace
}  // namespace vlm::test
