/** @file html_report.cpp
 *  See html_report.hpp.
 */
#include "host/cli/html_report.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <system_error>

#include "host/base/error.hpp"
#include "host/image/encode_webp.hpp"
#include "host/image/resize.hpp"

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

/** Longest side of an embedded picture; print of 14 pixels on a scanned page stays readable. */
constexpr int kPictureSide = 1200;

constexpr const char* kHead = R"(<!doctype html>
<html lang="ko"><head><meta charset="utf-8"><title>vlmhost</title><style>
body{font:15px/1.45 system-ui,"Noto Sans KR","Noto Sans CJK KR",sans-serif;margin:2rem auto;max-width:1500px;padding:0 1rem;color:#222}
section{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,3fr);gap:1.5rem;border-top:2px solid #ccc;padding:1.5rem 0}
svg{width:100%;height:auto;border:1px solid #ddd}h2{font-size:1rem;overflow-wrap:anywhere;margin:0 0 .6rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;border-bottom:1px solid #e4e4e4}
rect{fill:none;stroke-width:3}.verified{stroke:#1a7f37;color:#1a7f37}.review{stroke:#b35900;color:#b35900}.unverified{stroke:#c62828;color:#c62828}
rect.on{fill:#ffd54f66;stroke-width:6}tr.on{background:#fff8e1}.note{font-size:.85em;color:#555}.error{color:#c62828}
@media(max-width:900px){section{grid-template-columns:1fr}}</style></head><body>
)";

constexpr const char* kTail = R"(<script>
for(const r of document.querySelectorAll("[data-box]")){const b=document.getElementById(r.dataset.box);
for(const e of [r,b])if(e){e.onmouseenter=()=>{r.classList.add("on");b&&b.classList.add("on")};
e.onmouseleave=()=>{r.classList.remove("on");b&&b.classList.remove("on")}}}
</script></body></html>
)";

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += c;
    }
    return out;
}

/** A member as text to show: texts and numbers as they are, nothing for null. */
std::string shown(const ordered_json& object, const char* key) {
    const auto value = object.find(key);
    if (value == object.end() || value->is_null()) return {};
    return escaped(value->is_string() ? value->get<std::string>() : value->dump());
}

std::string base64(const std::vector<uint8_t>& bytes) {
    std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
    text.pop_back();  // the terminating zero
    return text;
}

std::string number(double value, const char* format) {
    char text[32];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

const ordered_json& list(const ordered_json& object, const char* key) {
    static const ordered_json kEmpty = ordered_json::array();
    const auto value = object.find(key);
    return value != object.end() && value->is_array() ? *value : kEmpty;
}

/** Numbers of the summary at the top. */
struct Totals {
    size_t pages = 0;
    size_t failed = 0;
    std::map<std::string, size_t> drugs;  ///< By status.
};

Totals count(std::span<const ordered_json> results) {
    Totals totals;
    for (const auto& result : results) {
        ++totals.pages;
        if (result.contains("error")) ++totals.failed;
        for (const auto& drug : list(result, "drugs")) ++totals.drugs[drug.value("status", "")];
    }
    return totals;
}

/** One report while it is written. */
class Report {
  public:
    Report(std::ofstream& out, const DecodeLimits& limits) : out_(out), limits_(limits) {}

    void head(const Totals& totals) {
        out_ << kHead << "<h1>" << totals.pages << " pages · " << totals.pages << "쪽</h1><p>";
        for (const auto& [status, label] : {std::pair{"verified", "확인됨"}, std::pair{"review", "검토 필요"},
                                            std::pair{"unverified", "확인 안 됨"}}) {
            const auto found = totals.drugs.find(status);
            out_ << "<b class=\"" << status << "\">" << (found == totals.drugs.end() ? 0 : found->second) << ' '
                 << status << " · " << label << "</b> &nbsp; ";
        }
        if (totals.failed > 0) out_ << "<b class=error>" << totals.failed << " not read · 읽지 못함</b>";
        out_ << "</p>\n";
    }

    void page(const ordered_json& result) {
        ++page_;
        const bool named = result["image"].is_string();
        const std::string name = named ? result["image"].get<std::string>() : result["image"].dump();
        out_ << "<section><div>";
        picture(named ? name : std::string(), list(result, "drugs"));
        out_ << "</div><div><h2>" << escaped(name) << "</h2>";
        if (const auto error = result.find("error"); error != result.end())
            out_ << "<p class=error>" << shown(*error, "code") << ": " << shown(*error, "message") << "</p>";
        else if (result.contains("drugs"))
            table(result["drugs"]);
        else
            out_ << "<p>" << shown(result, "text") << "</p>";
        out_ << "</div></section>\n";
    }

    void tail() { out_ << kTail; }

  private:
    void picture(const std::string& file, const ordered_json& drugs) {
        Image image;
        try {
            image = decode_file(file, limits_);
        } catch (const Error& error) {
            out_ << "<p class=note>" << escaped(error.what()) << "</p>";
            return;
        }
        out_ << "<svg viewBox=\"0 0 " << image.width << ' ' << image.height << "\">";
        const double scale = static_cast<double>(kPictureSide) / std::max(image.width, image.height);
        const int width = image.width, height = image.height;
        if (scale < 1)
            image = resize(image, std::max(1, static_cast<int>(width * scale)),
                           std::max(1, static_cast<int>(height * scale)));
        out_ << "<image width=\"" << width << "\" height=\"" << height << "\" href=\"data:image/webp;base64,"
             << base64(encode_webp(image)) << "\"/>";
        size_t index = 0;
        for (const auto& drug : drugs) {
            const auto& box = list(drug, "box");
            const std::string id = row_id(index++);
            if (box.size() != 4 || !std::all_of(box.begin(), box.end(), [](const auto& v) { return v.is_number(); }))
                continue;
            out_ << "<rect id=" << id << " class=\"" << shown(drug, "status") << "\" x=\"" << box[0].get<double>()
                 << "\" y=\"" << box[1].get<double>() << "\" width=\"" << box[2].get<double>() - box[0].get<double>()
                 << "\" height=\"" << box[3].get<double>() - box[1].get<double>() << "\"/>";
        }
        out_ << "</svg>";
    }

    void table(const ordered_json& drugs) {
        if (drugs.empty()) {
            out_ << "<p>no drugs found · 약품 없음</p>";
            return;
        }
        out_ << "<table><tr><th>printed · 인쇄된 이름<th>formulary · 약품집<th>dosage · 함량<th>per dose · 1회량"
                "<th>a day · 1일<th>days · 일수<th>confidence · 신뢰도<th>status · 상태</tr>";
        size_t index = 0;
        for (const auto& drug : drugs) {
            const std::string status = shown(drug, "status");
            out_ << "<tr data-box=" << row_id(index++) << "><td>" << shown(drug, "printed") << "<td>"
                 << shown(drug, "name") << "<td>" << shown(drug, "dosage") << "<td>" << per_dose(drug) << "<td>"
                 << shown(drug, "times_per_day") << "<td>" << shown(drug, "days") << "<td>"
                 << number(drug.value("confidence", 0.0), "%.2f") << "<td class=\"" << status << "\">" << status;
            notes(drug);
            out_ << "</tr>";
        }
        out_ << "</table>";
    }

    /** Candidates and warnings, below the status. */
    void notes(const ordered_json& drug) {
        std::string names;
        if (drug.value("name", ordered_json()).is_null())
            for (const auto& candidate : list(drug, "candidates"))
                names += (names.empty() ? "" : ", ") + shown(candidate, "name");
        if (!names.empty()) out_ << "<div class=note>? " << names << "</div>";
        for (const auto& warning : list(drug, "warnings"))
            if (warning.is_object())
                out_ << "<div class=note>" << shown(warning, "ko") << "<br>" << shown(warning, "en") << "</div>";
    }

    static std::string per_dose(const ordered_json& drug) {
        const auto dose = drug.find("per_dose");
        if (dose == drug.end() || !dose->is_object()) return {};
        return shown(*dose, "value") + ' ' + shown(*dose, "unit");
    }

    std::string row_id(size_t index) const { return "p" + std::to_string(page_) + "d" + std::to_string(index); }

    std::ofstream& out_;
    const DecodeLimits& limits_;
    size_t page_ = 0;
};

}  // namespace

void write_html_report(const std::filesystem::path& path, std::span<const ordered_json> results,
                       const DecodeLimits& limits) {
    const auto part = std::filesystem::path(path) += ".part";
    std::ofstream out(part, std::ios::binary);
    Report report(out, limits);
    report.head(count(results));
    for (const auto& result : results) report.page(result);
    report.tail();
    out.close();
    std::error_code failure;
    if (out) std::filesystem::rename(part, path, failure);
    if (!out || failure)
        throw Error(VLM_STATUS_PERMISSION_DENIED,
                    path.string() + ": the report cannot be written; does the folder exist, and is there space?");
}

}  // namespace vlm::cli
