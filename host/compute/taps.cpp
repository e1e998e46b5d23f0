/** @file taps.cpp
 *  See taps.hpp.
 */
#include "host/compute/taps.hpp"

#include <algorithm>
#include <cmath>

namespace vlm {

namespace {

float cubic_near(float x, float a) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
}
float cubic_far(float x, float a) {
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

float area_scale(int64_t from, int64_t to, bool align_corners) {
    if (align_corners) return to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0.0f;
    return static_cast<float>(from) / static_cast<float>(to);
}

Taps plain_taps(int64_t from, int64_t to, bool cubic, bool align_corners) {
    Taps taps(static_cast<size_t>(to));
    const float scale = area_scale(from, to, align_corners);
    for (int64_t i = 0; i < to; ++i) {
        auto& list = taps[static_cast<size_t>(i)];
        const auto position = static_cast<float>(i);
        float source = align_corners ? scale * position : scale * (position + 0.5f) - 0.5f;
        if (!cubic) {
            source = std::max(source, 0.0f);
            const int64_t low = std::min(static_cast<int64_t>(source), from - 1);
            const int64_t high = std::min(low + 1, from - 1);
            const float t = std::clamp(source - static_cast<float>(low), 0.0f, 1.0f);
            list = {{low, 1.0f - t}, {high, t}};
            continue;
        }
        const auto floor = static_cast<int64_t>(std::floor(source));
        const float t = std::clamp(source - static_cast<float>(floor), 0.0f, 1.0f);
        constexpr float a = -0.75f;
        const float weights[4] = {cubic_far(t + 1, a), cubic_near(t, a), cubic_near(1 - t, a), cubic_far(2 - t, a)};
        for (int64_t k = 0; k < 4; ++k) list.push_back({std::clamp<int64_t>(floor - 1 + k, 0, from - 1), weights[k]});
    }
    return taps;
}

float antialias_filter(float x, bool cubic) {
    x = std::fabs(x);
    if (!cubic) return x < 1 ? 1 - x : 0;
    return x < 1 ? cubic_near(x, -0.5f) : x < 2 ? cubic_far(x, -0.5f) : 0;
}

Taps antialias_taps(int64_t from, int64_t to, bool cubic, bool align_corners) {
    Taps taps(static_cast<size_t>(to));
    const float scale = area_scale(from, to, align_corners);
    const float size = cubic ? 4.0f : 2.0f;
    const float support = scale >= 1 ? size * 0.5f * scale : size * 0.5f;
    const float inverse = scale >= 1 ? 1.0f / scale : 1.0f;
    for (int64_t i = 0; i < to; ++i) {
        auto& list = taps[static_cast<size_t>(i)];
        const float center = scale * (static_cast<float>(i) + 0.5f);
        const int64_t low = std::max(static_cast<int64_t>(center - support + 0.5f), int64_t{0});
        const int64_t high = std::min(static_cast<int64_t>(center + support + 0.5f), from);
        float total = 0;
        for (int64_t j = low; j < high; ++j) {
            const float weight = antialias_filter((static_cast<float>(j) - center + 0.5f) * inverse, cubic);
            list.push_back({j, weight});
            total += weight;
        }
        for (Tap& tap : list)
            if (total != 0) tap.weight /= total;
    }
    return taps;
}

}  // namespace

Taps make_taps(int64_t from, int64_t to, const TapRule& rule) {
    return (rule.antialias ? antialias_taps : plain_taps)(from, to, rule.cubic, rule.align_corners);
}

}  // namespace vlm
