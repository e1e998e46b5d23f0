/** @file rope.cpp
 *  One function per kind, each a transcription of its formula.
 */
#include "rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vlm::decoder {
namespace {

/** 1 / base^(2i / dim). */
std::vector<double> plain_frequencies(double base, int32_t dim) {
    std::vector<double> result(static_cast<size_t>(dim / 2));
    for (size_t i = 0; i < result.size(); ++i) result[i] = std::pow(base, -2.0 * static_cast<double>(i) / dim);
    return result;
}

/** The base grows with the length, so that the lowest frequency always spans the sequence. */
std::vector<double> dynamic_frequencies(const RopeConfig& rope, int32_t dim, int64_t length) {
    double max_positions = static_cast<double>(rope.max_positions);
    double seen = std::max(static_cast<double>(length), max_positions);
    double growth = rope.factor * seen / max_positions - (rope.factor - 1.0);
    return plain_frequencies(rope.theta * std::pow(growth, dim / (dim - 2.0)), dim);
}

std::vector<double> llama3_frequencies(const RopeConfig& rope, int32_t dim) {
    std::vector<double> result = plain_frequencies(rope.theta, dim);
    double context = static_cast<double>(rope.original_max_positions);
    double low_wavelength = context / rope.low_frequency_factor;
    double high_wavelength = context / rope.high_frequency_factor;
    for (double& f : result) {
        double wavelength = 2.0 * std::numbers::pi / f;
        if (wavelength > low_wavelength) {
            f /= rope.factor;
        } else if (wavelength >= high_wavelength) {
            double smooth = (context / wavelength - rope.low_frequency_factor) /
                            (rope.high_frequency_factor - rope.low_frequency_factor);
            f = (1.0 - smooth) * f / rope.factor + smooth * f;
        }
    }
    return result;
}

std::vector<double> yarn_frequencies(const RopeConfig& rope, int32_t dim) {
    std::vector<double> result = plain_frequencies(rope.theta, dim);
    double context = static_cast<double>(rope.original_max_positions);
    auto border = [&](double rotations) {
        return dim * std::log(context / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(rope.theta));
    };
    double low = border(rope.beta_fast);
    double high = border(rope.beta_slow);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dim - 1.0);
    if (low == high) high += 0.001;
    for (size_t i = 0; i < result.size(); ++i) {
        double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        result[i] = result[i] / rope.factor * ramp + result[i] * (1.0 - ramp);
    }
    return result;
}

std::vector<double> longrope_frequencies(const RopeConfig& rope, int32_t dim, int64_t length) {
    std::vector<double> result = plain_frequencies(rope.theta, dim);
    const std::vector<double>& factors = length > rope.original_max_positions ? rope.long_factor : rope.short_factor;
    for (size_t i = 0; i < result.size(); ++i) result[i] /= factors.at(i);
    return result;
}

double yarn_mscale(double scale, double mscale) {
    return scale <= 1.0 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

}  // namespace

int32_t rotary_dim(const RopeConfig& rope, int32_t head_dim) {
    return static_cast<int32_t>(head_dim * rope.partial) / 2 * 2;
}

bool depends_on_length(const RopeConfig& rope) {
    return rope.kind == RopeConfig::Kind::dynamic || rope.kind == RopeConfig::Kind::longrope;
}

std::vector<float> inverse_frequencies(const RopeConfig& rope, int32_t head_dim, int64_t length) {
    int32_t dim = rotary_dim(rope, head_dim);
    std::vector<double> values;
    switch (rope.kind) {
        case RopeConfig::Kind::standard:
            values = plain_frequencies(rope.theta, dim);
            break;
        case RopeConfig::Kind::linear:
            values = plain_frequencies(rope.theta, dim);
            for (double& f : values) f /= rope.factor;
            break;
        case RopeConfig::Kind::dynamic:
            values = dynamic_frequencies(rope, dim, length);
            break;
        case RopeConfig::Kind::llama3:
            values = llama3_frequencies(rope, dim);
            break;
        case RopeConfig::Kind::yarn:
            values = yarn_frequencies(rope, dim);
            break;
        case RopeConfig::Kind::longrope:
            values = longrope_frequencies(rope, dim, length);
            break;
    }
    return {values.begin(), values.end()};
}

float rope_attention_scaling(const RopeConfig& rope) {
    if (rope.attention_factor) return static_cast<float>(*rope.attention_factor);
    if (rope.kind == RopeConfig::Kind::yarn) {
        if (rope.mscale != 0.0 && rope.mscale_all_dim != 0.0) {
            return static_cast<float>(yarn_mscale(rope.factor, rope.mscale) /
                                      yarn_mscale(rope.factor, rope.mscale_all_dim));
        }
        return static_cast<float>(yarn_mscale(rope.factor, 1.0));
    }
    if (rope.kind == RopeConfig::Kind::longrope && rope.factor > 1.0) {
        double context = static_cast<double>(rope.original_max_positions);
        return static_cast<float>(std::sqrt(1.0 + std::log(rope.factor) / std::log(context)));
    }
    return 1.0f;
}

std::vector<int32_t> mrope_axes(const RopeConfig& rope) {
    std::vector<int32_t> axes;
    for (size_t i = 0; i < rope.mrope_section.size(); ++i) {
        axes.insert(axes.end(), static_cast<size_t>(rope.mrope_section[i]), static_cast<int32_t>(i % 3));
    }
    return axes;
}

}  // namespace vlm::decoder
