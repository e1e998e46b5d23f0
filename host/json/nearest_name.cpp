/** @file nearest_name.cpp
 *  Banded dynamic programming: a checkpoint has tens of thousands of tensor names, of which nearly all are far away and
 * are left after a few rows.
 */
#include "host/json/nearest_name.hpp"

#include <algorithm>
#include <utility>

#include "host/json/writer.hpp"

namespace vlm {

size_t edit_distance(std::string_view a, std::string_view b, size_t limit) {
    if (a.size() > b.size()) std::swap(a, b);
    limit = std::min(limit, b.size());  // no distance is longer than the longer name
    if (b.size() - a.size() > limit) return limit + 1;
    const size_t far = limit + 1;
    std::vector<size_t> before_last(b.size() + 1, far);
    std::vector<size_t> last(b.size() + 1, far);
    std::vector<size_t> row(b.size() + 1, far);
    for (size_t j = 0; j <= std::min(b.size(), limit); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        const size_t from = i > limit ? i - limit : 1;
        const size_t to = std::min(b.size(), i + limit);
        std::fill(row.begin(), row.end(), far);
        if (i <= limit) row[0] = i;
        size_t best = row[0];
        for (size_t j = from; j <= to; ++j) {
            const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            size_t distance = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                distance = std::min(distance, before_last[j - 2] + 1);
            }
            row[j] = std::min(distance, far);
            best = std::min(best, row[j]);
        }
        const size_t best_of_last = *std::min_element(last.begin(), last.end());
        if (best > limit && best_of_last > limit) return far;  // a transposition can still start from the row before
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string_view> candidates,
                                       size_t count) {
    std::vector<std::pair<size_t, std::string_view>> found;
    for (const std::string_view candidate : candidates) {
        const size_t longer = std::max(name.size(), candidate.size());
        if (longer == 0) continue;
        const size_t limit = std::min(std::max<size_t>(2, longer / 3), longer - 1);
        const size_t distance = edit_distance(name, candidate, limit);
        if (distance <= limit) found.emplace_back(distance, candidate);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    if (found.size() > count) found.resize(count);
    std::vector<std::string> names;
    names.reserve(found.size());
    for (const auto& [distance, candidate] : found) names.emplace_back(candidate);
    return names;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
    const std::vector<std::string> nearest = nearest_names(name, candidates, 1);
    return nearest.empty() ? std::string() : "; did you mean " + json::quote(nearest.front()) + "?";
}

}  // namespace vlm
