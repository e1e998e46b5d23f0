/** @file action_decoder.cpp
 *  See action_decoder.hpp.
 */
#include "action_decoder.hpp"

#include <algorithm>
#include <cmath>

namespace vlm::action {

using namespace sdk;
using nlohmann::json;

namespace {

const json& member(const json& object, const char* key, const std::string& path) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end())
        throw invalid_argument("config.json: " + path + "." + key + ": is missing");
    return *found;
}

std::vector<double> numbers(const json& list, const std::string& path) {
    std::vector<double> out;
    if (list.is_array())
        for (const auto& value : list)
            if (value.is_number()) out.push_back(value.get<double>());
    if (!list.is_array() || out.size() != list.size() || out.empty())
        throw invalid_argument("config.json: " + path + ": expected a list of numbers");
    return out;
}

/** The data set that was asked for, or the only one. */
Statistics read_statistics(const json* all, const std::string& wanted) {
    if (all == nullptr || !all->is_object() || all->empty())
        throw invalid_argument("config.json: norm_stats: is missing; without it an action has no units");
    std::string names;
    for (const auto& [name, value] : all->items()) names += (names.empty() ? "'" : ", '") + name + "'";
    if (wanted.empty() && all->size() > 1)
        throw invalid_argument("config: statistics: choose the data set of your robot, one of " + names);
    const auto found = wanted.empty() ? all->begin() : all->find(wanted);
    if (found == all->end())
        throw invalid_argument("config: statistics: '" + wanted + "' is not in norm_stats; known are " + names);
    const std::string path = "norm_stats." + found.key() + ".action";
    const json& action = member(*found, "action", "norm_stats." + found.key());
    Statistics s;
    s.name = found.key();
    s.low = numbers(member(action, "q01", path), path + ".q01");
    s.high = numbers(member(action, "q99", path), path + ".q99");
    s.applied.assign(s.low.size(), true);
    if (const auto mask = action.find("mask"); mask != action.end() && !mask->is_null()) {
        s.applied.clear();
        for (const auto& value : *mask)
            s.applied.push_back(value.is_boolean() ? value.get<bool>() : value.is_number() && value != 0);
    }
    if (s.high.size() != s.low.size() || s.applied.size() != s.low.size())
        throw invalid_argument("config.json: " + path + ": q01, q99 and mask have different lengths");
    return s;
}

/** Ids behind the action tokens: the embedding is padded to a multiple, the tokens are not. */
int64_t vocabulary(const Config& model) {
    const Config text = model.section("text_config");
    constexpr int64_t kMost = int64_t{1} << 31;
    return text.integer("vocab_size", 32064, 1, kMost) - model.integer("pad_to_multiple_of", 64, 0, kMost);
}

}  // namespace

double bin_centre(int64_t id, int64_t vocab_size, int64_t bins) {
    const int64_t bin = std::clamp<int64_t>(vocab_size - id - 1, 0, bins - 2);
    const double step = 2.0 / static_cast<double>(bins - 1);
    const auto edge = [&](int64_t i) { return i == bins - 1 ? 1.0 : -1.0 + static_cast<double>(i) * step; };
    return (edge(bin) + edge(bin + 1)) / 2;
}

double unnormalize(double value, const Statistics& s, size_t index) {
    if (!s.applied[index]) return value;
    constexpr double kGuard = 1e-8;  // the reference's, against an empty range
    return 0.5 * (value + 1) * (s.high[index] - s.low[index] + kGuard) + s.low[index];
}

ActionDecoder::ActionDecoder(const ComponentConfig& c)
    : bins_(c.config.integer("bins", c.model.integer("n_action_bins", 256, 2, 1 << 20), 2, 1 << 20)),
      vocab_size_(c.config.integer("vocab_size", vocabulary(c.model), 1, int64_t{1} << 31)),
      statistics_(read_statistics(c.model.find("norm_stats"), c.config.get("statistics", ""))) {
    c.config.refuse_unknown();
}

json ActionDecoder::process(const Run& run, const vlm_post_input& input) const {
    const size_t size = statistics_.low.size();
    json actions = json::array(), normalized = json::array();
    std::vector<float> flat, flat_normalized;
    for (uint32_t i = 0; i < input.answer_count; ++i) {
        const auto answer = read_struct(input.answers[i], "answer");
        if (answer.token_count < size)
            throw failed_precondition("answer " + std::to_string(i) + " has " + std::to_string(answer.token_count) +
                                      " tokens, an action of '" + statistics_.name + "' has " + std::to_string(size) +
                                      " elements; let the model generate at least as many tokens");
        std::vector<double> action, raw;
        for (size_t k = 0; k < size; ++k) {
            const auto token = read_struct(answer.tokens[k], "token");
            raw.push_back(bin_centre(token.id, vocab_size_, bins_));
            action.push_back(unnormalize(raw.back(), statistics_, k));
        }
        flat.insert(flat.end(), action.begin(), action.end());
        flat_normalized.insert(flat_normalized.end(), raw.begin(), raw.end());
        actions.push_back(action);
        normalized.push_back(raw);
    }
    if (run.tapped()) {
        const auto count = static_cast<int64_t>(flat.size());
        run.tap("action", HostTensor<float>(flat, {count}).view());
        run.tap("action_normalised", HostTensor<float>(flat_normalized, {count}).view());
    }
    const bool one = actions.size() == 1;
    return {{"action", one ? actions[0] : actions},
            {"action_normalized", one ? normalized[0] : normalized},
            {"action_statistics", statistics_.name}};
}

}  // namespace vlm::action
