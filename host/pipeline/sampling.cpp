/** @file sampling.cpp
 *  See sampling.hpp. Filters as in `transformers.generation.logits_process`.
 */
#include "host/pipeline/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "host/base/error.hpp"

namespace vlm {

namespace {

Error no_numbers() {
    return {VLM_STATUS_DATA_LOSS,
            "the backbone's logits are not numbers (NaN): weights of the checkpoint are NaN or infinite, or too large "
            "for the type that is computed in; compare the files with their source, or try --dtype f32"};
}

}  // namespace

float log_probability_of(std::span<const float> logits, int32_t id) {
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
    return static_cast<float>(static_cast<double>(logits[static_cast<size_t>(id)]) - top - std::log(sum));
}

Sampler::Sampler(const GenerationOptions& options, uint64_t sequence)
    : options_(options), state_(options.seed + sequence * 0x9E3779B97F4A7C15ull) {}

double Sampler::uniform() {
    // SplitMix64 (Steele, Lea, Flood 2014).
    state_ += 0x9E3779B97F4A7C15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

Choice Sampler::choose(std::span<const float> logits, std::span<const int32_t> history) {
    if (logits.empty()) throw Error(VLM_STATUS_INTERNAL, "the backbone gave no logits to choose from");
    if (std::any_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); })) throw no_numbers();
    std::span<const float> scores = logits;
    if (options_.repetition_penalty != 1) {
        scores_.assign(logits.begin(), logits.end());
        std::vector<int32_t> seen(history.begin(), history.end());
        std::sort(seen.begin(), seen.end());
        seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
        const auto penalty = static_cast<float>(options_.repetition_penalty);
        for (const int32_t id : seen) {
            if (id < 0 || static_cast<size_t>(id) >= scores_.size()) continue;
            float& score = scores_[static_cast<size_t>(id)];
            score = score > 0 ? score / penalty : score * penalty;
        }
        scores = scores_;
    }
    if (options_.temperature == 0) {
        const auto best = std::max_element(scores.begin(), scores.end());
        const auto id = static_cast<int32_t>(best - scores.begin());
        return {id, log_probability_of(logits, id)};
    }

    order_.resize(scores.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto better = [&](int32_t a, int32_t b) {
        const float x = scores[static_cast<size_t>(a)];
        const float y = scores[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
    };
    size_t kept = order_.size();
    if (options_.top_k > 0) kept = std::min(kept, static_cast<size_t>(options_.top_k));
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(kept), order_.end(), better);

    falling_.clear();
    for (size_t i = 0; i < kept; ++i) falling_.push_back(scores[static_cast<size_t>(order_[i])]);
    const int32_t id = order_[draw(falling_)];
    return {id, log_probability_of(logits, id)};
}

int64_t Sampler::needed() const {
    if (options_.repetition_penalty != 1) return 0;
    return options_.temperature == 0 ? 1 : options_.top_k;
}

Choice Sampler::choose(const TopLogits& top) {
    if (!top.numbers) throw no_numbers();
    if (top.ids.empty()) throw Error(VLM_STATUS_INTERNAL, "the device found no logits to choose from");
    const size_t pick = options_.temperature == 0 ? 0 : draw(top.logits);
    const double behind = static_cast<double>(top.logits[pick]) - static_cast<double>(top.logits[0]);
    return {top.ids[pick], static_cast<float>(behind - top.log_sum)};
}

size_t Sampler::draw(std::span<const float> falling) {
    const size_t kept = falling.size();
    const double top = falling[0];
    std::vector<double> weights(kept);
    double sum = 0;
    for (size_t i = 0; i < kept; ++i) {
        weights[i] = std::exp((falling[i] - top) / options_.temperature);
        sum += weights[i];
    }
    // top-p keeps the smallest set whose probability reaches p; min-p keeps what has at least that share of the best.
    double before = 0;
    size_t last = 1;
    while (last < kept && (before += weights[last - 1] / sum) < options_.top_p && weights[last] >= options_.min_p)
        ++last;
    const double total = std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(last), 0.0);
    double target = uniform() * total;
    size_t pick = 0;
    while (pick + 1 < last && (target -= weights[pick]) >= 0) ++pick;
    return pick;
}

}  // namespace vlm
