/** @file series.hpp
 *  Repeated measurements of one thing. Spread is told as minimum, median and maximum, because a mean hides the one slow
 *  run that a user remembers.
 */
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace vlm::bench {

/** Measurements in the order in which they were made. */
struct Series {
    std::vector<double> values;

    void add(double value) { values.push_back(value); }

    /** The value below which the share `q` of the measurements lies (nearest rank); 0 for an empty series. */
    double quantile(double q) const {
        if (values.empty()) return 0;
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        return sorted[static_cast<size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
    }
    double min() const { return quantile(0); }
    double median() const { return quantile(0.5); }
    double max() const { return quantile(1); }
};

}  // namespace vlm::bench
