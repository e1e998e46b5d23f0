/** @file kv_cache_test.cpp
 *  Caches narrower than f32: how far attention may move, that steps, forgetting and virtual keys work on all of them,
 * and that their bytes are counted as they are.
 */
#include "host/base/error.hpp"
#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "tests/host/compute/cpu/attention_problem.hpp"

namespace vlm::test {
namespace {

struct Kind {
    Precision mode;
    KvType type;
    double tolerance;  ///< Largest error relative to the largest output.
};

/** Errors come from the narrowest of: cache, products. */
const Kind kKinds[] = {{Precision::f32, KvType::f32, 5e-6},   {Precision::f32, KvType::f16, 1e-3},
                       {Precision::f32, KvType::bf16, 1e-2},  {Precision::f32, KvType::int8, 2e-2},
                       {Precision::bf16, KvType::f32, 5e-6},  {Precision::bf16, KvType::f16, 1e-3},
                       {Precision::bf16, KvType::bf16, 2e-2}, {Precision::bf16, KvType::int8, 3e-2}};

CpuOptions options_of(const Kind& kind) {
    CpuOptions options;
    options.mode = kind.mode;
    options.kv = kind.type;
    return options;
}

/** Calls `fn(kind)` for every kind on every instruction set. */
template <class Fn>
void for_each_kind(Fn fn) {
    for_each_isa([&](Isa) {
        for (const Kind& kind : kKinds) {
            SCOPED_TRACE(std::string(kind.mode == Precision::f32 ? "f32" : "bf16") + ", cache " +
                         kv_type_name(kind.type));
            fn(kind);
        }
    });
}

TEST(KvCache, EveryTypeIsAsNearAsItsBits) {
    for_each_kind([](const Kind& kind) {
        const int64_t shapes[][6] = {{1, 700, 8, 2, 64, 64}, {70, 70, 4, 4, 33, 40}, {3, 130, 6, 1, 80, 96}};
        for (const auto& s : shapes) {
            Device device(options_of(kind));
            Problem p(s[0], s[1], s[2], s[3], s[4], s[5], 30);
            p.causal();
            auto cache = make_cache(device, 1, static_cast<int32_t>(s[3]), static_cast<int32_t>(s[4]), s[1]);
            Floats scores({s[1]});
            p.bind();
            p.args.cache = cache.get();
            p.args.last_row_scores = scores.abi();
            EXPECT_OK(device, device->attention(device.table(), device.run(), &p.args));
            EXPECT_LT(relative_error(p.out.values, p.expected()), kind.tolerance) << s[1] << " keys";
            EXPECT_LT(relative_error(scores.values, p.mean_weights(s[0] - 1)), 2 * kind.tolerance);
        }
    });
}

TEST(KvCache, StepsAndForgettingLeaveTheSameCache) {
    for_each_kind([](const Kind& kind) {
        const int64_t keys = 150;
        Problem whole(keys, keys, 4, 2, 24, 24, 31);
        const auto last_row = [&](const std::vector<int64_t>& steps, bool forget) {
            Device device(options_of(kind));
            auto cache = make_cache(device, 1, 2, 24, 2 * keys);
            int64_t at = 0;
            std::vector<float> out;
            for (const int64_t step : steps) {
                if (forget) {
                    Problem wrong(1, 75, 4, 2, 24, 24, 32);
                    for (float& x : wrong.v.values) x = INFINITY;
                    wrong.args.cache = cache.get();
                    EXPECT_OK(device, device->attention(device.table(), device.run(), wrong.bind()));
                    EXPECT_EQ(device->kv_truncate(device.table(), cache.get(), 0, at), VLM_STATUS_OK);
                }
                Problem part(step, step, 4, 2, 24, 24, 0);
                std::copy_n(whole.q.values.begin() + at * 96, step * 96, part.q.values.begin());
                std::copy_n(whole.k.values.begin() + at * 48, step * 48, part.k.values.begin());
                std::copy_n(whole.v.values.begin() + at * 48, step * 48, part.v.values.begin());
                part.args.cache = cache.get();
                part.args.mask_rule = VLM_MASK_CAUSAL;
                EXPECT_OK(device, device->attention(device.table(), device.run(), part.bind()));
                at += step;
                out.assign(part.out.values.end() - 96, part.out.values.end());
            }
            return out;
        };
        const auto once = last_row({149, 1}, false);
        EXPECT_EQ(last_row({70, 1, 1, 7, 60, 10, 1}, false), once);
        EXPECT_EQ(last_row({60, 89, 1}, true), once);
    });
}

TEST(KvCache, VirtualKeysInEveryType) {
    // One row and many go different ways, and so do even and odd numbers of frequencies.
    struct Case {
        int64_t rows, half;
    };
    const auto check = [](const Kind& kind, const Case& c) {
        const int64_t stored = 40, keys = 90, half = c.half, dim = 16;
        Device device(options_of(kind));
        Problem p(c.rows, keys, 4, 2, dim, dim, 33);
        const Floats kept = random_floats({stored, 2, dim}, 34), values = random_floats({stored, 2, dim}, 35);
        Ints map({keys});
        Floats cos = random_floats({keys, half}, 36), sin = random_floats({keys, half}, 37);
        for (int64_t j = 0; j < keys; ++j) {
            map[j] = static_cast<int32_t>(j * 7 % stored);
            for (int64_t h = 0; h < 2; ++h)
                for (int64_t d = 0; d < dim; ++d) {
                    const float* row = kept.values.data() + (map[j] * 2 + h) * dim;
                    float x = row[d];
                    if (d < half) x = row[d] * cos[j * half + d] - row[d + half] * sin[j * half + d];
                    if (d >= half && d < 2 * half)
                        x = row[d] * cos[j * half + d - half] + row[d - half] * sin[j * half + d - half];
                    p.k[(j * 2 + h) * dim + d] = x;
                    p.v[(j * 2 + h) * dim + d] = values[(map[j] * 2 + h) * dim + d];
                }
        }
        const std::vector<double> expected = p.expected();
        auto cache = make_cache(device, 1, 2, dim, 100);
        p.keys = stored;
        p.k = kept;
        p.v = values;
        p.bind();
        p.args.cache = cache.get();
        p.args.key_rows = map.abi();
        p.args.key_cos = cos.abi();
        p.args.key_sin = sin.abi();
        EXPECT_OK(device, device->attention(device.table(), device.run(), &p.args));
        EXPECT_LT(relative_error(p.out.values, expected), 2 * kind.tolerance) << c.rows << " rows, " << half;
    };
    for_each_kind([&](const Kind& kind) {
        for (const Case& c : {Case{3, 5}, Case{3, 6}, Case{40, 5}, Case{40, 6}}) check(kind, c);
    });
}

TEST(KvCache, BytesAreCountedAsTheyAre) {
    const std::pair<KvType, int64_t> kinds[] = {
        {KvType::f32, 2 * 24 * 4}, {KvType::bf16, 2 * 24 * 2}, {KvType::f16, 2 * 24 * 2}, {KvType::int8, 2 * 24 + 8}};
    for (const auto& [type, bytes] : kinds) {
        CpuOptions options;
        options.kv = type;
        Device device(options);
        auto cache = make_cache(device, 5, 3, 24, 100);
        Problem p(7, 7, 3, 3, 24, 24, 38);
        p.args.cache = cache.get();
        p.args.layer = 4;
        EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
        EXPECT_EQ(device->kv_bytes(device.table(), cache.get()), 7 * 3 * bytes) << kv_type_name(type);
        vlm_kv_spec spec{sizeof(spec), VLM_ABI_VERSION, 5, 3, 24, 0, 0};
        EXPECT_EQ(device->kv_token_bytes(device.table(), &spec), 5 * 3 * bytes);
        spec.kv_heads = 0;
        EXPECT_EQ(device->kv_token_bytes(device.table(), &spec), -1);
    }
}

TEST(KvCache, TypeFollowsTheModeUnlessItIsSaid) {
    EXPECT_NE(CpuCompute().description().find("f32 cache"), std::string::npos);
    EXPECT_NE(open_cpu_device({.dtype = "bf16"})->description().find("bf16 cache"), std::string::npos);
    EXPECT_NE(open_cpu_device({.dtype = "f32", .kv = "int8"})->description().find("int8 cache"), std::string::npos);
    try {
        open_cpu_device({.kv = "int7"});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_NE(std::string(error.what()).find("f16"), std::string::npos) << error.what();
    }
}

TEST(KvCache, RowsOfInt8) {
    for_each_isa([](Isa) {
        const auto& table = cpu::kernels();
        for (const int64_t n : {1, 5, 16, 37, 128}) {
            const Floats x = random_floats({n}, 39);
            std::vector<int8_t> y(static_cast<size_t>(n) + 1, 99);
            const float scale = table.to_int8(x.values.data(), y.data(), n);
            EXPECT_EQ(y.back(), 99);
            for (int64_t i = 0; i < n; ++i)
                EXPECT_LE(std::abs(scale * static_cast<float>(y[static_cast<size_t>(i)]) - x[i]), scale * 0.5001f);
        }
        std::vector<float> special(20, 0.0f);
        std::vector<int8_t> y(20, 99);
        EXPECT_EQ(table.to_int8(special.data(), y.data(), 20), 0.0f);
        EXPECT_EQ(y, std::vector<int8_t>(20, 0));
        special[17] = 1e-40f;
        EXPECT_EQ(table.to_int8(special.data(), y.data(), 20), 0.0f);
        special[3] = NAN;
        EXPECT_TRUE(std::isnan(table.to_int8(special.data(), y.data(), 20)));
        special[3] = INFINITY;
        EXPECT_TRUE(std::isnan(table.to_int8(special.data(), y.data(), 20)));
    });
}

TEST(KvCache, WideningIsExact) {
    for_each_isa([](Isa) {
        const auto& table = cpu::kernels();
        std::vector<int8_t> whole(256);
        std::vector<uint16_t> halves(256), wide(256);
        std::vector<float> floats(256);
        for (size_t i = 0; i < 256; ++i) {
            whole[i] = static_cast<int8_t>(static_cast<int>(i) - 128);
            halves[i] = static_cast<uint16_t>(i * 97);
        }
        table.int8_to_bf16(whole.data(), wide.data(), 256, whole.data());
        table.f16_to_f32(halves.data(), floats.data(), 256, halves.data());
        for (size_t i = 0; i < 256; ++i) {
            EXPECT_EQ(cpu::bf16_to_float(wide[i]), static_cast<float>(whole[i]));
            EXPECT_EQ(floats[i], cpu::f16_to_float(halves[i]));
        }
    });
}

}  // namespace
}  // namespace vlm::test
