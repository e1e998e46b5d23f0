/** @file self_check.cpp
 *  What the checks share. See self_check.hpp.
 */
#include "host/compute/cuda/self_check.hpp"

#include <cmath>

namespace vlm::cuda {

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

void put_numbers(State& state, const Queue& queue, const std::vector<float>& numbers, uint32_t dtype, void* target) {
    if (dtype == VLM_DTYPE_F32) {
        state.upload(queue, numbers.data(), target, static_cast<int64_t>(numbers.size() * 4));
        return;
    }
    std::vector<Bf16> halves(numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) from_float(numbers[i], halves[i]);
    state.upload(queue, halves.data(), target, static_cast<int64_t>(halves.size() * 2));
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
    put_numbers(state, queue, std::vector<float>(static_cast<size_t>(count), NAN), dtype, source);
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

}  // namespace vlm::cuda
