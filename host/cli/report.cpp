/** @file report.cpp
 *  See report.hpp.
 */
#include "host/cli/report.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace vlm::cli {
namespace {

std::string text_of(const nlohmann::ordered_json& drug, const char* key) {
    const auto value = drug.find(key);
    return value != drug.end() && value->is_string() ? value->get<std::string>() : "";
}

void print_drug(const nlohmann::ordered_json& drug) {
    const std::string name = text_of(drug, "name");
    std::printf("  %-10s %s%s%s", text_of(drug, "status").c_str(),
                name.empty() ? "(not in the formulary)" : name.c_str(), "  ", text_of(drug, "dosage").c_str());
    std::printf("   printed: \"%s\"", text_of(drug, "printed").c_str());
    if (const auto confidence = drug.find("confidence"); confidence != drug.end() && confidence->is_number())
        std::printf("   confidence %.2f", confidence->get<double>());
    std::puts("");
    for (const auto& warning : drug.value("warnings", nlohmann::ordered_json::array())) {
        const bool structured = warning.is_object();
        std::printf("             ! %s\n", structured ? text_of(warning, "en").c_str() : warning.dump().c_str());
        if (structured && warning.contains("ko")) std::printf("               %s\n", text_of(warning, "ko").c_str());
    }
}

/** " (306 merged, 97 pruned)" when there is something to say. */
std::string reduced_text(const TokenCounts& tokens) {
    if (tokens.merged == 0 && tokens.pruned == 0) return "";
    return " (" + std::to_string(tokens.merged) + " merged, " + std::to_string(tokens.pruned) + " pruned)";
}

}  // namespace

void print_report(const Result& result, bool with_text) {
    for (const auto& image : result.images) std::printf("%s\n", image.c_str());
    const auto extra = nlohmann::ordered_json::parse(result.extra);
    const bool has_drugs = extra.contains("drugs");
    if (with_text && !has_drugs) std::printf("%s\n", result.text.c_str());
    if (has_drugs) {
        if (extra["drugs"].empty()) std::puts("  no drugs found");
        for (const auto& drug : extra["drugs"]) print_drug(drug);
    }
    for (const auto& [key, value] : extra.items())
        if (key != "drugs") std::printf("  %s: %s\n", key.c_str(), value.dump().c_str());
    if (!result.budget.empty()) std::printf("  budget: %s\n", result.budget.c_str());
    std::printf("  [");
    bool first = true;
    for (const auto& [stage, ms] : result.timings_ms) {
        std::printf("%s%s %.0f ms", first ? "" : ", ", stage.c_str(), ms);
        first = false;
    }
    std::printf("; %lld visual%s, %lld text, %lld generated tokens; peak %.0f MB]\n",
                static_cast<long long>(result.tokens.visual), reduced_text(result.tokens).c_str(),
                static_cast<long long>(result.tokens.text), static_cast<long long>(result.tokens.generated),
                peak_memory_mb());
}

}  // namespace vlm::cli
