/** @file score.cpp
 *  See score.hpp.
 */
#include "host/pipeline/score.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "host/base/error.hpp"

namespace vlm {

std::vector<int32_t> text_labels(std::span<const Segment> segments, int64_t skip_text) {
    std::vector<int32_t> labels;
    int64_t seen = 0;
    bool after_text = false;
    for (const auto& segment : segments) {
        if (segment.image >= 0) {
            labels.insert(labels.end(), static_cast<size_t>(segment.count), kNoLabel);
            after_text = after_text && segment.count == 0;
            continue;
        }
        for (const int32_t id : segment.ids) {
            labels.push_back(after_text && seen >= skip_text ? id : kNoLabel);
            after_text = true;
            ++seen;
        }
    }
    return labels;
}

std::vector<double> label_log_probabilities(const Tensor& logits, const Tensor& row_of_output,
                                            std::span<const int32_t> labels) {
    const int64_t vocabulary = logits.dim(1);
    const auto rows = row_of_output.span<int32_t>();
    const auto all = logits.span<float>();
    std::vector<double> result;
    for (size_t r = 0; r < rows.size(); ++r) {
        const auto next = static_cast<size_t>(rows[r]) + 1;
        if (rows[r] < 0 || next >= labels.size() || labels[next] == kNoLabel) continue;
        const int32_t label = labels[next];
        if (label < 0 || label >= vocabulary)
            throw invalid_argument("token id " + std::to_string(label) + " is outside the model's vocabulary of " +
                                   std::to_string(vocabulary));
        const auto row = all.subspan(r * static_cast<size_t>(vocabulary), static_cast<size_t>(vocabulary));
        const auto largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
        double sum = 0;
        for (const float x : row) sum += std::exp(static_cast<double>(x) - largest);
        result.push_back(static_cast<double>(row[static_cast<size_t>(label)]) - largest - std::log(sum));
    }
    return result;
}

double mean_loss(std::span<const double> log_probabilities) {
    if (log_probabilities.empty()) return 0;
    double sum = 0;
    for (const double x : log_probabilities) sum -= x;
    return sum / static_cast<double>(log_probabilities.size());
}

}  // namespace vlm
