/** @file linear_quant_test.cpp
 *  Layers with quantised and half precision weights through the whole table: how near they stay, that neither rows nor
 * threads nor instruction sets change a bit, which layer gets how many bits, and what happens to the source.
 */
#include <mutex>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/quant.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

CpuOptions options_for(WeightType weights, Precision mode = Precision::bf16) {
    CpuOptions options;
    options.weights = weights;
    options.mode = mode;
    return options;
}

std::vector<double> product(const Floats& x, const Floats& w) {
    const int64_t in = w.shape[1], out = w.shape[0], rows = x.size() / in;
    std::vector<double> y(static_cast<size_t>(rows * out), 0.0);
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t o = 0; o < out; ++o)
            for (int64_t i = 0; i < in; ++i)
                y[static_cast<size_t>(r * out + o)] += static_cast<double>(x[r * in + i]) * w[o * in + i];
    return y;
}

Floats multiply(Device& device, const std::shared_ptr<vlm_linear>& layer, Floats& x, int64_t out,
                const vlm_epilogue* epilogue = nullptr) {
    Floats y({x.size() / x.shape.back(), out});
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), epilogue, y.abi()));
    return y;
}

struct Shape {
    int64_t rows, in, out;
};
const Shape kShapes[] = {{1, 64, 32},  {1, 1, 1},     {3, 37, 5},     {2, 300, 70},  {7, 64, 96},   {17, 513, 33},
                         {33, 96, 66}, {40, 40, 130}, {130, 600, 31}, {225, 33, 34}, {700, 200, 70}};

TEST(LinearQuant, StaysNearTheExactProduct) {
    for (const auto& [rows, in, out] : kShapes) {
        Floats x = random_floats({rows, in}, 1), w = random_floats({out, in}, 2);
        const auto expected = product(x, w);
        const std::tuple<WeightType, Precision, double> cases[] = {{WeightType::int8, Precision::bf16, 0.015},
                                                                   {WeightType::int8, Precision::f32, 0.01},
                                                                   {WeightType::int4, Precision::bf16, 0.15},
                                                                   {WeightType::int4, Precision::f32, 0.15}};
        for (const auto& [type, mode, bound] : cases) {
            Device device(options_for(type, mode));
            const Floats y = multiply(device, device.pack({w.abi()}, {}), x, out);
            EXPECT_LT(relative_error(y.values, expected), bound)
                << weight_type_name(type) << " " << rows << " " << in << " " << out;
        }
    }
}

/** Few rows are the same everywhere; many are where wide groups are multiplied, and where they are not. */
TEST(LinearQuant, SameBitsForEveryInstructionSetNumberOfThreadsAndOfRows) {
    const int64_t rows = cpu::kWideMinRows + 70, in = 333, out = 200;
    Floats x = random_floats({rows, in}, 3), w = random_floats({out, in}, 4);
    const auto is_end_of = [&](const Floats& end, const std::vector<float>& whole) {
        return std::equal(end.values.begin(), end.values.end(), whole.end() - end.size());
    };
    for (const WeightType type : {WeightType::int8, WeightType::int4}) {
        std::vector<float> few, many[2];
        for_each_isa([&](Isa) {
            const bool wide = cpu::quant_kernels().gemm_wide != nullptr;
            for (const int threads : {1, 2, 3}) {
                ThreadPool pool(threads);
                CpuOptions options = options_for(type);
                options.pool = &pool;
                Device device(options);
                const auto layer = device.pack({w.abi()}, {});
                const auto last_rows = [&](int64_t count) {
                    Floats last({count, in}, {x.values.end() - count * in, x.values.end()});
                    return multiply(device, layer, last, out);
                };
                const Floats most_few = last_rows(cpu::kWideMinRows - 1), y = last_rows(rows);
                if (few.empty()) few = most_few.values;
                if (many[wide].empty()) many[wide] = y.values;
                ASSERT_EQ(most_few.values, few) << threads;
                ASSERT_EQ(y.values, many[wide]) << threads;
                ASSERT_NE(is_end_of(most_few, many[wide]), wide);
                for (const int64_t part : {1, 2, 5, 16, 17, 33}) ASSERT_TRUE(is_end_of(last_rows(part), few)) << part;
                for (const int64_t part : {cpu::kWideMinRows, cpu::kWideMinRows + 1, rows - 1})
                    ASSERT_TRUE(is_end_of(last_rows(part), many[wide])) << part;
            }
        });
    }
}

TEST(LinearQuant, ExactActivationsMeetTheWeightsThatAreStored) {
    // The columns of the product with the identity are the stored weights themselves.
    const int64_t in = 100, out = 45, rows = 6;
    for (const WeightType type : {WeightType::int8, WeightType::int4}) {
        for_each_isa([&](Isa) {
            Device device(options_for(type, Precision::f32));
            Floats w = random_floats({out, in}, 5), x = random_floats({rows, in}, 6), identity({in, in}),
                   stored({out, in});
            for (int64_t i = 0; i < in; ++i) identity[i * in + i] = 1.0f;
            const auto layer = device.pack({w.abi()}, {});
            const Floats columns = multiply(device, layer, identity, out);
            for (int64_t o = 0; o < out; ++o)
                for (int64_t i = 0; i < in; ++i) stored[o * in + i] = columns[i * out + o];
            EXPECT_GT(relative_error(stored.values, w.values), 1e-3);
            EXPECT_LT(relative_error(multiply(device, layer, x, out).values, product(x, stored)), 2e-6);
        });
    }
}

TEST(LinearQuant, HalfPrecisionWeightsAreExact) {
    for (const auto& [rows, in, out] : kShapes)
        for (const Precision mode : {Precision::f32, Precision::bf16})
            for_each_isa([&, rows = rows, in = in, out = out](Isa) {
                Floats x = random_floats({rows, in}, 7), w = random_floats({out, in}, 8);
                for (float& v : w.values) v = cpu::f16_to_float(cpu::float_to_f16(v));
                Device device(options_for(WeightType::f16, mode));
                EXPECT_LT(relative_error(multiply(device, device.pack({w.abi()}, {}), x, out).values, product(x, w)),
                          2e-6);
            });
}

TEST(LinearQuant, SourcesOfAnyFloatTypeGiveTheSameCodes) {
    const int64_t in = 70, out = 40;
    Floats w = random_floats({out, in}, 9), x = random_floats({3, in}, 10), transposed({in, out});
    for (float& v : w.values) v = cpu::bf16_to_float(cpu::float_to_bf16(v));
    Array<uint16_t> bf16({out, in}), f16({out, in});
    Array<double> f64({out, in});
    for (int64_t i = 0; i < w.size(); ++i) {
        bf16[i] = cpu::float_to_bf16(w[i]);
        f16[i] = cpu::float_to_f16(w[i]);
        f64[i] = w[i];
        transposed[i % in * out + i / in] = w[i];
    }
    for (const WeightType type : {WeightType::int8, WeightType::int4}) {
        Device device(options_for(type));
        const Floats expected = multiply(device, device.pack({w.abi()}, {}), x, out);
        vlm_tensor* half = f16.abi();
        half->view.dtype = {VLM_TYPE_FLOAT, 16, 1};
        EXPECT_EQ(multiply(device, device.pack({bf16.abi()}, {}), x, out).values, expected.values);
        EXPECT_LT(relative_error(multiply(device, device.pack({half}, {}), x, out).values, expected.values), 0.02);
        EXPECT_EQ(multiply(device, device.pack({f64.abi()}, {}), x, out).values, expected.values);
        EXPECT_EQ(multiply(device, device.pack({transposed.abi()}, {}, VLM_LINEAR_TRANSPOSED), x, out).values,
                  expected.values);
    }
}

TEST(LinearQuant, PartsBiasesGatesAndResiduals) {
    const int64_t in = 70, half = 101;  // four panels, the last of them with five outputs
    for (const auto& [type, rows] : {std::pair{WeightType::int8, int64_t{5}},
                                     {WeightType::int4, 5},
                                     {WeightType::int8, 150},
                                     {WeightType::int4, 150}}) {
        Device device(options_for(type));
        Floats gate = random_floats({half, in}, 11), up = random_floats({half, in}, 12),
               x = random_floats({rows, in}, 13);
        Floats gate_bias = random_floats({half}, 14), up_bias = random_floats({half}, 15);
        Floats residual = random_floats({rows, half}, 16);
        const Floats a = multiply(device, device.pack({gate.abi()}, {gate_bias.abi()}), x, half);
        const Floats b = multiply(device, device.pack({up.abi()}, {up_bias.abi()}), x, half);
        const auto both = device.pack({gate.abi(), up.abi()}, {gate_bias.abi(), up_bias.abi()});
        vlm_epilogue epilogue{};
        epilogue.struct_size = sizeof(epilogue);
        epilogue.abi_version = VLM_ABI_VERSION;
        epilogue.activation = VLM_ACT_SILU;
        epilogue.gated = 1;
        epilogue.residual = residual.abi();
        const Floats y = multiply(device, both, x, half, &epilogue);
        std::vector<double> expected;
        for (int64_t i = 0; i < rows * half; ++i)
            expected.push_back(residual[i] + a[i] / (1 + std::exp(-static_cast<double>(a[i]))) * b[i]);
        EXPECT_LT(relative_error(y.values, expected), 3e-6);
    }
}

TEST(LinearQuant, AWeightThatIsNoNumberIsNamed) {
    for (const WeightType type : {WeightType::int8, WeightType::int4}) {
        Device device(options_for(type));
        Floats a = random_floats({40, 50}, 17), b = random_floats({3, 50}, 18);
        b[2 * 50 + 49] = NAN;
        const vlm_tensor* weights[] = {a.abi(), b.abi()};
        vlm_linear_spec spec{};
        spec.struct_size = sizeof(spec);
        spec.abi_version = VLM_ABI_VERSION;
        spec.part_count = 2;
        spec.weights = weights;
        spec.name = "layers.3.up";
        vlm_linear* layer = nullptr;
        EXPECT_EQ(device->linear_pack(device.table(), &spec, &layer), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_EQ(layer, nullptr);
        for (const char* part : {"layers.3.up", "from input 49 to output 42", "nan", weight_type_name(type)})
            EXPECT_NE(CpuCompute::load_error().find(part), std::string::npos) << CpuCompute::load_error();
    }
}

TEST(LinearQuant, RulesStagesAndFlagsDecideTheType) {
    Floats w = random_floats({40, 50}, 19);
    CpuOptions options = options_for(WeightType::int4);
    options.rules = {{"backbone/*down", "bf16"}, {"*tower*", "f32"}};
    Device device(options);
    std::vector<std::shared_ptr<vlm_linear>> layers;
    const auto pack = [&](const char* stage, const char* name, uint32_t flags) {
        device.compute().begin_stage({stage, {}});
        layers.push_back(device.pack({w.abi()}, {}, flags, name));
        return device.compute().packed_layers().back();
    };
    const PackedLayer up = pack("backbone", "layers.0.up", 0);
    EXPECT_EQ(up.name, "backbone/layers.0.up");
    EXPECT_EQ(up.type, "int4");
    EXPECT_EQ(up.weights, 2000);
    EXPECT_EQ(pack("backbone", "layers.0.down", 0).type, "bf16");
    EXPECT_EQ(pack("backbone", "lm_head", VLM_LINEAR_KEEP_PRECISION).type, "int8");
    EXPECT_EQ(pack("vision_encoder", "layers.0.qkv", 0).type, "int8");
    EXPECT_EQ(pack("vision_encoder", "tower.qkv", 0).type, "f32");
}

TEST(LinearQuant, GivesTheSourceBack) {
    const int64_t in = 256, outputs[] = {100, 60};
    Floats a = random_floats({outputs[0], in}, 20), b = random_floats({outputs[1], in}, 21);
    for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::int8, WeightType::int4}) {
        Device device(options_for(type));
        std::mutex mutex;
        uint64_t released = 0;
        bool inside = true;
        device.compute().begin_stage({"backbone", [&](const void* begin, uint64_t bytes) {
                                          const std::lock_guard lock(mutex);
                                          const auto* p = static_cast<const float*>(begin);
                                          released += bytes;
                                          for (const Floats* part : {&a, &b}) {
                                              const float* first = part->values.data();
                                              if (p >= first && p < first + part->size())
                                                  inside &= p + bytes / 4 <= first + part->size();
                                          }
                                      }});
        device.pack({a.abi(), b.abi()}, {});
        EXPECT_TRUE(inside);
        EXPECT_EQ(released, static_cast<uint64_t>((outputs[0] + outputs[1]) * in * 4)) << weight_type_name(type);
    }
}

}  // namespace
}  // namespace vlm::test
