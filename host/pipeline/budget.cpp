/** @file budget.cpp
 *  See budget.hpp.
 */
#include "host/pipeline/budget.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {
namespace {

BudgetChoice read_point(const json::Value& point) {
    BudgetChoice choice;
    choice.name = point["name"].as_string();
    choice.visual_tokens = point["visual_tokens"].as_int(0, int64_t{1} << 32);
    choice.ttft_ms = point["ttft_ms"]["median"].as_number(0, 1e12);
    choice.reducers = read_token_reducers(point, {});
    return choice;
}

std::string number(double value) {
    return json::number_text(std::round(value * 10) / 10);
}

}  // namespace

std::string BudgetChoice::to_json() const {
    json::Writer writer;
    writer.begin_object().member("chosen", name).member("visual_tokens", visual_tokens);
    writer.member("measured_ttft_ms", ttft_ms).end_object();
    return writer.take();
}

BudgetChoice choose_by_budget(const BudgetManifest& budget) {
    const char* const kHow = "measure one: vlmhost bench --sweep reducers --model FOLDER --out curve.json";
    if (budget.curve.empty())
        throw not_found(std::string("budget: needs \"curve\", the file of a measured curve; ") + kHow);
    if (!std::filesystem::exists(budget.curve))
        throw not_found("budget: " + budget.curve.string() + " does not exist; " + kHow);
    const auto document = json::Document::from_file(budget.curve.string());
    const auto root = document.root();
    if (!root.is_object() || root.get_or("kind", "") != "reducer_curve")
        throw invalid_argument("budget: " + budget.curve.string() + " is not a curve of reducers; " + kHow);
    BudgetChoice best, nearest;
    bool found = false;
    double least_over = std::numeric_limits<double>::infinity();
    for (const auto& value : root["points"].as_array()) {
        BudgetChoice point = read_point(value);
        double over = 1;  // how many times the budget
        if (budget.max_ms > 0) over = std::max(over, point.ttft_ms / budget.max_ms);
        if (budget.visual_tokens > 0)
            over = std::max(over, static_cast<double>(point.visual_tokens) / static_cast<double>(budget.visual_tokens));
        if (over < least_over) {
            least_over = over;
            nearest = point;
        }
        if (over > 1) continue;
        const bool better = point.visual_tokens > best.visual_tokens ||
                            (point.visual_tokens == best.visual_tokens && point.ttft_ms < best.ttft_ms);
        if (!found || better) best = std::move(point);
        found = true;
    }
    if (!found)
        throw failed_precondition(
            "budget: no setting in " + budget.curve.string() + " keeps within " +
            (budget.max_ms > 0 ? number(budget.max_ms) + " ms" : "") +
            (budget.max_ms > 0 && budget.visual_tokens > 0 ? " and " : "") +
            (budget.visual_tokens > 0 ? std::to_string(budget.visual_tokens) + " visual tokens" : "") +
            "; nearest is \"" + nearest.name + "\" with " + number(nearest.ttft_ms) + " ms and " +
            std::to_string(nearest.visual_tokens) + " visual tokens");
    best.fits = root["fits"].dump();
    return best;
}

std::string budget_signature(const Pipeline& pipeline) {
    const auto& vision = pipeline.encoder().description();
    const auto& text = pipeline.backbone().description();
    json::Writer writer;
    writer.begin_object().member("tower_layers", vision.layers).member("tower_width", vision.hidden_size);
    writer.member("backbone_layers", text.layers).member("backbone_width", text.hidden_size);
    writer.member("vocabulary", text.output_size).end_object();
    return writer.take();
}

void check_budget_fits(const BudgetChoice& choice, const Pipeline& pipeline) {
    const auto mine = budget_signature(pipeline);
    if (nlohmann::json::parse(choice.fits) == nlohmann::json::parse(mine)) return;
    throw failed_precondition("budget: the curve was measured on another model, " + choice.fits + ", and this one is " +
                              mine + "; measure one for this model with vlmhost bench --sweep reducers");
}

}  // namespace vlm
