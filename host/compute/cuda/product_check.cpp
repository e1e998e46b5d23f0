/** @file product_check.cpp
 *  See check_products in self_check.hpp. The problem has sizes and strides that are no multiples of each other, so that
 * an exchanged pair of them cannot go unnoticed.
 */
#include <algorithm>
#include <cmath>
#include <optional>

#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/fp8_products.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/self_check.hpp"

namespace vlm::cuda {

namespace {

/** What rounding explains of the largest number, and what the 10 bits of TF32 do not. */
constexpr float kHalfTolerance = 0.01f, kFloatTolerance = 1e-3f, kExactTolerance = 3e-5f;
/** The same for weights that come back from 8 and 4 bits. */
constexpr float kTolerance8 = 0.02f, kTolerance4 = 0.12f;
/** The same for e4m3, where the largest numbers, up to 448, are 32 apart: half of that is 0.036. */
constexpr float kToleranceE4m3 = 0.04f;
constexpr int64_t kRows = 72, kFewest = 8, kIn = 256, kOut = 104, kInStride = 264, kOutStride = 120;

/** Rows of `columns` numbers at distance `stride` as the device stores them, zeros between. */
std::vector<float> spread(const std::vector<float>& numbers, int64_t columns, int64_t stride) {
    const int64_t rows = static_cast<int64_t>(numbers.size()) / columns;
    std::vector<float> result(static_cast<size_t>(rows * stride), 0.0f);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(numbers.begin() + r * columns, columns, result.begin() + r * stride);
    return result;
}

/** One problem and its ways. */
class Products {
  public:
    explicit Products(State& state)
        : state_(state),
          queue_(state.queue(nullptr)),
          dtype_(state.options.activation_dtype),
          inputs_(rounded(check_numbers(kRows * kIn, 1))),
          weights_(rounded(check_numbers(kOut * kIn, 2))),
          bias_(rounded(check_numbers(kOut, 3))),
          residual_(rounded(check_numbers(kRows * kOut, 4))),
          x_(state, queue_, kRows * kInStride * 4),
          w_(state, queue_, kOut * kIn * 4),
          b_(state, queue_, kOut * 4),
          r_(state, queue_, kRows * kOutStride * 4),
          y_(state, queue_, kRows * kOutStride * 4) {
        put_numbers(state_, queue_, spread(inputs_, kIn, kInStride), dtype_, x_.as<void>());
        put_numbers(state_, queue_, weights_, dtype_, w_.as<void>());
        put_numbers(state_, queue_, bias_, dtype_, b_.as<void>());
        put_numbers(state_, queue_, spread(residual_, kOut, kOutStride), dtype_, r_.as<void>());
    }

    /** cuBLASLt; negative when it does not take the shape. */
    float dense() { return dense_with(Epilogue::none, false, false); }
    /** The worst of what it fuses. */
    float fused() {
        return std::max({dense_with(Epilogue::relu, true, false), dense_with(Epilogue::gelu_tanh, true, false),
                         dense_with(Epilogue::none, true, true)});
    }
    /** The own kernel with weights of the activations' type. */
    float few_rows() { return few_rows_with({dtype_, 0, w_.as<void>(), kIn}, weights_); }
    /** The own kernel for few rows in bf16 by the tensor cores, plain and gated. */
    float row_tiles() {
        const WeightMatrix m{dtype_, 0, w_.as<void>(), kIn};
        const RowLayout x = rows_at(x_.as<void>(), kFewest, kIn, kInStride);
        LinearEpilogue e;
        e.outputs = kOut;
        launch_row_tiles(queue_, x, m, e, rows_at(y_.as<void>(), kFewest, kOut, kOutStride));
        const std::vector<float> sums = expected(inputs_, kFewest, weights_, Epilogue::none, false, false);
        const float plain = largest_difference(sums, found(kFewest, kOut));
        e.outputs = kOut / 2;
        e.gated = true;
        launch_row_tiles(queue_, x, m, e, rows_at(y_.as<void>(), kFewest, kOut / 2, kOutStride));
        std::vector<float> products;
        for (size_t i = 0; i < sums.size(); ++i)
            if (i % kOut < kOut / 2) products.push_back(sums[i] * sums[i + kOut / 2]);
        return std::max(plain, largest_difference(products, found(kFewest, kOut / 2)));
    }
    /** The own kernel with quantised weights. @throws Error when those are wrong already. */
    float few_rows(int32_t bits) {
        constexpr int64_t kGroups = kIn / kQuantGroup;
        const Temporary exact(state_, queue_, kOut * kIn * 4), codes(state_, queue_, kOut * kIn);
        const Temporary scales(state_, queue_, kOut * kGroups), zeros(state_, queue_, kOut * kGroups);
        const Temporary bases(state_, queue_, kOut);
        const WeightMatrix m{0,
                             bits,
                             codes.as<void>(),
                             kIn * bits / 8,
                             kGroups,
                             scales.as<uint8_t>(),
                             zeros.as<uint8_t>(),
                             bases.as<uint8_t>()};
        put_numbers(state_, queue_, weights_, VLM_DTYPE_F32, exact.as<void>());
        launch_quantise(queue_, exact.as<float>(), kOut, kIn, m, state_.fault());
        const std::vector<float> stored = stored_numbers(m, kOut);
        expect_back(weights_, stored, bits == 8 ? kTolerance8 : kTolerance4, std::to_string(bits) + " bits");
        return few_rows_with(m, stored);
    }
    struct Fp8 {
        float few;                  ///< The own kernel.
        std::optional<float> many;  ///< cuBLASLt, with activations in fp8 as well; nothing when it has no such product.
    };
    /** What weights in fp8 give. @throws Error when codes are wrong already. */
    Fp8 fp8() {
        constexpr int64_t kOutputs = (kOut + kE4m3Step - 1) / kE4m3Step * kE4m3Step;
        const Temporary exact(state_, queue_, kOut * kIn * 4), codes(state_, queue_, kOutputs * kIn);
        const Temporary scales(state_, queue_, kOut * 4);
        WeightMatrix m;
        m.dtype = VLM_DTYPE_F8_E4M3;
        m.data = codes.as<void>();
        m.stride = kIn;
        m.out_scales = scales.as<float>();
        queue_.runtime.clear(m.data, kOutputs * kIn, queue_.stream);
        put_numbers(state_, queue_, weights_, VLM_DTYPE_F32, exact.as<void>());
        launch_quantise(queue_, exact.as<float>(), kOut, kIn, m, state_.fault());
        const std::vector<float> weights = stored_numbers(m, kOut);
        expect_back(weights_, weights, kToleranceE4m3, "fp8");
        const float few = few_rows_with(m, weights);
        if (dtype_ == VLM_DTYPE_F32) return {few, std::nullopt};  // activations stay as they are
        LinearEpilogue none;
        none.outputs = kOut;
        if (!multiply_fp8(state_, queue_, m, rows_at(x_.as<void>(), kRows, kIn, kInStride), none,
                          rows_at(y_.as<void>(), kRows, kOut, kOutStride)))
            return {few, std::nullopt};
        const std::vector<float> result = found(kRows);
        // The rows of x as the product has seen them.
        const Temporary row_codes(state_, queue_, kRows * kIn), row_scales(state_, queue_, kRows * 4);
        m.data = row_codes.as<void>();
        m.out_scales = row_scales.as<float>();
        launch_rows_to_e4m3(queue_, "linear", dtype_, rows_at(x_.as<void>(), kRows, kIn, kInStride), kRows,
                            {row_codes.as<uint8_t>(), m.out_scales, kIn}, nullptr);
        const std::vector<float> rows = stored_numbers(m, kRows);
        expect_back(inputs_, rows, kToleranceE4m3, "fp8");
        return {few, largest_difference(expected(rows, kRows, weights, Epilogue::none, false, false), result)};
    }

  private:
    /** Numbers as the activations' type holds them. */
    std::vector<float> rounded(std::vector<float> numbers) const {
        if (dtype_ == VLM_DTYPE_F32) return numbers;
        for (float& number : numbers) {
            Bf16 half{};
            from_float(number, half);
            number = to_float(half);
        }
        return numbers;
    }
    /** What `rows` outputs of a matrix of depth kIn stand for. */
    std::vector<float> stored_numbers(const WeightMatrix& m, int64_t rows) {
        const Temporary exact(state_, queue_, rows * kIn * 4);
        launch_expand(queue_, m, rows, VLM_DTYPE_F32, exact.as<void>(), kIn);
        return take_numbers(state_, queue_, exact.as<void>(), VLM_DTYPE_F32, rows * kIn);
    }
    static void expect_back(const std::vector<float>& numbers, const std::vector<float>& stored, float tolerance,
                            const std::string& type) {
        const float apart = largest_difference(numbers, stored);
        if (!(apart <= tolerance))
            throw Error(VLM_STATUS_INTERNAL, "on this GPU numbers do not come back from " + type + " (" +
                                                 std::to_string(apart) +
                                                 " apart); please report it, and use the device \"cpu\"");
    }
    /** What the first `rows` rows of `inputs` should give. */
    std::vector<float> expected(const std::vector<float>& inputs, int64_t rows, const std::vector<float>& weights,
                                Epilogue epilogue, bool bias, bool residual) const {
        std::vector<float> result;
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t o = 0; o < kOut; ++o) {
                double sum = 0.0;
                for (int64_t k = 0; k < kIn; ++k)
                    sum += static_cast<double>(inputs[static_cast<size_t>(r * kIn + k)]) *
                           static_cast<double>(weights[static_cast<size_t>(o * kIn + k)]);
                auto x = static_cast<float>(sum);
                if (residual) x += residual_[static_cast<size_t>(r * kOut + o)];
                if (bias) x += bias_[static_cast<size_t>(o)];
                if (epilogue == Epilogue::relu) x = activate(VLM_ACT_RELU, x);
                if (epilogue == Epilogue::gelu_tanh) x = activate(VLM_ACT_GELU_TANH, x);
                result.push_back(x);
            }
        return result;
    }
    /** The first `rows` rows of the result. */
    std::vector<float> found(int64_t rows, int64_t columns = kOut) {
        const std::vector<float> all = take_numbers(state_, queue_, y_.as<void>(), dtype_, kRows * kOutStride);
        std::vector<float> result;
        for (int64_t r = 0; r < rows; ++r)
            result.insert(result.end(), all.begin() + r * kOutStride, all.begin() + r * kOutStride + columns);
        return result;
    }
    float dense_with(Epilogue epilogue, bool bias, bool residual) {
        DenseProduct p;
        p.dtype = dtype_;
        p.rows = kRows;
        p.in = p.weight_stride = kIn;
        p.out = kOut;
        p.x_stride = kInStride;
        p.y_stride = p.residual_stride = kOutStride;
        p.x = x_.as<void>();
        p.weight = w_.as<void>();
        p.y = y_.as<void>();
        p.epilogue = epilogue;
        if (bias) p.bias = b_.as<void>();
        if (residual) p.residual = r_.as<void>();
        if (!state_.multiply(queue_, p)) return -1.0f;
        return largest_difference(expected(inputs_, kRows, weights_, epilogue, bias, residual), found(kRows));
    }
    float few_rows_with(const WeightMatrix& m, const std::vector<float>& weights) {
        LinearEpilogue none;
        none.outputs = kOut;
        launch_few_rows(queue_, dtype_, rows_at(x_.as<void>(), kFewest, kIn, kInStride), m, none,
                        rows_at(y_.as<void>(), kFewest, kOut, kOutStride));
        return largest_difference(expected(inputs_, kFewest, weights, Epilogue::none, false, false), found(kFewest));
    }

    State& state_;
    const Queue queue_;
    const uint32_t dtype_;
    const std::vector<float> inputs_, weights_, bias_, residual_;
    const Temporary x_, w_, b_, r_, y_;
};

}  // namespace

void check_products(State& state) {
    const bool exact = state.options.activation_dtype == VLM_DTYPE_F32;
    const float tolerance = exact ? kFloatTolerance : kHalfTolerance;
    Products products(state);
    const auto works = [&](float apart, const std::string& what, const char* instead) {
        if (apart <= tolerance) return true;
        state.log(VLM_LOG_WARNING, (what + " differs from the CPU by " + std::to_string(apart) +
                                    " on this GPU and is not used; " + instead + ". Please report it")
                                       .c_str());
        return false;
    };
    const float dense = products.dense();
    state.dense_works = works(dense, "a product by cuBLASLt", "the own kernel multiplies, which is slow");
    if (state.dense_works)
        state.fused_works = works(products.fused(), "what cuBLASLt does behind a product",
                                  "it is done in a pass of its own, which is slower");
    state.few_rows_work = works(products.few_rows(), "the kernel for few rows", "cuBLASLt multiplies");
    if (!exact)
        state.row_tiles_work =
            works(products.row_tiles(), "the kernel for few rows by the tensor cores", "another multiplies");
    for (const int32_t bits : {8, 4}) {
        const bool right =
            works(products.few_rows(bits), "the kernel for few rows with weights of " + std::to_string(bits) + " bits",
                  "they are expanded for cuBLASLt");
        state.few_rows_work = state.few_rows_work && right;
    }
    if (state.options.wants_fp8()) {
        const Products::Fp8 fp8 = products.fp8();
        const bool right =
            works(fp8.few, "the kernel for few rows with weights in fp8", "they are expanded for cuBLASLt");
        state.few_rows_work = state.few_rows_work && right;
        // Tensor cores add products of fp8 with fewer bits than f32 has, so what rounding explains is that of bf16.
        const char* instead = "weights in fp8 are expanded to bf16 for each call, which is slower";
        if (fp8.many)
            state.fp8_works = works(*fp8.many, "a product in fp8 by cuBLASLt", instead);
        else if (!exact)
            state.log(VLM_LOG_WARNING, (std::string("cuBLASLt has no product in fp8 on this GPU; ") + instead).c_str());
    }
    if (!state.dense_works && !state.few_rows_work)
        throw Error(VLM_STATUS_INTERNAL,
                    "on this GPU neither cuBLASLt nor the kernel for few rows multiplies as the CPU does, so its "
                    "answers could not be trusted; please report it, and use the device \"cpu\"");
    if (exact && state.dense_works && dense > kExactTolerance)
        state.log(VLM_LOG_WARNING,
                  "products in f32 are less exact than f32 is; is NVIDIA_TF32_OVERRIDE set in the environment?");
}

}  // namespace vlm::cuda
