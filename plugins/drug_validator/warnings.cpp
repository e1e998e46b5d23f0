/** @file warnings.cpp
 *  One table, so that a translator sees both languages side by side. {0} is the subject and {1} the detail; Korean
 * sentences are built so that no particle depends on the last sound of what is put in.
 */
#include "warnings.hpp"

#include <array>

namespace vlm::drug_validator {
namespace {

struct Text {
    WarningCode code;
    std::string_view name;
    std::string_view en;
    std::string_view ko;
};

constexpr std::array kTexts{
    Text{WarningCode::unlisted, "unlisted", "\"{0}\" is not in the formulary; check the name on the page.",
         "\"{0}\": 원내 의약품 목록에 없는 이름입니다. 처방전에서 약 이름을 확인하십시오."},
    Text{WarningCode::ambiguous, "ambiguous",
         "\"{0}\" is nearly as close to more than one drug ({1}); check the name on the page.",
         "\"{0}\": 비슷한 약이 둘 이상 있습니다({1}). 처방전에서 약 이름을 확인하십시오."},
    Text{WarningCode::combination, "combination",
         "\"{0}\" looks like a combination of several drugs that the formulary does not list as one.",
         "\"{0}\": 목록에 없는 복합제로 보입니다. 처방전에서 성분을 확인하십시오."},
    Text{WarningCode::look_alike, "look_alike",
         "\"{0}\" looks or sounds like {1}; make sure that the right one is meant.",
         "\"{0}\": 이름이 비슷한 약이 있습니다({1}). 혼동하지 않도록 확인하십시오."},
    Text{WarningCode::inexact_name, "inexact_name",
         "\"{0}\" is not spelled exactly like {1}; check the name on the page.",
         "\"{0}\": 목록의 이름({1})과 철자가 정확히 같지 않습니다. 처방전을 확인하십시오."},
    Text{WarningCode::different_name, "different_name",
         "\"{0}\" resembles {1}, but nothing shows a misreading: it may be another drug; check the name on the page.",
         "\"{0}\": {1}와(과) 비슷하지만 오독의 흔적이 없어 다른 약일 수 있습니다. 처방전에서 약 이름을 확인하십시오."},
    Text{WarningCode::row_conflict, "row_conflict",
         "The name beside \"{0}\" in the same row is another one (\"{1}\"); check which is meant.",
         "\"{0}\": 같은 줄에 다른 이름(\"{1}\")이 적혀 있습니다. 처방전을 확인하십시오."},
    Text{WarningCode::salt_form, "salt_form",
         "\"{0}\" names a salt or hydrate ({1}) that the formulary does not; check the product.",
         "\"{0}\": 목록에 없는 염 또는 수화물({1}) 표기가 있습니다. 제품을 확인하십시오."},
    Text{WarningCode::release_form, "release_form",
         "\"{0}\" names a release form ({1}) that the formulary does not list for this drug.",
         "\"{0}\": 목록에 없는 방출 제형({1}) 표기가 있습니다. 제품을 확인하십시오."},
    Text{WarningCode::strength_unlisted, "strength_unlisted",
         "The strength {0} is not listed for this drug (listed: {1}).",
         "함량 {0}: 이 약의 목록에 없는 함량입니다(목록: {1})."},
    Text{WarningCode::strength_differs, "strength_differs",
         "This may be {0}, but its strengths are others ({1}) and the reading is not certain; check drug and strength "
         "on the page.",
         "{0}일 수 있으나 함량이 목록과 다르고({1}) 판독이 확실하지 않습니다. 처방전에서 약 이름과 함량을 "
         "확인하십시오."},
    Text{WarningCode::dosage_missing, "dosage_missing", "No strength was read for \"{0}\"; check it on the page.",
         "\"{0}\": 함량을 읽지 못했습니다. 처방전에서 확인하십시오."},
    Text{WarningCode::dosage_unreadable, "dosage_unreadable",
         "The strength of \"{0}\" was read as \"{1}\", which is no number with a unit.",
         "\"{0}\": 함량이 \"{1}\"(으)로 읽혔으나 숫자와 단위로 해석할 수 없습니다."},
    Text{WarningCode::dosage_repaired, "dosage_repaired",
         "The strength of \"{0}\" holds letters that were taken for digits ({1}); check it.",
         "\"{0}\": 함량의 글자를 숫자로 고쳐 읽었습니다({1}). 처방전을 확인하십시오."},
    Text{WarningCode::dosage_conflict, "dosage_conflict",
         "Two different strengths were read for \"{0}\" (also {1}); check them.",
         "\"{0}\": 서로 다른 함량이 읽혔습니다(다른 값: {1}). 처방전을 확인하십시오."},
    Text{WarningCode::low_confidence, "low_confidence",
         "The reading of \"{0}\" is not certain enough ({1}); compare it with the page.",
         "\"{0}\": 판독 신뢰도가 낮습니다({1}). 처방전과 대조하십시오."},
    Text{WarningCode::confidence_unknown, "confidence_unknown",
         "The model gave no probabilities for \"{0}\"; compare it with the page.",
         "\"{0}\": 모델이 확률을 제공하지 않아 신뢰도를 알 수 없습니다. 처방전과 대조하십시오."},
};

const Text& text_of(WarningCode code) {
    for (const Text& t : kTexts)
        if (t.code == code) return t;
    return kTexts[0];
}

std::string fill(std::string_view pattern, std::string_view subject, std::string_view detail) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const std::string_view rest = pattern.substr(i);
        if (rest.starts_with("{0}") || rest.starts_with("{1}")) {
            out += rest[1] == '0' ? subject : detail;
            i += 2;
        } else {
            out.push_back(pattern[i]);
        }
    }
    return out;
}

}  // namespace

std::string_view code_name(WarningCode code) {
    return text_of(code).name;
}

Warning make_warning(WarningCode code, std::string_view subject, std::string_view detail) {
    const Text& t = text_of(code);
    return {std::string(t.name), fill(t.en, subject, detail), fill(t.ko, subject, detail)};
}

}  // namespace vlm::drug_validator
