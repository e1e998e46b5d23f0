/** @file weight_view.cpp
 *  Rules are few and names are looked up once, so nothing is indexed.
 */
#include "host/weights/weight_view.hpp"

#include <algorithm>
#include <set>

#include "host/json/nearest_name.hpp"
#include "host/json/writer.hpp"

namespace vlm {

WeightView::WeightView(std::shared_ptr<const WeightStore> store, std::vector<Rule> rules)
    : store_(std::move(store)), rules_(std::move(rules)) {
    if (rules_.empty()) rules_.push_back({});
}

std::vector<std::string> WeightView::spellings(std::string_view name) const {
    std::vector<std::string> list;
    for (const Rule& rule : rules_) {
        if (!name.starts_with(rule.plugin_prefix)) continue;
        list.push_back(rule.file_prefix + std::string(name.substr(rule.plugin_prefix.size())));
    }
    return list;
}

std::string WeightView::resolve(std::string_view name) const {
    for (std::string& spelling : spellings(name)) {
        if (store_->contains(spelling)) return std::move(spelling);
    }
    return {};
}

const TensorView* WeightView::find(std::string_view name) const {
    for (const std::string& spelling : spellings(name)) {
        if (const TensorView* tensor = store_->find(spelling)) return tensor;
    }
    return nullptr;
}

const TensorView& WeightView::at(std::string_view name) const {
    if (const TensorView* tensor = find(name)) return *tensor;
    const std::vector<std::string> tried = spellings(name);
    if (tried.size() == 1 && tried.front() == name)
        return store_->at(name);  // throws with the nearest names of the file
    std::string message = "the checkpoint holds no tensor " + json::quote_short(name, 200) + "; looked for ";
    for (const std::string& spelling : tried) {
        message += (&spelling == tried.data() ? "" : ", ") + json::quote_short(spelling, 200);
    }
    if (tried.empty()) message += "nothing, as no prefix rule covers it";
    const std::vector<std::string> visible = names();
    const std::vector<std::string_view> candidates(visible.begin(), visible.end());
    const std::vector<std::string> nearest = nearest_names(name, candidates, 3);
    for (const std::string& near : nearest) {
        message += (&near == nearest.data() ? "; nearest names here: " : ", ") + json::quote_short(near, 200);
    }
    if (visible.empty()) message += "; no tensor of the checkpoint has one of the expected prefixes";
    throw not_found(message);
}

std::vector<std::string> WeightView::names() const {
    std::set<std::string> visible;
    for (const std::string_view name : store_->names()) {
        for (const Rule& rule : rules_) {
            if (!name.starts_with(rule.file_prefix)) continue;
            visible.insert(rule.plugin_prefix + std::string(name.substr(rule.file_prefix.size())));
        }
    }
    return {visible.begin(), visible.end()};
}

std::vector<std::string> WeightView::unused() const {
    std::vector<std::string> list;
    for (const std::string_view name : store_->unused()) {
        const bool shown = std::any_of(rules_.begin(), rules_.end(),
                                       [&](const Rule& rule) { return name.starts_with(rule.file_prefix); });
        if (shown) list.emplace_back(name);
    }
    return list;
}

}  // namespace vlm
