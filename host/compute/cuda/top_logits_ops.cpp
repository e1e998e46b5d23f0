/** @file top_logits_ops.cpp
 *  See top_logits_ops.hpp, and check_top_logits in self_check.hpp.
 */
#include "host/compute/cuda/top_logits_ops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "host/compute/cuda/self_check.hpp"
#include "host/compute/top_logits.hpp"

namespace vlm::cuda {

TopFound find_top_logits(State& state, const Queue& queue, std::span<const float* const> rows, int64_t columns,
                         int64_t count) {
    TopRows top{};
    top.row_count = static_cast<int64_t>(rows.size());
    top.columns = columns;
    top.count = count;
    plan_top_rows(top);
    constexpr int64_t kEach = 8;  // of a pointer, a sum and a candidate
    static_assert(sizeof(void*) == kEach && sizeof(double) == kEach && sizeof(Candidate) == kEach);
    const int64_t pieces = checked_product(top.row_count, top.spans);
    const Temporary addresses(state, queue, top.row_count * kEach), span_sums(state, queue, pieces * kEach);
    const Temporary span_best(state, queue, checked_product(pieces, count, kEach));
    const Temporary result(state, queue, checked_product(top.row_count, count + 1, kEach));
    state.upload(queue, rows.data(), addresses.as<void>(), top.row_count * kEach);
    top.rows = addresses.as<const float* const>();
    top.span_sums = span_sums.as<double>();
    top.span_best = span_best.as<Candidate>();
    top.log_sums = result.as<double>();
    top.best = result.as<Candidate>() + top.row_count;
    launch_top_rows(queue, top);
    std::vector<std::byte> bytes(static_cast<size_t>(top.row_count * (count + 1) * kEach));
    state.download(queue, result.as<void>(), bytes.data(), static_cast<int64_t>(bytes.size()));
    TopFound found;
    found.log_sums.resize(rows.size());
    found.best.resize(rows.size() * static_cast<size_t>(count));
    std::memcpy(found.log_sums.data(), bytes.data(), rows.size() * kEach);
    std::memcpy(found.best.data(), bytes.data() + rows.size() * kEach, found.best.size() * kEach);
    return found;
}

TopFound top_logits(State& state, const Queue& queue, std::span<const vlm_tensor* const> tensors, int64_t count) {
    if (tensors.empty()) return {};
    std::vector<const float*> rows;
    int64_t columns = 0;
    for (const vlm_tensor* tensor : tensors) {
        const View view = state.compact(tensor, "logits", VLM_DTYPE_F32, 2);
        if (columns == 0) columns = view.dim(1);
        if (view.dim(0) < 1 || view.dim(1) != columns || columns >= int64_t{1} << 31 || count < 1 || count > columns ||
            count > kMostTopLogits)
            throw invalid_argument("the " + std::to_string(count) + " largest of a row of " + view.text() +
                                   " beside rows of " + std::to_string(columns));
        rows.push_back(view.data<const float>() + (view.dim(0) - 1) * columns);
    }
    return find_top_logits(state, queue, rows, columns, count);
}

namespace {

/** Whether a row's largest are what the CPU finds. */
bool as_expected(const std::vector<float>& row, const Candidate* best, int64_t count, double log_sum) {
    std::vector<int32_t> order(row.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; });
    for (int64_t i = 0; i < count; ++i) {
        const int32_t id = order[static_cast<size_t>(i)];
        if (best[i].index != id || best[i].value != row[static_cast<size_t>(id)]) return false;
    }
    double sum = 0.0;
    for (const float x : row)
        sum += std::exp(static_cast<double>(x) - static_cast<double>(row[static_cast<size_t>(order[0])]));
    constexpr double kTolerance = 1e-9;
    return std::fabs(log_sum - std::log(sum)) <= kTolerance;
}

}  // namespace

void check_top_logits(State& state) {
    constexpr int64_t kRows = 3, kColumns = 5003, kCount = 7;
    std::vector<float> numbers = check_numbers(kRows * kColumns, 1);
    // Equal ones in different spans: the first counts.
    for (const size_t place : {4400u, 17u, 2100u}) numbers[place] = 4.5f;
    numbers[kColumns + 3] = -INFINITY;
    numbers[2 * kColumns + 4999] = NAN;
    bool right = false;
    std::string problem = "it finds others";
    try {
        const Queue queue = state.queue(nullptr);
        const Temporary memory(state, queue, kRows * kColumns * 4);
        put_numbers(state, queue, numbers, VLM_DTYPE_F32, memory.as<void>());
        std::vector<const float*> rows;
        for (int64_t r = 0; r < kRows; ++r) rows.push_back(memory.as<const float>() + r * kColumns);
        const TopFound found = find_top_logits(state, queue, rows, kColumns, kCount);
        right = found.best[2 * kCount].index == -1;
        for (int64_t r = 0; r < 2; ++r)
            right =
                right && as_expected({numbers.begin() + r * kColumns, numbers.begin() + (r + 1) * kColumns},
                                     found.best.data() + r * kCount, kCount, found.log_sums[static_cast<size_t>(r)]);
    } catch (const Error& error) {
        problem = error.what();
    }
    state.top_logits_work = right;
    if (!right)
        state.log(VLM_LOG_WARNING, ("the kernel that finds the largest logits does not find those of the CPU on this "
                                    "GPU (" +
                                    problem + "); whole rows are brought to the CPU, which is slower")
                                       .c_str());
}

}  // namespace vlm::cuda
