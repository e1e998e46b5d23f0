/** @file ranking.cpp
 *  See ranking.hpp.
 */
#include "ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace vlm::similarity {

void normalize_rows(Matrix& m) {
    for (int64_t i = 0; i < m.rows(); ++i) {
        float* row = m.values.data() + i * m.columns;
        double square = 0;
        for (int64_t c = 0; c < m.columns; ++c) square += static_cast<double>(row[c]) * static_cast<double>(row[c]);
        if (!(square > 0)) continue;
        const double length = std::sqrt(square);
        for (int64_t c = 0; c < m.columns; ++c) row[c] = static_cast<float>(static_cast<double>(row[c]) / length);
    }
}

Matrix products(const Matrix& a, const Matrix& b, double scale) {
    Matrix out{b.rows(), {}};
    out.values.reserve(static_cast<size_t>(a.rows() * b.rows()));
    for (int64_t i = 0; i < a.rows(); ++i)
        for (int64_t j = 0; j < b.rows(); ++j) {
            double sum = 0;
            for (int64_t c = 0; c < a.columns; ++c)
                sum += static_cast<double>(a.row(i)[c]) * static_cast<double>(b.row(j)[c]);
            out.values.push_back(static_cast<float>(scale * sum));
        }
    return out;
}

Matrix transposed(const Matrix& m) {
    Matrix out{m.rows(), {}};
    for (int64_t c = 0; c < m.columns; ++c)
        for (int64_t i = 0; i < m.rows(); ++i) out.values.push_back(m.row(i)[c]);
    return out;
}

std::vector<double> softmax(const float* scores, int64_t count) {
    std::vector<double> out(scores, scores + count);
    if (out.empty()) return out;
    const double largest = *std::max_element(out.begin(), out.end());
    double sum = 0;
    for (double& x : out) sum += x = std::exp(x - largest);
    for (double& x : out) x /= sum;
    return out;
}

std::vector<double> sigmoid(const float* scores, int64_t count) {
    std::vector<double> out(scores, scores + count);
    for (double& x : out) x = 1 / (1 + std::exp(-x));
    return out;
}

std::vector<int64_t> best(const float* scores, int64_t count, int64_t most) {
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    const auto key = [&](int64_t i) {
        return std::isnan(scores[i]) ? -std::numeric_limits<float>::infinity() : scores[i];
    };
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return key(a) > key(b); });
    order.resize(static_cast<size_t>(std::min(count, most)));
    return order;
}

}  // namespace vlm::similarity
