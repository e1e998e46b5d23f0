/** @file estimate_report.cpp
 *  See estimate_report.hpp.
 */
#include "host/cli/estimate_report.hpp"

#include <algorithm>
#include <cstdio>

#include "host/cli/options.hpp"
#include "host/estimate/plot.hpp"

namespace vlm::cli {
namespace {

using Json = nlohmann::ordered_json;
using namespace estimate;

std::string bytes_of(double bytes) {
    return bytes_text(static_cast<int64_t>(bytes));
}

std::string number(double value, const char* format = "%.4g") {
    char text[48];
    std::snprintf(text, sizeof(text), format, value);
    return text;
}

double stages_seconds(const Stages& s, const Answer& answer) {
    double total = static_cast<double>(answer.new_tokens) * seconds(s.decode, answer.machine);
    for (const Work* work : {&s.encode, &s.connect, &s.prefill}) total += seconds(*work, answer.machine);
    return total;
}

Json work_json(const Work& work, const Answer& answer) {
    Json json = {{"flops", work.flops()},
                 {"linear_flops", work.linear_flops},
                 {"matmul_flops", work.matmul_flops},
                 {"attention_flops", work.attention_flops},
                 {"bytes_read", work.weight_bytes + work.kv_bytes}};
    if (answer.timed()) json["ms"] = seconds(work, answer.machine) * 1e3;
    return json;
}

template <typename Source>
Json stages_json(const Source& s, const Answer& answer) {
    return {{"encode", work_json(s.encode, answer)},
            {"connect", work_json(s.connect, answer)},
            {"prefill", work_json(s.prefill, answer)},
            {"decode_per_token", work_json(s.decode, answer)}};
}

Json fusion_json(const Fusion& kind, const Answer& answer) {
    Json json = {{"kind", kind.kind},
                 {"assumed", kind.how},
                 {"own", kind.own},
                 {"fits", kind.fits},
                 {"visual_tokens", kind.visual_tokens},
                 {"sequence", kind.sequence},
                 {"stages", stages_json(kind, answer)},
                 {"memory", {{"weights", kind.weight_bytes}, {"kv_cache", kind.kv_bytes}, {"peak", kind.peak_bytes}}},
                 {"new_weights", kind.new_weights},
                 {"compression", kind.compression},
                 {"connector_compression", kind.connector_compression}};
    if (answer.timed() && kind.fits) json["answer_ms"] = kind.seconds(answer.machine, answer.new_tokens) * 1e3;
    return json;
}

void print_stage(const char* name, const Work& work, const Answer& answer) {
    std::printf("  %-18s %10.4g GFLOP  %9.1f MB read", name, work.flops() / 1e9,
                (work.weight_bytes + work.kv_bytes) / 1e6);
    if (answer.timed()) std::printf("  %9.3f ms", seconds(work, answer.machine) * 1e3);
    std::puts("");
}

void print_fusion_head(const char* indent, bool timed) {
    std::printf("%s%-17s %7s %9s %8s %8s %9s %8s %10s %10s %8s %10s %7s", indent, "", "visual", "sequence", "tower",
                "connect", "prefill", "decode", "KV", "peak", "picture", "connector", "learn");
    std::puts(timed ? "   answer ms" : "");
}

void print_fusion(const char* indent, const Fusion& kind, const Answer& answer) {
    const auto work = [&](const Work& w) { return kind.fits ? number(w.flops() / 1e9) : std::string("too long"); };
    std::printf("%s%-17s %7.0f %9.0f %8s %8s %9s %8s %10s %10s %8s %10s %7s", indent,
                (kind.kind + (kind.own ? " *" : "")).c_str(), kind.visual_tokens, kind.sequence,
                number(kind.encode.flops() / 1e9).c_str(), number(kind.connect.flops() / 1e9).c_str(),
                work(kind.prefill).c_str(), work(kind.decode).c_str(), bytes_of(kind.kv_bytes).c_str(),
                bytes_of(kind.peak_bytes).c_str(), (number(kind.compression, "%.1f") + "x").c_str(),
                (number(kind.connector_compression, "%.2f") + "x").c_str(),
                (number(kind.new_weights / 1e6, kind.new_weights < 1e8 ? "%.1f" : "%.0f") + "M").c_str());
    if (answer.timed())
        std::printf(" %11s", kind.fits ? number(kind.seconds(answer.machine, answer.new_tokens) * 1e3).c_str() : "-");
    std::puts("");
}

void print_legend(const std::vector<Fusion>& kinds, const char* indent) {
    const char* const lines[] = {
        "tower, connect, prefill, decode (a token): GFLOP. learn: weights that must be learnt at least.",
        "picture, connector: numbers of the picture, and of the tower's features, per number that reaches the model.",
        "*: counted; others derived:"};
    for (const char* line : lines) std::printf("%s%s\n", indent, line);
    for (const auto& kind : kinds) std::printf("%s  %s: %s\n", indent, kind.kind.c_str(), kind.how.c_str());
}

/** Stages of one bar. */
struct Parts {
    std::string label;
    const Work *encode, *connect, *prefill, *decode;
};

}  // namespace

Json prediction_json(const Prediction& p, const Answer& answer) {
    Json json = {{"image_size", {p.size.width, p.size.height}},
                 {"visual_tokens", p.stages.visual_tokens},
                 {"text_tokens", p.stages.text_tokens},
                 {"fits", p.stages.fits},
                 {"stages", stages_json(p.stages, answer)},
                 {"memory",
                  {{"weights", p.weight_bytes},
                   {"kv_cache", p.stages.kv_bytes},
                   {"scratch", p.stages.scratch_bytes},
                   {"peak", p.peak_bytes}}}};
    if (answer.timed() && p.stages.fits) json["answer_ms"] = stages_seconds(p.stages, answer) * 1e3;
    auto& fusion = json["fusion"] = Json::array();
    for (const auto& kind : p.kinds) fusion.push_back(fusion_json(kind, answer));
    return json;
}

void print_prediction(const Prediction& p, const Answer& answer) {
    std::printf("%s: %lld visual tokens, %lld text tokens\n", p.size.name.c_str(),
                static_cast<long long>(p.stages.visual_tokens), static_cast<long long>(p.stages.text_tokens));
    print_stage("encode", p.stages.encode, answer);
    print_stage("connect", p.stages.connect, answer);
    if (p.stages.fits) {
        print_stage("prefill", p.stages.prefill, answer);
        print_stage("decode, per token", p.stages.decode, answer);
    } else {
        std::puts("  prefill, decode     too long for this model's context");
    }
    if (answer.timed() && p.stages.fits)
        std::printf("  answer of %lld tokens: %.4g ms, the first after %.4g ms\n",
                    static_cast<long long>(answer.new_tokens), stages_seconds(p.stages, answer) * 1e3,
                    (stages_seconds(p.stages, {answer.machine, 0})) * 1e3);
    std::printf("  memory: weights %s, KV cache %s, scratch %s, peak %s\n", bytes_of(p.weight_bytes).c_str(),
                bytes_text(p.stages.kv_bytes).c_str(), bytes_text(p.stages.scratch_bytes).c_str(),
                bytes_of(p.peak_bytes).c_str());
    if (p.kinds.empty()) return;
    std::puts("the same language model, fused in three ways");
    print_fusion_head("  ", answer.timed());
    for (const auto& kind : p.kinds) print_fusion("  ", kind, answer);
    print_legend(p.kinds, "  ");
}

void print_sweep(const std::vector<Prediction>& predictions, const Answer& answer) {
    if (predictions.empty()) return;
    if (predictions.front().kinds.empty()) {
        std::printf("%-12s %7s %12s %13s %13s %10s%s\n", "picture", "visual", "encode GFLOP", "connect GFLOP",
                    "prefill GFLOP", "peak", answer.timed() ? "   answer ms" : "");
        for (const auto& p : predictions) {
            std::printf("%-12s %7lld %12.4g %13.4g %13.4g %10s", p.size.name.c_str(),
                        static_cast<long long>(p.stages.visual_tokens), p.stages.encode.flops() / 1e9,
                        p.stages.connect.flops() / 1e9, p.stages.prefill.flops() / 1e9, bytes_of(p.peak_bytes).c_str());
            if (answer.timed()) std::printf(" %11.4g", stages_seconds(p.stages, answer) * 1e3);
            std::puts("");
        }
        return;
    }
    print_fusion_head("            ", answer.timed());
    for (const auto& p : predictions) {
        char indent[24];
        for (size_t i = 0; i < p.kinds.size(); ++i) {
            std::snprintf(indent, sizeof(indent), "%-12s", i == 0 ? p.size.name.c_str() : "");
            print_fusion(indent, p.kinds[i], answer);
        }
    }
    print_legend(predictions.front().kinds, "");
}

Image sweep_plot(const std::vector<Prediction>& predictions, const Answer& answer) {
    const auto value = [&](const Work& work) {
        return answer.timed() ? seconds(work, answer.machine) * 1e3 : work.flops() / 1e9;
    };
    std::vector<Bar> bars;
    const auto add = [&](const Parts& p, bool fits) {
        Bar bar{p.label,
                {value(*p.encode), value(*p.connect), value(*p.prefill),
                 value(*p.decode) * static_cast<double>(answer.new_tokens)},
                ""};
        double sum = 0;
        for (const double part : bar.parts) sum += part;
        bar.total = fits ? number(sum) + (answer.timed() ? " ms" : " GFLOP") : "too long";
        bars.push_back(std::move(bar));
    };
    for (const auto& p : predictions) {
        const Stages& s = p.stages;
        if (p.kinds.empty()) add({p.size.name, &s.encode, &s.connect, &s.prefill, &s.decode}, true);
        for (const auto& k : p.kinds)
            add({p.size.name + " " + k.kind, &k.encode, &k.connect, &k.prefill, &k.decode}, k.fits);
    }
    const std::string title =
        (answer.timed() ? "time on " + answer.machine.name + " (ms)" : std::string("work (GFLOP)")) + " with " +
        std::to_string(answer.new_tokens) + " new tokens";
    return plot_bars(title, {"encode", "connect", "prefill", "decode"}, bars);
}

Json attention_memory_json(int threads) {
    Json rows = Json::array();
    for (const int64_t tokens : {1024, 2048, 4096, 8192}) {
        const auto m = attention_memory(tokens, threads);
        rows.push_back({{"tokens", tokens},
                        {"standard", {{"computed", m.standard_computed}, {"measured", m.standard_measured}}},
                        {"blocked", {{"computed", m.blocked_computed}, {"measured", m.blocked_measured}}}});
    }
    return rows;
}

void print_attention_memory(const Json& rows) {
    std::puts("scratch memory of attention, one head of 64, causal, f32 (computed / measured on this machine)");
    std::printf("  %8s %26s %26s\n", "tokens", "standard", "blocked");
    for (const auto& row : rows) {
        const auto text = [&](const char* kind) {
            return bytes_of(row.at(kind).at("computed")) + " / " + bytes_of(row.at(kind).at("measured"));
        };
        std::printf("  %8lld %26s %26s\n", static_cast<long long>(row.at("tokens").get<int64_t>()),
                    text("standard").c_str(), text("blocked").c_str());
    }
}

}  // namespace vlm::cli
