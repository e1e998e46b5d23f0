/** @file extract_lines.cpp
 *  The fallback for models that answer in their own words. A name is the run of words right before a strength, as far
 * back as words can belong to a name: the whole run is compared later, never a part of it, so that "levo cetirizine 5
 * mg" cannot turn into cetirizine.
 */
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "dosage.hpp"
#include "extract.hpp"
#include "name_words.hpp"
#include "schedule.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

/** Words that end a name: instructions, labels, small words of English and Korean prose. */
constexpr std::array<std::string_view, 136> kStopWords{
    "a",         "an",        "the",       "and",        "or",           "of",
    "with",      "for",       "to",        "in",         "is",           "are",
    "was",       "at",        "on",        "by",         "take",         "takes",
    "taking",    "give",      "given",     "use",        "start",        "continue",
    "stop",      "add",       "prescribe", "prescribed", "prescription", "prescribes",
    "lists",     "list",      "shows",     "contains",   "includes",     "patient",
    "doctor",    "name",      "drug",      "drugs",      "medication",   "medications",
    "medicine",  "medicines", "dose",      "dosage",     "strength",     "amount",
    "frequency", "duration",  "sig",       "rx",         "date",         "daily",
    "day",       "days",      "once",      "twice",      "thrice",       "times",
    "time",      "every",     "each",      "per",        "hours",        "hour",
    "weeks",     "week",      "x",         "bid",        "tid",          "qid",
    "qd",        "prn",       "hs",        "qhs",        "before",       "after",
    "meals",     "meal",      "bedtime",   "morning",    "evening",      "night",
    "mouth",     "as",        "needed",    "one",        "two",          "three",
    "should",    "be",        "also",      "then",       "this",         "following",
    "it",        "weight",    "bp",        "total",      "price",        "no",
    "none",      "qty",       "quantity",  "directions", "instructions", "page",
    "image",     "there",     "take:",     "printed",    "signature",    "md",
    "clinic",    "hospital",  "pharmacy",  "환자",       "성명",         "처방",
    "처방전",    "처방약",    "약품명",    "약명",       "약품",         "용량",
    "용법",      "복용법",    "복용",      "하루",       "매일",         "식후",
    "식전",      "아침",      "저녁"};
constexpr std::array<std::string_view, 12> kStopBeginnings{"점심", "취침", "투약", "횟수", "일수", "체중",
                                                           "혈압", "합계", "금액", "병원", "약국", "의원"};

struct Word {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool stop = false;    ///< cannot be part of a name
    bool form = false;    ///< a form: part of a name, but none alone
    bool broken = false;  ///< a sign before it parts it from the word before
};

/** A line cut into words of letters, with places in the answer. */
std::vector<Word> words_of(std::string_view line, std::size_t base) {
    const FoldedText f = fold(line);
    std::vector<Word> out;
    bool broken = true;
    for (std::size_t i = 0; i < f.text.size();) {
        const char32_t c = f.text[i];
        if (!is_latin(c) && !is_hangul(c) && !is_digit(c)) {
            // Signs that may stand inside a name keep the run; a slash and a plus join the substances of a combination.
            const bool inside = is_space(c) || c == U'-' || c == U'(' || c == U')' || c == U'/' || c == U'+' ||
                                c == U'*' || c == U'_' || c == U'`';
            broken = broken || !inside;
            ++i;
            continue;
        }
        std::size_t end = i;
        std::u32string word;
        while (end < f.text.size() && (is_latin(f.text[end]) || is_hangul(f.text[end]) || is_digit(f.text[end])))
            word.push_back(f.text[end++]);
        const std::string text = encode_utf8(word);
        Word w{base + f.offset[i], base + f.offset[end], false, is_form_word(text) || is_note_word(text), broken};
        w.stop = is_digit(word[0]) || std::find(kStopWords.begin(), kStopWords.end(), text) != kStopWords.end() ||
                 std::any_of(kStopBeginnings.begin(), kStopBeginnings.end(),
                             [&](std::string_view b) { return text.starts_with(b); });
        out.push_back(w);
        broken = false;
        i = end;
    }
    return out;
}

/** Whether the words are more than forms and at least three letters long. */
bool is_name(const std::vector<Word>& words, std::size_t first, std::size_t last) {
    std::size_t bytes = 0;
    for (std::size_t i = first; i < last; ++i)
        if (!words[i].form) bytes += words[i].end - words[i].begin;
    return bytes >= 3;
}

class LineReader {
  public:
    LineReader(std::string_view text, std::vector<DrugFields>& out) : text_(text), out_(out) {}

    void read(std::size_t begin, std::size_t end) {
        const std::string_view line = text_.substr(begin, end - begin);
        std::vector<Dosage> dosages = find_dosages(line);
        for (Dosage& d : dosages) {
            d.begin += begin;
            d.end += begin;
        }
        if (dosages.empty()) return read_without_strength(begin, end);
        std::vector<DrugFields> found;
        std::size_t from = begin;
        for (const Dosage& d : dosages) {
            DrugFields drug;
            drug.dose = field(d.begin, d.end);
            drug.name = name_before(from, d.begin);
            if (drug.name.empty()) drug.name = name_after_of(d.end, end);
            if (drug.name.empty() && !found.empty()) {
                // A second amount of the same drug ("500 mg, take 5 ml"): part of its schedule.
                continue;
            }
            from = d.end;
            found.push_back(std::move(drug));
        }
        for (std::size_t i = 0; i < found.size(); ++i) {
            const std::size_t after = std::max(found[i].dose.end, found[i].name.end);
            const std::size_t until =
                i + 1 < found.size() ? std::min(found[i + 1].name.begin, found[i + 1].dose.begin) : end;
            if (after < until) found[i].schedule = field(after, until);
            if (i == 0 && !found[0].name.empty() && parse_schedule(found[0].schedule.text).empty())
                found[0].schedule = field(begin, std::min(found[0].name.begin, found[0].dose.begin));
            // "Take 5 ml twice daily" below a drug is its schedule, not a strength.
            if (found[i].name.empty() && !out_.empty()) {
                found[i].schedule = field(begin, end);
                const bool volume = find_dosage(found[i].dose.text)
                                        .value_or(Dosage{{Quantity{}}, {}, {}, 0, 0, false})
                                        .amounts[0]
                                        .unit == "ml";
                if (volume || !parse_schedule(found[i].schedule.text).empty()) found[i].dose = {};
            }
            out_.push_back(std::move(found[i]));
        }
    }

  private:
    Field field(std::size_t begin, std::size_t end) const {
        const std::string_view inner = trim(text_.substr(begin, end - begin));
        return {std::string(inner), begin, end};
    }

    /** A name field over words [first, last), with brackets that belong to it. */
    Field name_field(const std::vector<Word>& words, std::size_t first, std::size_t last) const {
        return {std::string(text_.substr(words[first].begin, words[last - 1].end - words[first].begin)),
                words[first].begin, words[last - 1].end};
    }

    Field name_before(std::size_t begin, std::size_t end) const {
        const std::vector<Word> words = words_of(text_.substr(begin, end - begin), begin);
        std::size_t last = words.size();
        std::size_t first = last;
        while (first > 0 && !words[first - 1].stop) {
            --first;
            if (words[first].broken && !(is_single_letter_mark(words, first))) break;
        }
        if (first == last || !is_name(words, first, last)) return {};
        return name_field(words, first, last);
    }

    /** A break before a word does not end a name when nothing but a form stands after it ("Amlodipine, tab 5 mg"). */
    static bool is_single_letter_mark(const std::vector<Word>& words, std::size_t first) {
        for (std::size_t i = first; i < words.size(); ++i)
            if (!words[i].form) return false;
        return true;
    }

    /** "5 mg of amlodipine", "5 mg amlodipine". */
    Field name_after_of(std::size_t begin, std::size_t end) const {
        const std::vector<Word> words = words_of(text_.substr(begin, end - begin), begin);
        std::size_t first = 0;
        if (first < words.size() && text_.substr(words[0].begin, words[0].end - words[0].begin) == "of") ++first;
        std::size_t last = first;
        while (last < words.size() && !words[last].stop && (last == first || !words[last].broken)) ++last;
        if (first == last ||
            (first < words.size() && first == 0 && words[0].broken && has_sign(begin, words[0].begin)) ||
            !is_name(words, first, last))
            return {};
        return name_field(words, first, last);
    }

    bool has_sign(std::size_t begin, std::size_t end) const {
        return text_.substr(begin, end - begin).find_first_not_of(" \t") != std::string_view::npos;
    }

    void read_without_strength(std::size_t begin, std::size_t end) {
        const std::vector<Word> words = words_of(text_.substr(begin, end - begin), begin);
        std::vector<DrugFields> found;
        for (std::size_t i = 0; i < words.size();) {
            std::size_t last = i;
            while (last < words.size() && !words[last].stop && (last == i || !words[last].broken)) ++last;
            if (last > i && is_name(words, i, last)) {
                DrugFields drug;
                drug.tentative = true;
                drug.name = name_field(words, i, last);
                found.push_back(std::move(drug));
            }
            i = std::max(last, i + 1);
        }
        for (std::size_t i = 0; i < found.size(); ++i)
            found[i].schedule = field(found[i].name.end, i + 1 < found.size() ? found[i + 1].name.begin : end);
        if (found.empty()) {
            DrugFields rest;
            rest.schedule = field(begin, end);
            if (!parse_schedule(rest.schedule.text).empty()) found.push_back(std::move(rest));
        }
        std::move(found.begin(), found.end(), std::back_inserter(out_));
    }

    std::string_view text_;
    std::vector<DrugFields>& out_;
};

}  // namespace

std::vector<DrugFields> extract_lines(std::string_view text) {
    std::vector<DrugFields> out;
    LineReader reader(text, out);
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        reader.read(begin, end);
        begin = end + 1;
    }
    return out;
}

}  // namespace vlm::drug_validator
