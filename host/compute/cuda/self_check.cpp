/** @file self_check.cpp
 *  Helpers of the checks, and the check of products. See self_check.hpp.
 */
#include "host/compute/cuda/self_check.hpp"

#include <cmath>

#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/memory.hpp"

namespace vlm::cuda {

namespace {

/** What rounding and the order of a sum of 256 explain, and what the 10 bits of TF32 do not. */
constexpr float kHalfTolerance = 0.05f, kFloatTolerance = 1e-3f, kExactTolerance = 3e-5f;
constexpr int64_t kRows = 8, kIn = 256, kOut = 96;

RowLayout rows_at(void* data, int64_t columns) {
    RowLayout rows;
    rows.data = static_cast<char*>(data);
    rows.count = kRows;
    rows.columns = columns;
    rows.rows.dims = 1;
    rows.rows.shape[0] = kRows;
    rows.rows.stride[0] = columns;
    return rows;
}

/** One product, both ways. */
class Product {
  public:
    explicit Product(State& state)
        : state_(state),
          queue_(state.queue(nullptr)),
          dtype_(state.options.activation_dtype),
          x_(state, queue_, kRows * kIn * 4),
          weight_(state, queue_, kOut * kIn * 4),
          y_(state, queue_, kRows * kOut * 4) {
        put_numbers(queue_, check_numbers(kRows * kIn, 1), dtype_, x_.as<void>());
    }
    /** Difference of the two; negative when cuBLASLt does not take the shape. @param bits  0, 4 or 8. */
    float difference(int32_t bits) {
        const int64_t groups = kIn / kQuantGroup;
        const Temporary codes(state_, queue_, kOut * kIn), scales(state_, queue_, kOut * groups);
        const Temporary zeros(state_, queue_, kOut * groups), bases(state_, queue_, kOut);
        WeightMatrix m{bits == 0 ? dtype_ : 0, bits, weight_.as<void>(), kIn};
        if (bits != 0) {
            put_numbers(queue_, check_numbers(kOut * kIn, 2), VLM_DTYPE_F32, weight_.as<void>());
            m.data = codes.as<void>();
            m.stride = kIn * bits / 8;
            m.groups = groups;
            m.scales = scales.as<uint8_t>();
            m.zeros = zeros.as<uint8_t>();
            m.bases = bases.as<uint8_t>();
            launch_quantise(queue_, weight_.as<float>(), kOut, kIn, m, state_.fault());
            launch_expand(queue_, m, kOut, dtype_, weight_.as<void>(), kIn);
        } else {
            put_numbers(queue_, check_numbers(kOut * kIn, 2), dtype_, weight_.as<void>());
        }
        DenseProduct product;
        product.dtype = dtype_;
        product.rows = kRows;
        product.in = product.x_stride = product.weight_stride = kIn;
        product.out = product.y_stride = kOut;
        product.x = x_.as<void>();
        product.weight = weight_.as<void>();
        product.y = y_.as<void>();
        if (!queue_.runtime.multiply(product, queue_.stream)) return -1.0f;
        const std::vector<float> expected = take_numbers(state_, queue_, y_.as<void>(), dtype_, kRows * kOut);
        LinearEpilogue none;
        none.outputs = kOut;
        launch_few_rows(queue_, dtype_, rows_at(x_.as<void>(), kIn), m, none, rows_at(y_.as<void>(), kOut));
        return largest_difference(expected, take_numbers(state_, queue_, y_.as<void>(), dtype_, kRows * kOut));
    }

  private:
    State& state_;
    const Queue queue_;
    const uint32_t dtype_;
    const Temporary x_, weight_, y_;
};

}  // namespace

std::vector<float> check_numbers(int64_t count, uint64_t seed) {
    std::vector<float> numbers(static_cast<size_t>(count));
    for (float& number : numbers) {
        float sum = 0.0f;
        for (int i = 0; i < 4; ++i) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sum += static_cast<float>(seed >> 40) / 16777216.0f - 0.5f;
        }
        number = 1.7f * sum;
    }
    return numbers;
}

void put_numbers(const Queue& queue, const std::vector<float>& numbers, uint32_t dtype, void* target) {
    if (dtype == VLM_DTYPE_F32) {
        queue.runtime.upload(numbers.data(), target, static_cast<int64_t>(numbers.size() * 4), queue.stream);
        return;
    }
    std::vector<Bf16> halves(numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) from_float(numbers[i], halves[i]);
    queue.runtime.upload(halves.data(), target, static_cast<int64_t>(halves.size() * 2), queue.stream);
}

std::vector<float> take_numbers(State& state, const Queue& queue, void* source, uint32_t dtype, int64_t count) {
    std::vector<float> numbers(static_cast<size_t>(count));
    if (dtype == VLM_DTYPE_F32) {
        state.download(queue, source, numbers.data(), count * 4);
    } else {
        std::vector<Bf16> halves(static_cast<size_t>(count));
        state.download(queue, source, halves.data(), count * 2);
        for (size_t i = 0; i < halves.size(); ++i) numbers[i] = to_float(halves[i]);
    }
    put_numbers(queue, std::vector<float>(static_cast<size_t>(count), NAN), dtype, source);
    return numbers;
}

float largest_difference(const std::vector<float>& expected, const std::vector<float>& found) {
    float scale = 1e-6f, worst = 0.0f;
    for (size_t i = 0; i < expected.size(); ++i) {
        if (!std::isfinite(expected[i]) || !std::isfinite(found[i])) return INFINITY;
        scale = std::max(scale, std::fabs(expected[i]));
        worst = std::max(worst, std::fabs(expected[i] - found[i]));
    }
    return worst / scale;
}

void check_products(State& state) {
    const bool exact = state.options.activation_dtype == VLM_DTYPE_F32;
    Product product(state);
    for (const int32_t bits : {0, 4, 8}) {
        const float apart = product.difference(bits);
        if (apart > (exact ? kFloatTolerance : kHalfTolerance))
            throw Error(VLM_STATUS_INTERNAL,
                        "on this GPU the kernel for few rows and cuBLASLt give different products (" +
                            std::to_string(apart) + " apart, weights of " +
                            (bits == 0 ? "the activations' type" : std::to_string(bits) + " bits") +
                            "), so its answers could not be trusted; please report it, and use the device \"cpu\"");
        if (exact && bits == 0 && apart > kExactTolerance)
            state.log(VLM_LOG_WARNING,
                      "products in f32 are less exact than f32 is; is NVIDIA_TF32_OVERRIDE set in the environment?");
    }
}

}  // namespace vlm::cuda
