/** @file prompt_lookup.cpp
 *  See prompt_lookup.hpp.
 */
#include "host/pipeline/prompt_lookup.hpp"

#include <algorithm>

namespace vlm {
namespace {

/** One id repeats everywhere by chance; more than three find little that three do not. */
constexpr size_t kLongestMatch = 3, kShortestMatch = 2;
/** Of the distance between the best score and the mean. bf16 products differ by up to about a hundredth of it. */
constexpr double kTieShare = 0.03;
/** Guesses of the first step, before anything is known. */
constexpr int64_t kFirstGuesses = 3;
/** Longest rest: a wrong guess in 33 steps costs nothing that can be measured. */
constexpr int64_t kLongestRest = 32;

}  // namespace

std::vector<int32_t> look_up(std::span<const int32_t> history, int64_t most) {
    if (most <= 0) return {};
    for (size_t length = kLongestMatch; length >= kShortestMatch; --length) {
        if (history.size() <= length) continue;
        const auto last = history.last(length);
        const auto before = history.first(history.size() - 1);
        const auto found = std::find_end(before.begin(), before.end(), last.begin(), last.end());
        if (found == before.end()) continue;
        const auto begin = static_cast<size_t>(found - before.begin()) + length;
        const auto count = std::min(history.size() - begin, static_cast<size_t>(most));
        const auto guess = history.subspan(begin, count);
        return {guess.begin(), guess.end()};
    }
    return {};
}

GuessLength::GuessLength(int64_t most) : most_(most), length_(std::min(most, kFirstGuesses)) {}

int64_t GuessLength::next() {
    if (rest_ == 0) return length_;
    --rest_;
    return 0;
}

void GuessLength::learn(int64_t guessed, int64_t right) {
    if (right > 0) {
        length_ = right == guessed ? std::min(most_, 2 * length_) : right;
        next_rest_ = 1;
        return;
    }
    length_ = 1;
    rest_ = next_rest_;
    next_rest_ = std::min(kLongestRest, 2 * next_rest_);
}

bool nearly_tied(std::span<const float> scores) {
    if (scores.size() < 2) return false;
    float best = scores[0], second = scores[1];
    if (second > best) std::swap(best, second);
    double sum = static_cast<double>(best) + second;
    for (const float score : scores.subspan(2)) {
        sum += score;
        if (score > second) second = std::min(score, best);
        best = std::max(best, score);
    }
    const double mean = sum / static_cast<double>(scores.size());
    return !(best - second > kTieShare * (best - mean));
}

}  // namespace vlm
