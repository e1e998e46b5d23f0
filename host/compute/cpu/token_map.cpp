/** @file token_map.cpp
 *  merge_map, keep_map and carry_map: scores become a token map (hooks.h), and sizes and positions go through it. A few
 * hundred integers per call, so plain sorting; what matters is that ties, limits and protected tokens are settled here
 * once for all reducers and devices.
 */
#include <algorithm>
#include <cmath>
#include <vector>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

/** Falling scores, ties by rising index, NaN last. */
void sort_best_first(std::vector<int64_t>& items, const float* scores) {
    std::sort(items.begin(), items.end(), [scores](int64_t a, int64_t b) {
        const bool a_nan = std::isnan(scores[a]), b_nan = std::isnan(scores[b]);
        if (a_nan != b_nan) return b_nan;
        if (!a_nan && scores[a] != scores[b]) return scores[a] > scores[b];
        return a < b;
    });
}

}  // namespace

vlm_status merge_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                     const vlm_tensor* partners, float threshold, int64_t limit, int64_t protected_tokens,
                     vlm_tensor* groups, int64_t* group_count) {
    return guarded(self, run, Op::merge_map, [&](State&) {
        const View map = compact_view(groups, "groups", VLM_DTYPE_I32, 1);
        const int64_t n = map.elements, evens = (n + 1) / 2, odds = n / 2;
        if (group_count == nullptr) throw invalid_argument("group_count is NULL");
        if (limit < 0 || protected_tokens < 0)
            throw invalid_argument("limit " + std::to_string(limit) + " or protected_tokens " +
                                   std::to_string(protected_tokens) + " is negative");
        if (scores == nullptr || partners == nullptr) throw invalid_argument("scores or partners is NULL");
        const float* score = optional_vector(scores, "scores", VLM_DTYPE_F32, evens).data<float>();
        const int32_t* partner = optional_vector(partners, "partners", VLM_DTYPE_I32, evens).data<int32_t>();
        std::vector<int64_t> proposals;
        for (int64_t i = 0; i < evens && odds > 0; ++i) {
            if (2 * i < protected_tokens || !(score[i] > threshold)) continue;
            if (partner[i] < 0 || partner[i] >= odds)
                throw Error(VLM_STATUS_OUT_OF_RANGE, "partners[" + std::to_string(i) + "] is " +
                                                         std::to_string(partner[i]) + " of " + std::to_string(odds) +
                                                         " odd tokens");
            proposals.push_back(i);
        }
        sort_best_first(proposals, score);
        if (static_cast<int64_t>(proposals.size()) > limit) proposals.resize(static_cast<size_t>(limit));
        std::vector<bool> merged(static_cast<size_t>(evens), false);
        for (const int64_t i : proposals) merged[static_cast<size_t>(i)] = true;
        int32_t* group = map.data<int32_t>();
        int32_t next = 0;
        for (int64_t i = 0; i < evens; ++i)
            if (!merged[static_cast<size_t>(i)]) group[2 * i] = next++;
        for (int64_t i = 0; i < odds; ++i) group[2 * i + 1] = next + static_cast<int32_t>(i);
        for (const int64_t i : proposals) group[2 * i] = next + partner[i];
        *group_count = next + odds;
    });
}

vlm_status keep_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                    const vlm_tensor* droppable, int64_t keep, vlm_tensor* groups) {
    return guarded(self, run, Op::keep_map, [&](State&) {
        const View map = compact_view(groups, "groups", VLM_DTYPE_I32, 1);
        const int64_t n = map.elements;
        if (keep < 0) throw invalid_argument("keep " + std::to_string(keep) + " is negative");
        if (scores == nullptr || droppable == nullptr) throw invalid_argument("scores or droppable is NULL");
        const float* score = optional_vector(scores, "scores", VLM_DTYPE_F32, n).data<float>();
        const View flags = optional_vector(droppable, "droppable", 0, n);
        if (flags.dtype != VLM_DTYPE_U8 && flags.dtype != VLM_DTYPE_BOOL)
            throw invalid_argument(flags.text() + " has the wrong dtype, expected u8");
        std::vector<int64_t> candidates;
        for (int64_t i = 0; i < n; ++i)
            if (flags.data<uint8_t>()[i] != 0) candidates.push_back(i);
        sort_best_first(candidates, score);
        int32_t* group = map.data<int32_t>();
        std::fill_n(group, n, 0);
        for (size_t i = static_cast<size_t>(std::min<int64_t>(keep, static_cast<int64_t>(candidates.size())));
             i < candidates.size(); ++i)
            group[candidates[i]] = -1;
        int32_t next = 0;
        for (int64_t i = 0; i < n; ++i)
            if (group[i] == 0) group[i] = next++;
    });
}

vlm_status carry_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* groups,
                     const vlm_tensor* sizes, const vlm_tensor* origins, vlm_tensor* row_of_position,
                     vlm_tensor* new_sizes, vlm_tensor* log_sizes, vlm_tensor* new_origins) {
    return guarded(self, run, Op::carry_map, [&](State&) {
        const View map = compact_view(groups, "groups", VLM_DTYPE_I32, 1);
        const int64_t n = map.elements;
        const View size = optional_vector(sizes, "sizes", VLM_DTYPE_F32, n);
        const View origin = optional_vector(origins, "origins", VLM_DTYPE_I32, n);
        const View totals = compact_view(new_sizes, "new_sizes", VLM_DTYPE_F32, 1);
        const int64_t count = totals.elements;
        const View logs = optional_vector(log_sizes, "log_sizes", VLM_DTYPE_F32, count);
        const View firsts = optional_vector(new_origins, "new_origins", VLM_DTYPE_I32, count);
        const View rows =
            row_of_position != nullptr ? compact_view(row_of_position, "row_of_position", VLM_DTYPE_I32, 1) : View{};
        const int32_t* group = map.data<int32_t>();
        for (int64_t i = 0; i < n; ++i)
            if (group[i] >= count)
                throw Error(VLM_STATUS_OUT_OF_RANGE, "groups[" + std::to_string(i) + "] is " +
                                                         std::to_string(group[i]) + ", " + totals.text() + " has " +
                                                         std::to_string(count));
        const bool first_map = origin.bytes == nullptr;
        if (first_map && rows.elements > n)
            throw invalid_argument(rows.text() + " has more positions than " + map.text() + " has tokens");
        for (int64_t p = 0; p < rows.elements; ++p) {
            int32_t& row = rows.data<int32_t>()[p];
            if (first_map) row = static_cast<int32_t>(p);
            if (row >= n)
                throw Error(VLM_STATUS_OUT_OF_RANGE, "row_of_position[" + std::to_string(p) + "] is " +
                                                         std::to_string(row) + " of " + std::to_string(n) + " tokens");
            row = row < 0 ? -1 : std::max(group[row], -1);
        }
        std::fill_n(totals.data<float>(), count, 0.0f);
        std::vector<int32_t> lowest(static_cast<size_t>(count), -1);
        for (int64_t i = 0; i < n; ++i) {
            if (group[i] < 0) continue;
            totals.data<float>()[group[i]] += size.bytes != nullptr ? size.data<float>()[i] : 1.0f;
            const int32_t from = first_map ? static_cast<int32_t>(i) : origin.data<int32_t>()[i];
            int32_t& low = lowest[static_cast<size_t>(group[i])];
            low = low < 0 ? from : std::min(low, from);
        }
        for (int64_t g = 0; g < count && logs.bytes != nullptr; ++g)
            logs.data<float>()[g] = std::log(totals.data<float>()[g]);
        if (firsts.bytes != nullptr) std::copy(lowest.begin(), lowest.end(), firsts.data<int32_t>());
    });
}

}  // namespace vlm::cpu
