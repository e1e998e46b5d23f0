/** @file schedule.cpp
 *  The text is cut into numbers, words and signs first; then small rules look at a few neighbours each. Korean writes
 * number and unit together with particles after it (7일분, 1정씩), so Hangul words are matched by their beginning,
 * Latin words as a whole.
 */
#include "schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "dosage.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

constexpr double kMaxTimes = 24;
constexpr double kMaxDays = 366;
constexpr double kMaxAmount = 1000;

struct Token {
    enum class Kind { number, word, hangul, sign } kind = Kind::sign;
    std::string text;
    double value = 0;
};
using Kind = Token::Kind;

using Entry = std::pair<std::string_view, std::string_view>;

constexpr std::array kLatinAmounts{
    Entry{"tab", "tablet"},
    Entry{"tabs", "tablet"},
    Entry{"tablet", "tablet"},
    Entry{"tablets", "tablet"},
    Entry{"t", "tablet"},
    Entry{"cap", "capsule"},
    Entry{"caps", "capsule"},
    Entry{"capsule", "capsule"},
    Entry{"capsules", "capsule"},
    Entry{"c", "capsule"},
    Entry{"ml", "ml"},
    Entry{"cc", "ml"},
    Entry{"mg", "mg"},
    Entry{"g", "g"},
    Entry{"mcg", "mcg"},
    Entry{"unit", "unit"},
    Entry{"units", "unit"},
    Entry{"u", "unit"},
    Entry{"iu", "unit"},
    Entry{"drop", "drop"},
    Entry{"drops", "drop"},
    Entry{"gtt", "drop"},
    Entry{"puff", "puff"},
    Entry{"puffs", "puff"},
    Entry{"packet", "packet"},
    Entry{"packets", "packet"},
    Entry{"pack", "packet"},
    Entry{"sachet", "packet"},
    Entry{"sachets", "packet"},
    Entry{"pkt", "packet"},
    Entry{"tsp", "spoon"},
    Entry{"spoon", "spoon"},
    Entry{"patch", "patch"},
    Entry{"pill", "piece"},
    Entry{"pills", "piece"},
    Entry{"amp", "ampoule"},
};
constexpr std::array kHangulAmounts{
    Entry{"정", "tablet"},     Entry{"캡슐", "capsule"}, Entry{"캅셀", "capsule"}, Entry{"포", "packet"},
    Entry{"알", "piece"},      Entry{"개", "piece"},     Entry{"환", "piece"},     Entry{"방울", "drop"},
    Entry{"병", "bottle"},     Entry{"앰플", "ampoule"}, Entry{"매", "patch"},     Entry{"장", "patch"},
    Entry{"패치", "patch"},    Entry{"스푼", "spoon"},   Entry{"숟갈", "spoon"},   Entry{"퍼프", "puff"},
    Entry{"분무", "puff"},     Entry{"밀리리터", "ml"},  Entry{"밀리그램", "mg"},  Entry{"단위", "unit"},
    Entry{"타블렛", "tablet"}, Entry{"봉", "packet"},
};
using Counted = std::pair<std::string_view, double>;
constexpr std::array kEnglishNumbers{Counted{"one", 1},    Counted{"two", 2},   Counted{"three", 3},
                                     Counted{"four", 4},   Counted{"five", 5},  Counted{"six", 6},
                                     Counted{"half", 0.5}, Counted{"seven", 7}, Counted{"ten", 10}};
constexpr std::array kKoreanNumbers{Counted{"한", 1}, Counted{"두", 2}, Counted{"세", 3}, Counted{"네", 4},
                                    Counted{"다섯", 5}};
/** Latin abbreviations of frequency (qod and weekly are deliberately not here). */
constexpr std::array kFrequencies{
    Counted{"qd", 1},  Counted{"od", 1},  Counted{"daily", 1}, Counted{"bid", 2},     Counted{"bd", 2},
    Counted{"tid", 3}, Counted{"tds", 3}, Counted{"qid", 4},   Counted{"qds", 4},     Counted{"hs", 1},
    Counted{"qhs", 1}, Counted{"qam", 1}, Counted{"qpm", 1},   Counted{"bedtime", 1}, Counted{"nightly", 1},
    Counted{"am", 1},  Counted{"pm", 1},
};
constexpr std::array kCounts{Counted{"once", 1}, Counted{"twice", 2}, Counted{"thrice", 3}};
constexpr std::array<std::string_view, 6> kNotDaily{"weekly", "week", "qod", "monthly", "month", "biweekly"};
constexpr std::array<std::string_view, 5> kNotDailyHangul{"격일", "매주", "주일에", "격주", "매월"};

template <typename Table>
auto find_word(const Table& table, std::string_view word) {
    return std::find_if(table.begin(), table.end(), [&](const auto& e) { return e.first == word; });
}

/** "t.i.d." becomes "tid"; a fraction "1/2" becomes one number; "1일" becomes a number and a Hangul word. */
std::vector<Token> tokenize(std::string_view text) {
    std::vector<Token> out;
    const std::u32string s = fold(text).text;
    for (std::size_t i = 0; i < s.size();) {
        if (is_space(s[i])) {
            ++i;
        } else if (is_digit(s[i]) || (s[i] == U'.' && i + 1 < s.size() && is_digit(s[i + 1]))) {
            const std::optional<Number> n = read_number(s, i, false);
            if (!n) {
                // Zero (as in "1-0-1") or far too long: kept as zero, which no rule takes for an amount.
                while (i < s.size() && (is_digit(s[i]) || s[i] == U'.' || s[i] == U',')) ++i;
                out.push_back({Kind::number, "0", 0});
                continue;
            }
            double value = n->value;
            i = n->end;
            if (i + 1 < s.size() && s[i] == U'/' && is_digit(s[i + 1]))
                if (const std::optional<Number> below = read_number(s, i + 1, false);
                    below && value < below->value && below->value <= 10) {
                    value /= below->value;
                    i = below->end;
                }
            out.push_back({Kind::number, n->canonical, value});
        } else if (is_latin(s[i]) || is_hangul(s[i])) {
            const bool latin = is_latin(s[i]);
            std::u32string word;
            while (i < s.size() && (latin ? is_latin(s[i]) : is_hangul(s[i]))) {
                word.push_back(s[i++]);
                if (latin && word.size() < 4 && i + 1 < s.size() && s[i] == U'.' && is_latin(s[i + 1]) &&
                    (i + 2 >= s.size() || !is_latin(s[i + 2])))
                    ++i;
            }
            out.push_back({latin ? Kind::word : Kind::hangul, encode_utf8(word), 0});
        } else {
            out.push_back({Kind::sign, encode_utf8(std::u32string_view(s).substr(i, 1)), 0});
            ++i;
        }
    }
    return out;
}

/** Reads the tokens from left to right; a part that is already known is not overwritten. */
class Reader {
  public:
    explicit Reader(std::string_view text) : tokens_(tokenize(text)) {
        not_daily_ = std::any_of(tokens_.begin(), tokens_.end(), [](const Token& t) {
            const auto begins = [&](std::string_view w) { return t.text.starts_with(w); };
            return t.kind == Kind::word ? std::find(kNotDaily.begin(), kNotDaily.end(), t.text) != kNotDaily.end()
                                        : std::any_of(kNotDailyHangul.begin(), kNotDailyHangul.end(), begins);
        });
    }

    Schedule read() {
        read_product();
        read_pattern();
        for (pos_ = 0; pos_ < tokens_.size(); ++pos_) {
            if (tokens_[pos_].kind == Kind::number) read_number_rules(tokens_[pos_].value);
            if (tokens_[pos_].kind == Kind::word) read_word();
            if (tokens_[pos_].kind == Kind::hangul) read_hangul();
        }
        if (!out_.times_per_day && day_parts_ > 0) set_times(day_parts_);
        if (!out_.times_per_day && daily_) set_times(1);
        if (not_daily_) out_.times_per_day.reset();
        return out_;
    }

    /** The only number of the text, when there is exactly one token that is a number and nothing else of meaning. */
    std::optional<double> bare_number() const {
        return tokens_.size() == 1 && tokens_[0].kind == Kind::number && tokens_[0].value > 0
                   ? std::optional(tokens_[0].value)
                   : std::nullopt;
    }

  private:
    const Token& peek(std::size_t ahead) const {
        static const Token none;
        return pos_ + ahead < tokens_.size() ? tokens_[pos_ + ahead] : none;
    }
    bool is_word(std::size_t ahead, std::string_view word) const {
        return peek(ahead).kind == Kind::word && peek(ahead).text == word;
    }
    bool hangul_begins(std::size_t ahead, std::string_view word) const {
        return peek(ahead).kind == Kind::hangul && peek(ahead).text.starts_with(word);
    }
    bool times_sign(std::size_t ahead) const { return is_word(ahead, "x") || peek(ahead).text == "*"; }

    void set_times(double n) {
        if (!out_.times_per_day && n > 0 && n <= kMaxTimes) out_.times_per_day = n;
    }
    void set_days(double n) {
        if (!out_.days && n >= 1 && n <= kMaxDays && n == std::floor(n)) out_.days = static_cast<int>(n);
    }
    void set_amount(double n, std::string_view unit) {
        if (!out_.per_dose && n > 0 && n <= kMaxAmount) out_.per_dose = DoseAmount{n, std::string(unit)};
    }

    std::string_view amount_unit(std::size_t ahead) const {
        const Token& t = peek(ahead);
        if (t.kind == Kind::word) {
            const auto it = find_word(kLatinAmounts, t.text);
            return it == kLatinAmounts.end() ? std::string_view{} : it->second;
        }
        if (t.kind == Kind::hangul)
            for (const Entry& e : kHangulAmounts)
                if (t.text.starts_with(e.first)) return e.second;
        return {};
    }

    /** "1T x 3 x 7": amount, times, days. */
    void read_product() {
        for (pos_ = 0; pos_ < tokens_.size(); ++pos_) {
            if (peek(0).kind != Kind::number) continue;
            const std::string_view unit = amount_unit(1);
            const std::size_t next = unit.empty() ? 1 : 2;
            if (!times_sign(next) || peek(next + 1).kind != Kind::number || !times_sign(next + 2) ||
                peek(next + 3).kind != Kind::number)
                continue;
            set_amount(peek(0).value, unit);
            set_times(peek(next + 1).value);
            set_days(peek(next + 3).value);
            return;
        }
    }

    /** "1-0-1": morning, noon, evening, each a small count. */
    void read_pattern() {
        for (pos_ = 0; pos_ + 4 < tokens_.size(); ++pos_) {
            double sum = 0;
            double largest = 0;
            int taken = 0;
            bool fits = true;
            for (std::size_t k = 0; k < 5; ++k) {
                const Token& t = peek(k);
                fits = fits && (k % 2 == 0 ? t.kind == Kind::number && t.value <= 4 : t.text == "-");
                if (k % 2 == 0 && t.value > 0) {
                    ++taken;
                    sum += t.value;
                    largest = std::max(largest, t.value);
                }
            }
            if (!fits || taken == 0 || peek(5).text == "-") continue;
            set_times(taken);
            if (sum == largest * taken) set_amount(largest, "");
            return;
        }
    }

    void read_number_rules(double n) {
        if (peek(1).kind == Kind::hangul) return read_korean_number(n);
        if (peek(1).kind == Kind::sign) {
            if (peek(1).text == "/" && (is_word(2, "day") || is_word(2, "d") || hangul_begins(2, "일"))) set_times(n);
            return;
        }
        if (is_word(1, "days") || is_word(1, "day") || (is_word(1, "d") && pos_ > 0)) return set_days(n);
        if (is_word(1, "weeks") || is_word(1, "wk") || is_word(1, "wks") || (is_word(1, "week") && pos_ > 0)) {
            not_daily_ = not_daily_ && !is_word(1, "week");
            return set_days(n * 7);
        }
        if (is_word(1, "times") ||
            (is_word(1, "x") && (is_word(2, "daily") || is_word(2, "day") || peek(2).text == "/")))
            return set_times(n);
        if (const std::string_view unit = amount_unit(1); !unit.empty()) set_amount(n, unit);
    }

    void read_korean_number(double n) {
        const std::string& word = peek(1).text;
        const auto begins = [&](std::string_view w) { return word.starts_with(w); };
        if (begins("회") || begins("번")) {
            // "1회 1정" and "1회당" name the single dose; "1주 1회" is no daily frequency.
            const bool label = begins("회당") || begins("회량") || begins("회용량") || begins("회투") ||
                               begins("회분") || begins("회에") ||
                               (n == 1 && peek(2).kind == Kind::number && !after_day_label());
            if (!label) set_times(n);
        } else if (begins("일")) {
            const bool label = n == 1 && (peek(2).kind == Kind::number || begins("일에") || starts_with_count(2));
            const bool date = pos_ > 0 && tokens_[pos_ - 1].text.starts_with("월");
            if (!label && !date && !begins("일마다")) set_days(n);
            if (begins("일마다") && n > 1) not_daily_ = true;
        } else if (begins("주")) {
            const bool count_follows =
                peek(2).kind == Kind::number && (hangul_begins(3, "회") || hangul_begins(3, "번"));
            if (count_follows && !begins("주분") && !begins("주간") && !begins("주치"))
                not_daily_ = true;
            else
                set_days(n * 7);
        } else if (begins("시간")) {
            if (n > 0) set_times(std::floor(24 / n));
        } else if (const std::string_view unit = amount_unit(1); !unit.empty()) {
            set_amount(n, unit);
        }
    }

    bool after_day_label() const {
        return pos_ > 0 && (tokens_[pos_ - 1].text == "일" || tokens_[pos_ - 1].text.starts_with("하루") ||
                            tokens_[pos_ - 1].text == "매일");
    }

    bool starts_with_count(std::size_t ahead) const {
        return std::any_of(kKoreanNumbers.begin(), kKoreanNumbers.end(),
                           [&](const Counted& c) { return hangul_begins(ahead, c.first); });
    }

    void read_word() {
        const std::string& word = peek(0).text;
        if (word == "prn") out_.as_needed = true;
        if (word == "needed" && pos_ > 0 && tokens_[pos_ - 1].text == "as") out_.as_needed = true;
        if (word == "every" || word == "q") {
            if (peek(1).kind == Kind::number &&
                (is_word(2, "hours") || is_word(2, "h") || is_word(2, "hrs") || is_word(2, "hr") || is_word(2, "hour")))
                return set_times(std::floor(24 / std::max(peek(1).value, 1.0)));
            if (peek(1).kind == Kind::number && (is_word(2, "days") || is_word(2, "d")) && peek(1).value > 1) {
                not_daily_ = true;
                ++pos_;  // "every 2 days" is no duration
                return;
            }
            if (is_word(1, "other")) not_daily_ = true;
            if (is_word(1, "day") || is_word(1, "morning") || is_word(1, "evening") || is_word(1, "night"))
                daily_ = true;
        }
        if (const auto it = find_word(kCounts, word); it != kCounts.end()) return set_times(it->second);
        if (const auto it = find_word(kEnglishNumbers, word); it != kEnglishNumbers.end()) {
            if (is_word(1, "times")) return set_times(it->second);
            if (is_word(1, "days")) return set_days(it->second);
            if (const std::string_view unit = amount_unit(1); !unit.empty()) return set_amount(it->second, unit);
            if (word == "half" && is_word(1, "a") && !amount_unit(2).empty())
                return set_amount(it->second, amount_unit(2));
        }
        if (const auto it = find_word(kFrequencies, word); it != kFrequencies.end()) {
            // "three times daily" is counted by its number; "daily" alone, or a day part, means once only if nothing
            // else does.
            if (it->second == 1)
                daily_ = true;
            else
                set_times(it->second);
        }
    }

    void read_hangul() {
        std::string_view word = peek(0).text;
        if (word.starts_with("필요시") || word.starts_with("필요할")) out_.as_needed = true;
        for (std::string_view part : {"아침", "점심", "저녁", "취침", "자기전"})
            if (word.find(part) != std::string_view::npos) ++day_parts_;
        if (word.starts_with("매식") || word.starts_with("매 식")) day_parts_ = 3;
        const bool counted = pos_ > 0 && tokens_[pos_ - 1].kind == Kind::number;
        if (!counted && (word == "주" || word == "주에") && peek(1).kind == Kind::number) not_daily_ = true;
        if (word.starts_with("하루")) word.remove_prefix(std::string_view("하루").size());
        if (word.starts_with("에")) word.remove_prefix(std::string_view("에").size());
        for (const Counted& c : kKoreanNumbers) {
            if (!word.starts_with(c.first)) continue;
            const std::string_view rest = word.substr(c.first.size());
            if (rest.starts_with("번") || rest.starts_with("차례") || (rest.empty() && hangul_begins(1, "번")))
                return set_times(c.second);
            if (rest.starts_with("알") || rest.starts_with("정"))
                return set_amount(c.second, rest.starts_with("알") ? "piece" : "tablet");
        }
        if (word.starts_with("반정") || word.starts_with("반알"))
            set_amount(0.5, word.starts_with("반정") ? "tablet" : "piece");
    }

    std::vector<Token> tokens_;
    std::size_t pos_ = 0;
    Schedule out_;
    int day_parts_ = 0;
    bool daily_ = false;
    bool not_daily_ = false;
};

}  // namespace

Schedule parse_schedule(std::string_view text) {
    return Reader(text).read();
}

std::optional<DoseAmount> parse_per_dose(std::string_view text) {
    Reader reader(text);
    if (const auto n = reader.bare_number()) return *n <= kMaxAmount ? std::optional(DoseAmount{*n, ""}) : std::nullopt;
    return reader.read().per_dose;
}

std::optional<double> parse_times_per_day(std::string_view text) {
    Reader reader(text);
    if (const auto n = reader.bare_number()) return *n <= kMaxTimes ? n : std::nullopt;
    return reader.read().times_per_day;
}

std::optional<int> parse_days(std::string_view text) {
    Reader reader(text);
    if (const auto n = reader.bare_number())
        return *n <= kMaxDays && *n == std::floor(*n) ? std::optional(static_cast<int>(*n)) : std::nullopt;
    return reader.read().days;
}

}  // namespace vlm::drug_validator
