/** @file graph_check.cpp
 *  See check_graphs in self_check.hpp. The trial is a small step: uploads, scratch memory, a kernel, a product of
 * cuBLASLt, done at once first, then recorded, then recorded with other inputs, which changes the executable graph.
 */
#include <cstdlib>

#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/self_check.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kRows = 24, kWidth = 64;
/** No step of a model has so many rows. */
constexpr int64_t kTrialStep = -1;
/** More than the first graph of a step holds. */
constexpr int64_t kOperations = 12;

/** The work of one step: inputs and an argument of a kernel follow from `seed`. */
void enqueue_step(State& state, const Queue& queue, uint64_t seed, void* out) {
    const uint32_t dtype = state.options.activation_dtype;
    constexpr int64_t kBytes = kRows * kWidth * 4;
    const Temporary x(state, queue, kBytes), w(state, queue, kWidth * kWidth * 4);
    const Temporary y(state, queue, kBytes);
    put_numbers(state, queue, check_numbers(kRows * kWidth, seed), dtype, x.as<void>());
    put_numbers(state, queue, check_numbers(kWidth * kWidth, seed + 1), dtype, w.as<void>());
    queue.runtime.clear(y.as<void>(), kBytes, queue.stream);
    DenseProduct p;
    p.dtype = dtype;
    p.rows = kRows;
    p.in = p.out = p.x_stride = p.weight_stride = p.y_stride = kWidth;
    p.x = x.as<void>();
    p.weight = w.as<void>();
    p.y = y.as<void>();
    if (state.dense_works) state.multiply(queue, p);
    // A step may be several graphs.
    for (int64_t i = 0; i < kOperations; ++i) state.steps.advance(queue.stream);
    launch_add(queue, dtype, rows_at(y.as<void>(), kRows, kWidth, kWidth), rows_at(x.as<void>(), kRows, kWidth, kWidth),
               static_cast<float>(seed), rows_at(y.as<void>(), kRows, kWidth, kWidth));
    queue.runtime.copy(y.as<void>(), out, kRows * kWidth * (dtype == VLM_DTYPE_F32 ? 4 : 2), queue.stream);
}

/** What of graphs does not work; empty: nothing. */
std::string problem_of(State& state) {
    const Queue usual = state.queue(nullptr);
    const uint32_t dtype = state.options.activation_dtype;
    const Temporary out(state, usual, kRows * kWidth * 4);
    const auto result = [&] { return take_numbers(state, usual, out.as<void>(), dtype, kRows * kWidth); };
    for (uint64_t step = 0; step < 3; ++step) {
        enqueue_step(state, usual, 10 * step, out.as<void>());
        const std::vector<float> expected = result();
        void* stream = state.steps.begin(kTrialStep);
        std::string failed;
        try {
            enqueue_step(state, {state.runtime(), stream != nullptr ? stream : usual.stream}, 10 * step,
                         out.as<void>());
        } catch (const Error& error) {
            failed = error.what();
        }
        if (!state.steps.end()) return "a step that was recorded is lost" + (failed.empty() ? "" : ": " + failed);
        if (!failed.empty()) return failed;
        if (step > 0 && stream == nullptr) return "the driver does not record steps";
        if (result() != expected) return "a step that is launched as a graph differs from one that is not";
    }
    return state.steps.graph_launches() == 2 ? "" : "steps are not launched as graphs";
}

}  // namespace

void check_graphs(State& state) {
    const char* text = std::getenv("VLM_CUDA_GRAPHS");
    const std::string wish = text != nullptr && *text != '\0' ? text : "auto";
    if (wish != "off" && wish != "on" && wish != "auto")
        throw invalid_argument("VLM_CUDA_GRAPHS is '" + wish + "', known are off, on, auto");
    if (wish == "off") return;
    std::string problem;
    try {
        state.steps.use();
        problem = problem_of(state);
    } catch (const Error& error) {
        problem = error.what();
    }
    state.steps.forget();
    if (problem.empty()) return;
    if (wish == "on")
        throw Error(VLM_STATUS_UNAVAILABLE,
                    "VLM_CUDA_GRAPHS=on: graphs do not work on this GPU (" + problem + "); leave it at auto");
    state.steps.turn_off(problem);
}

}  // namespace vlm::cuda
