/** @file name_words.cpp
 *  Of several Korean suffixes that fit, the longest is cut. Forms that are also the end of many names (산 for powder is
 *  "acid" too) are safe to list, because the matcher tries the uncut name first.
 */
#include "name_words.hpp"

#include <algorithm>
#include <array>

namespace vlm::drug_validator {
namespace {

constexpr std::array<std::string_view, 52> kForms{
    "tab",      "tabs",    "tablet",    "tablets",  "cap",        "caps",        "capsule",     "capsules", "syr",
    "syrup",    "inj",     "injection", "susp",     "suspension", "soln",        "solution",    "cream",    "oint",
    "ointment", "gel",     "drops",     "drop",     "powder",     "patch",       "spray",       "inhaler",  "vial",
    "amp",      "ampoule", "granule",   "granules", "odt",        "po",          "oral",        "film",     "coated",
    "fc",       "ec",      "enteric",   "chewable", "softgel",    "lozenge",     "suppository", "supp",     "elixir",
    "lotion",   "t",       "c",         "tbl",      "pill",       "dispersible", "sublingual"};
constexpr std::array<std::string_view, 18> kReleases{"xr",   "sr",       "er",        "cr",      "xl",      "la",
                                                     "mr",   "pr",       "dr",        "ir",      "xt",      "retard",
                                                     "oros", "extended", "sustained", "release", "delayed", "modified"};
constexpr std::array<std::string_view, 44> kSalts{
    "hydrochloride", "hcl",       "besylate",  "besilate", "maleate",   "sodium",      "potassium",       "calcium",
    "magnesium",     "succinate", "tartrate",  "fumarate", "mesylate",  "mesilate",    "hydrobromide",    "hbr",
    "sulfate",       "sulphate",  "phosphate", "citrate",  "acetate",   "hydrate",     "monohydrate",     "dihydrate",
    "trihydrate",    "medoxomil", "cilexetil", "axetil",   "etexilate", "camsylate",   "bisulfate",       "bitartrate",
    "nicotinate",    "orotate",   "erbumine",  "arginine", "anhydrous", "hemihydrate", "dihydrochloride", "besilat",
    "oxalate",       "tosylate",  "proxetil",  "pamoate"};
constexpr std::array<std::string_view, 24> kNotes{
    "급여",   "비급여", "보험", "원내", "원외",   "내복", "내복약",  "외용",  "주사약", "전문", "일반", "신규",
    "필요시", "prn",    "stat", "new",  "refill", "rx",   "generic", "brand", "qty",    "약",   "rp",   "drug"};
constexpr std::array<std::string_view, 40> kKoreanForms{
    "구강붕해정", "필름코팅정", "연질캡슐", "경질캡슐", "건조시럽", "점안현탁액", "주사용분말", "흡입캡슐",
    "츄어블정",   "발포정",     "설하정",   "현탁액",   "점안액",   "흡입액",     "주사액",     "주사제",
    "흡입제",     "프리필드",   "트로키",   "캡슐",     "캅셀",     "시럽",       "과립",       "세립",
    "크림",       "연고",       "패취",     "패치",     "주사",     "좌제",       "엑스",       "로션",
    "스프레이",   "분말",       "정",       "액",       "산",       "주",         "겔",         "환"};
constexpr std::array<std::string_view, 12> kKoreanReleases{
    "서방형", "서방성", "서방", "장용성", "장용", "연질", "경질", "구강붕해", "필름코팅", "속붕", "츄어블", "설하"};
constexpr std::array<std::string_view, 40> kKoreanSalts{
    "브롬화수소산염", "타르타르산염", "타르타르산", "이염산염",   "베실산염",  "베실레이트", "메실산염",
    "말레산염",       "숙신산염",     "푸마르산염", "시트르산염", "구연산염",  "아세트산염", "니코틴산염",
    "오로트산염",     "캄실산염",     "황산수소염", "옥살산염",   "토실산염",  "염산염",     "황산염",
    "인산염",         "질산염",       "일수화물",   "이수화물",   "삼수화물",  "반수화물",   "무수물",
    "수화물",         "나트륨",       "칼륨",       "칼슘",       "마그네슘",  "메독소밀",   "실렉세틸",
    "악세틸",         "에텍실레이트", "에르부민",   "아르기닌",   "에르부민염"};

template <typename Table>
bool contains(const Table& table, std::string_view word) {
    return std::find(table.begin(), table.end(), word) != table.end();
}

template <typename Table>
Stripped strip(const Table& table, std::string_view word) {
    std::string_view longest;
    for (std::string_view suffix : table)
        if (word.size() > suffix.size() && word.ends_with(suffix) && suffix.size() > longest.size()) longest = suffix;
    return {std::string(word.substr(0, word.size() - longest.size())), std::string(longest)};
}

}  // namespace

bool is_form_word(std::string_view word) {
    return contains(kForms, word);
}
bool is_release_word(std::string_view word) {
    return contains(kReleases, word);
}
bool is_salt_word(std::string_view word) {
    return contains(kSalts, word);
}
bool is_note_word(std::string_view word) {
    return contains(kNotes, word);
}
Stripped strip_korean_form(std::string_view word) {
    return strip(kKoreanForms, word);
}
Stripped strip_korean_release(std::string_view word) {
    return strip(kKoreanReleases, word);
}
Stripped strip_korean_salt(std::string_view word) {
    return strip(kKoreanSalts, word);
}

}  // namespace vlm::drug_validator
