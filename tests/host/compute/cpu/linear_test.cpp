/** @file linear_test.cpp
 *  Linear layers against a loop in double: parts, halves, epilogues, dtypes, strides, every instruction set, any number
 * of threads.
 */
#include "host/compute/cpu/convert.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

double act(uint32_t kind, double x) {
    switch (kind) {
        case VLM_ACT_RELU:
            return x > 0 ? x : 0;
        case VLM_ACT_GELU:
            return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
        case VLM_ACT_GELU_TANH:
            return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        case VLM_ACT_QUICK_GELU:
            return x / (1 + std::exp(-1.702 * x));
        case VLM_ACT_SILU:
            return x / (1 + std::exp(-x));
        case VLM_ACT_RELU2:
            return x > 0 ? x * x : 0;
        case VLM_ACT_TANH:
            return std::tanh(x);
        case VLM_ACT_SIGMOID:
            return 1 / (1 + std::exp(-x));
        default:
            return x;
    }
}

std::vector<double> product(const Floats& x, const Floats& w, const Floats* bias) {
    const int64_t in = w.shape[1], out = w.shape[0], rows = x.size() / in;
    std::vector<double> y(static_cast<size_t>(rows * out));
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t o = 0; o < out; ++o) {
            double sum = bias != nullptr ? (*bias)[o] : 0.0;
            for (int64_t i = 0; i < in; ++i) sum += static_cast<double>(x[r * in + i]) * w[o * in + i];
            y[static_cast<size_t>(r * out + o)] = sum;
        }
    return y;
}

vlm_epilogue make_epilogue(uint32_t activation, bool gated = false) {
    vlm_epilogue e{};
    e.struct_size = sizeof(e);
    e.abi_version = VLM_ABI_VERSION;
    e.activation = activation;
    e.gated = gated ? 1 : 0;
    return e;
}

struct Shape {
    int64_t rows, in, out;
};
const Shape kShapes[] = {{1, 64, 32},  {1, 1, 1},      {3, 37, 5},     {2, 300, 70},  {14, 64, 96}, {17, 513, 33},
                         {40, 96, 66}, {113, 40, 130}, {130, 600, 31}, {16, 256, 64}, {225, 33, 34}};

TEST(Linear, EqualsALoopInEveryInstructionSet) {
    for_each_isa([](Isa) {
        for (const auto& [rows, in, out] : kShapes) {
            Device device;
            Floats x = random_floats({rows, in}, 1), w = random_floats({out, in}, 2), b = random_floats({out}, 3);
            Floats y({rows, out});
            const auto layer = device.pack({w.abi()}, {b.abi()});
            EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
            EXPECT_LT(relative_error(y.values, product(x, w, &b)), 2e-6) << rows << " " << in << " " << out;
        }
    });
}

TEST(Linear, Bf16WeightsStayNearAndExactProductsInF32Mode) {
    for_each_isa([](Isa) {
        for (const auto& [rows, in, out] : kShapes) {
            Floats x = random_floats({rows, in}, 4), w = random_floats({out, in}, 5);
            for (float& v : w.values) v = cpu::bf16_to_float(cpu::float_to_bf16(v));
            const std::vector<double> expected = product(x, w, nullptr);
            for (const Precision mode : {Precision::f32, Precision::bf16}) {
                CpuOptions options;
                options.mode = mode;
                options.weights = WeightType::bf16;
                Device device(options);
                Floats y({rows, out});
                const auto layer = device.pack({w.abi()}, {});
                EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
                EXPECT_LT(relative_error(y.values, expected), mode == Precision::f32 ? 2e-6 : 8e-3)
                    << rows << " " << in << " " << out;
            }
        }
    });
}

TEST(Linear, AllEpilogues) {
    for_each_isa([](Isa) {
        const int64_t rows = 19, in = 45, half = 37;
        Floats x = random_floats({rows, in}, 6), w = random_floats({2 * half, in}, 7, 0.3f);
        Floats b = random_floats({2 * half}, 8);
        const std::vector<double> sums = product(x, w, &b);
        Device device;
        const auto layer = device.pack({w.abi()}, {b.abi()});
        for (uint32_t kind = VLM_ACT_NONE; kind <= VLM_ACT_SIGMOID; ++kind) {
            for (const bool gated : {false, true}) {
                const int64_t out = gated ? half : 2 * half;
                for (const int scale_size : {0, 1, static_cast<int>(out)}) {
                    for (const bool with_residual : {false, true}) {
                        Floats residual = random_floats({rows, out}, 9), y = residual;
                        Floats scale = random_floats({std::max(1, scale_size)}, 10);
                        vlm_epilogue e = make_epilogue(kind, gated);
                        if (scale_size > 0) e.scale = scale.abi();
                        if (with_residual) e.residual = y.abi();  // in place
                        vlm_tensor* target = y.abi();
                        EXPECT_OK(device,
                                  device->linear(device.table(), device.run(), layer.get(), x.abi(), &e, target));
                        std::vector<double> expected(static_cast<size_t>(rows * out));
                        for (int64_t r = 0; r < rows; ++r)
                            for (int64_t o = 0; o < out; ++o) {
                                double v = act(kind, sums[static_cast<size_t>(r * 2 * half + o)]);
                                if (gated) v *= sums[static_cast<size_t>(r * 2 * half + half + o)];
                                if (scale_size > 0) v *= scale[scale_size == 1 ? 0 : o];
                                if (with_residual) v += residual[r * out + o];
                                expected[static_cast<size_t>(r * out + o)] = v;
                            }
                        ASSERT_LT(relative_error(y.values, expected), 3e-6)
                            << "activation " << kind << " gated " << gated << " scale " << scale_size;
                    }
                }
            }
        }
    });
}

TEST(Linear, PartsOfAnySizeAreStackedAndGated) {
    const int64_t rows = 5, in = 70;
    for (const auto& sizes : {std::vector<int64_t>{40, 40}, {64, 8, 8}, {3, 50, 7}, {1, 1}, {31, 33}}) {
        Device device;
        int64_t total = 0;
        for (const int64_t s : sizes) total += s;
        Floats x = random_floats({rows, in}, 11), all({total, in}), biases({total});
        std::vector<Floats> weights, bias;
        int64_t at = 0;
        for (const int64_t s : sizes) {
            weights.push_back(random_floats({s, in}, static_cast<uint32_t>(20 + at)));
            bias.push_back(random_floats({s}, static_cast<uint32_t>(60 + at)));
            std::copy(weights.back().values.begin(), weights.back().values.end(), all.values.begin() + at * in);
            if (at > 0) std::copy(bias.back().values.begin(), bias.back().values.end(), biases.values.begin() + at);
            at += s;
        }
        std::vector<const vlm_tensor*> w, b;
        for (auto& part : weights) w.push_back(part.abi());
        for (auto& part : bias) b.push_back(part.abi());
        b[0] = nullptr;  // one part without bias
        const auto layer = device.pack(w, b);
        const std::vector<double> sums = product(x, all, &biases);
        Floats y({rows, total});
        EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
        EXPECT_LT(relative_error(y.values, sums), 2e-6);
        if (total % 2 != 0) continue;
        Floats gated({rows, total / 2});
        const vlm_epilogue e = make_epilogue(VLM_ACT_SILU, true);
        EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), &e, gated.abi()));
        std::vector<double> expected;
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t o = 0; o < total / 2; ++o)
                expected.push_back(act(VLM_ACT_SILU, sums[static_cast<size_t>(r * total + o)]) *
                                   sums[static_cast<size_t>(r * total + total / 2 + o)]);
        EXPECT_LT(relative_error(gated.values, expected), 2e-6);
    }
}

TEST(Linear, TransposedStridedFlattenedAndHalfPrecisionWeights) {
    const int64_t rows = 4, in = 75, out = 38;
    Device device;
    Floats x = random_floats({rows, in}, 12), w = random_floats({out, in}, 13);
    for (float& v : w.values) v = cpu::bf16_to_float(cpu::float_to_bf16(v));
    const std::vector<double> expected = product(x, w, nullptr);
    const auto check = [&](vlm_tensor* weight, uint32_t flags, const char* what) {
        const auto layer = device.pack({weight}, {}, flags);
        Floats y({rows, out});
        EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
        EXPECT_LT(relative_error(y.values, expected), 2e-6) << what;
    };
    Floats transposed({in, out});
    for (int64_t o = 0; o < out; ++o)
        for (int64_t i = 0; i < in; ++i) transposed[i * out + o] = w[o * in + i];
    check(transposed.abi(), VLM_LINEAR_TRANSPOSED, "transposed");
    check(ViewOf<float>(transposed, 0, {out, in}, {1, out}).abi(), 0, "strided view of the transposed");
    Floats convolution = w;
    convolution.shape = {out, 3, 5, 5};
    check(convolution.abi(), 0, "convolution");
    Array<uint16_t> narrow({out, in});
    Array<double> wide({out, in});
    Array<uint16_t> half({out, in});
    for (int64_t i = 0; i < w.size(); ++i) {
        narrow[i] = cpu::float_to_bf16(w[i]);
        half[i] = cpu::float_to_f16(w[i]);
        wide[i] = w[i];
    }
    check(narrow.abi(), 0, "bf16");
    check(wide.abi(), 0, "f64");
    vlm_tensor* f16 = half.abi();
    f16->view.dtype = {VLM_TYPE_FLOAT, 16, 1};
    check(f16, 0, "f16");
}

TEST(Linear, StridedRowsAndLeadingDimensions) {
    const int64_t in = 20, out = 36;
    Device device;
    Floats wide = random_floats({6, 50}, 14), w = random_floats({out, in}, 15), y({2, 3, out});
    Floats x({6, in});
    for (int64_t r = 0; r < 6; ++r)
        for (int64_t i = 0; i < in; ++i) x[r * in + i] = wide[r * 50 + 7 + i];
    const auto layer = device.pack({w.abi()}, {});
    ViewOf<float> view(wide, 7, {2, 3, in}, {150, 50, 1});
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), view.abi(), nullptr, y.abi()));
    EXPECT_LT(relative_error(y.values, product(x, w, nullptr)), 2e-6);
    // Rows that no single stride describes are copied first.
    ViewOf<float> scattered(wide, 0, {2, 2, in}, {200, 50, 1});
    Floats z({4, out}), picked({4, in});
    const int64_t rows[] = {0, 1, 4, 5};
    for (int64_t r = 0; r < 4; ++r)
        for (int64_t i = 0; i < in; ++i) picked[r * in + i] = wide[rows[r] * 50 + i];
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), scattered.abi(), nullptr, z.abi()));
    EXPECT_LT(relative_error(z.values, product(picked, w, nullptr)), 2e-6);
}

TEST(Linear, SameBitsForEveryNumberOfThreadsAndOfRows) {
    for (const Precision mode : {Precision::f32, Precision::bf16}) {
        const int64_t rows = 230, in = 700, out = 330;
        Floats x = random_floats({rows, in}, 16), w = random_floats({out, in}, 17);
        std::vector<float> first;
        for (const int threads : {1, 2, 3}) {
            ThreadPool pool(threads);
            CpuOptions options;
            options.mode = mode;
            options.weights = mode == Precision::f32 ? WeightType::f32 : WeightType::bf16;
            options.pool = &pool;
            Device device(options);
            const auto layer = device.pack({w.abi()}, {});
            Floats y({rows, out});
            EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
            if (first.empty()) first = y.values;
            EXPECT_EQ(y.values, first) << threads;
            if (active_isa() >= Isa::amx && mode == Precision::bf16) continue;  // few rows take another unit there
            Floats last({1, in}, {x.values.end() - in, x.values.end()}), z({1, out});
            EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), last.abi(), nullptr, z.abi()));
            EXPECT_TRUE(std::equal(z.values.begin(), z.values.end(), first.end() - out));
        }
    }
}

TEST(Linear, NoRowsIsNoWork) {
    Device device;
    Floats x({0, 8}), w = random_floats({4, 8}, 18), y({0, 4});
    const auto layer = device.pack({w.abi()}, {});
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
}

TEST(Linear, RefusesWhatDoesNotFit) {
    Device device;
    Floats x = random_floats({3, 8}, 19), w = random_floats({5, 8}, 20), y({3, 5}), wrong({3, 6});
    const auto layer = device.pack({w.abi()}, {});
    const auto call = [&](vlm_tensor* in, const vlm_epilogue* e, vlm_tensor* out) {
        return device->linear(device.table(), device.run(), layer.get(), in, e, out);
    };
    EXPECT_EQ(call(x.abi(), nullptr, wrong.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(device.error.find("linear: "), std::string::npos) << device.error;
    EXPECT_NE(device.error.find("[3, 8]"), std::string::npos) << device.error;
    EXPECT_NE(device.error.find("[3, 6]"), std::string::npos) << device.error;
    const vlm_epilogue gated = make_epilogue(VLM_ACT_SILU, true), unknown = make_epilogue(99);
    EXPECT_EQ(call(x.abi(), &gated, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(call(x.abi(), &unknown, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(call(nullptr, nullptr, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    Ints integers({3, 8});
    EXPECT_EQ(call(integers.abi(), nullptr, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(device->linear(device.table(), device.run(), nullptr, x.abi(), nullptr, y.abi()),
              VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Linear, RefusesToPackWhatIsNoLayer) {
    Device device;
    Floats a = random_floats({4, 8}, 21), b = random_floats({4, 9}, 22), vector({8}), bias({3});
    const auto pack = [&](std::vector<const vlm_tensor*> weights, std::vector<const vlm_tensor*> biases) {
        vlm_linear_spec spec{};
        spec.struct_size = sizeof(spec);
        spec.abi_version = VLM_ABI_VERSION;
        spec.part_count = static_cast<uint32_t>(weights.size());
        spec.weights = weights.data();
        spec.biases = biases.empty() ? nullptr : biases.data();
        vlm_linear* layer = nullptr;
        const vlm_status status = device->linear_pack(device.table(), &spec, &layer);
        EXPECT_EQ(layer, nullptr);
        return status;
    };
    EXPECT_EQ(pack({a.abi(), b.abi()}, {}), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(pack({vector.abi()}, {}), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(pack({a.abi()}, {bias.abi()}), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(pack({nullptr}, {}), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(pack({}, {}), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(CpuCompute::load_error().find("linear_pack"), std::string::npos);
}

TEST(Linear, CountsFlopsAndPackedBytes) {
    Device device;
    Floats x = random_floats({3, 10}, 23), w = random_floats({6, 10}, 24), y({3, 6});
    auto layer = device.pack({w.abi()}, {});
    EXPECT_GE(device.compute().statistics().packed_bytes, 6 * 10 * 4);
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
    EXPECT_EQ(device.compute().statistics().op(Op::linear).flops, 2u * 3 * 10 * 6);
    layer.reset();
    EXPECT_EQ(device.compute().statistics().packed_bytes, 0);
}

}  // namespace
}  // namespace vlm::test
