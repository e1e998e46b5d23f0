/** @file attention_check.cpp
 *  See check_attention in self_check.hpp.
 */
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/self_check.hpp"

namespace vlm::cuda {

namespace {

/** Largest difference relative to the largest output that rounding to bf16 explains. */
constexpr float kTolerance = 0.03f;

/** The same for f32. */
constexpr float kExactTolerance = 1e-4f;

/** One problem in the activations' type: causal, two query heads per key head, a cache in pages. */
class Trial {
  public:
    Trial(State& state, int64_t rows, int64_t keys, int64_t dim)
        : state_(state),
          queue_(state.queue(nullptr)),
          rows_(rows),
          keys_(keys),
          dim_(dim),
          dtype_(state.options.activation_dtype),
          queries_(check_numbers(rows * kHeads * dim, 1)),
          key_numbers_(check_numbers(keys * dim, 2)),
          value_numbers_(check_numbers(keys * dim, 3)),
          q_(state, queue_, rows * kHeads * dim * 4),
          k_(state, queue_, keys * dim * 4),
          v_(state, queue_, keys * dim * 4),
          out_(state, queue_, rows * kHeads * dim * 4),
          pages_(state, queue_, page_count() * page_bytes()),
          table_(state, queue_, page_count() * static_cast<int64_t>(sizeof(void*))) {
        put_numbers(state_, queue_, queries_, dtype_, q_.as<void>());
        put_numbers(state_, queue_, key_numbers_, dtype_, k_.as<void>());
        put_numbers(state_, queue_, value_numbers_, dtype_, v_.as<void>());
        std::vector<void*> table;
        for (int64_t p = 0; p < page_count(); ++p) table.push_back(pages_.as<char>() + p * page_bytes());
        state.upload(queue_, table.data(), table_.as<void>(), static_cast<int64_t>(table.size() * sizeof(void*)));
        KeySource source{nullptr, k_.as<void>(), v_.as<void>(), dim, dim, dim, dim, keys, 1, dim, dim};
        launch_append(queue_, dtype_, source, keys, table_.as<void*>(), 0);
        source.pages = table_.as<void*>();
        call_.q = q_.as<void>();
        call_.q_row = call_.out_row = kHeads * dim;
        call_.q_head = call_.out_head = dim;
        call_.out = out_.as<void>();
        call_.rows = rows;
        call_.heads = call_.group = kHeads;
        call_.keys = keys;
        call_.scale = 1.0f / std::sqrt(static_cast<float>(dim));
        call_.mask_rule = VLM_MASK_CAUSAL;
        call_.source = source;
        call_.fault = state.fault();
    }

    /** By the CPU. */
    std::vector<float> expected() const {
        std::vector<float> result;
        for (int64_t row = 0; row < rows_ * kHeads; ++row) {
            const float* q = queries_.data() + row * dim_;
            const int64_t seen = keys_ - rows_ + row / kHeads + 1;
            std::vector<double> sums(static_cast<size_t>(dim_), 0.0);
            double total = 0.0;
            for (int64_t j = 0; j < seen; ++j) {
                double logit = 0.0;
                for (int64_t d = 0; d < dim_; ++d)
                    logit += static_cast<double>(q[d]) *
                             static_cast<double>(key_numbers_[static_cast<size_t>(j * dim_ + d)]);
                const double weight = std::exp(logit / std::sqrt(static_cast<double>(dim_)));
                total += weight;
                for (int64_t d = 0; d < dim_; ++d)
                    sums[static_cast<size_t>(d)] +=
                        weight * static_cast<double>(value_numbers_[static_cast<size_t>(j * dim_ + d)]);
            }
            for (const double sum : sums) result.push_back(static_cast<float>(sum / total));
        }
        return result;
    }
    std::vector<float> plain() {
        const AttentionPlan plan = plan_attention(call_);
        const Temporary partials(state_, queue_, plan.partial_floats * 4);
        launch_attention(queue_, dtype_, call_, plan, partials.as<float>());
        return result();
    }
    std::vector<float> tiles() {
        launch_attention_tiles(queue_, call_);
        return result();
    }
    std::vector<float> decode() {
        DecodeBatch batch{};
        batch.one = call_;
        batch.count = 1;
        plan_decodes(batch, keys_);
        const Temporary partials(state_, queue_, batch.partial_floats * 4);
        batch.partials = partials.as<float>();
        launch_decodes(queue_, batch);
        return result();
    }

  private:
    static constexpr int64_t kHeads = 2;
    int64_t page_count() const { return divide_up(keys_, kPageKeys); }
    int64_t page_bytes() const { return kPageKeys * 2 * dim_ * 4; }

    std::vector<float> result() { return take_numbers(state_, queue_, out_.as<void>(), dtype_, rows_ * kHeads * dim_); }

    State& state_;
    const Queue queue_;
    const int64_t rows_, keys_, dim_;
    const uint32_t dtype_;
    const std::vector<float> queries_, key_numbers_, value_numbers_;
    const Temporary q_, k_, v_, out_, pages_, table_;
    AttentionCall call_{};
};

/** Whether `fast` gives what the plain kernel gives, for all sizes of heads that are compiled apart. */
template <class Fast>
bool works(State& state, const char* what, int64_t rows, int64_t keys, std::initializer_list<int64_t> dims,
           Fast&& fast) {
    std::string problem;
    try {
        for (const int64_t dim : dims) {
            Trial trial(state, rows, keys, dim);
            const std::vector<float> expected = trial.plain();
            const float apart = largest_difference(expected, fast(trial));
            if (!(apart <= kTolerance)) {
                problem = "it differs by " + std::to_string(apart) + " with heads of " + std::to_string(dim);
                break;
            }
        }
    } catch (const Error& error) {
        problem = error.what();
    }
    if (problem.empty()) return true;
    state.log(VLM_LOG_WARNING, ("the attention kernel for " + std::string(what) +
                                " does not give what the plain kernel gives on this GPU (" + problem +
                                "); the plain one is used, which is slower")
                                   .c_str());
    return false;
}

}  // namespace

void check_attention(State& state) {
    const bool half = state.options.activation_dtype == VLM_DTYPE_BF16;
    Trial trial(state, 3, 300, 64);
    const float apart = largest_difference(trial.expected(), trial.plain());
    if (!(apart <= (half ? kTolerance : kExactTolerance)))
        throw Error(VLM_STATUS_INTERNAL, "on this GPU attention differs from the CPU by " + std::to_string(apart) +
                                             ", so its answers could not be trusted; please report it, and use the "
                                             "device \"cpu\"");
    if (!half) return;
    const char* wish = std::getenv("VLM_CUDA_ATTENTION");
    if (wish != nullptr && std::strcmp(wish, "reference") == 0) {
        state.log(VLM_LOG_INFO, "VLM_CUDA_ATTENTION=reference: attention runs in the plain kernel alone");
        return;
    }
    state.tiles_work = works(state, "many rows", 70, 90, {64, 72, 128}, [](Trial& one) { return one.tiles(); });
    state.decodes_work = works(state, "single rows", 1, 150, {64, 128, 256}, [](Trial& one) { return one.decode(); });
}

}  // namespace vlm::cuda
