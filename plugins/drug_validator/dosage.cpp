/** @file dosage.cpp
 *  A hand-written scanner over folded text. Regular expressions were not used: std::regex knows no UTF-8 and recurses
 * on long input. A strength is a number that is followed by a unit; a number without one (dates, prices, counts) is
 * never taken for a strength.
 */
#include "dosage.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace vlm::drug_validator {
namespace {

constexpr std::size_t kMaxIntegerDigits = 9;
constexpr std::size_t kMaxFractionDigits = 6;

enum class Dimension { mass, volume, activity, percent, equivalent, molar, one, time };

struct Unit {
    std::u32string_view spelling;
    std::string_view name;
    Dimension dimension;
    double factor;  ///< to mg, ml, unit, %, mEq, mmol, one, hours
};

constexpr std::array kUnits{
    Unit{U"mg", "mg", Dimension::mass, 1},
    Unit{U"mgs", "mg", Dimension::mass, 1},
    Unit{U"milligram", "mg", Dimension::mass, 1},
    Unit{U"milligrams", "mg", Dimension::mass, 1},
    Unit{U"밀리그램", "mg", Dimension::mass, 1},
    Unit{U"밀리그람", "mg", Dimension::mass, 1},
    Unit{U"미리그램", "mg", Dimension::mass, 1},
    Unit{U"미리그람", "mg", Dimension::mass, 1},
    Unit{U"g", "g", Dimension::mass, 1000},
    Unit{U"gm", "g", Dimension::mass, 1000},
    Unit{U"gram", "g", Dimension::mass, 1000},
    Unit{U"grams", "g", Dimension::mass, 1000},
    Unit{U"그램", "g", Dimension::mass, 1000},
    Unit{U"그람", "g", Dimension::mass, 1000},
    Unit{U"mcg", "mcg", Dimension::mass, 1e-3},
    Unit{U"mcgs", "mcg", Dimension::mass, 1e-3},
    Unit{U"μg", "mcg", Dimension::mass, 1e-3},
    Unit{U"ug", "mcg", Dimension::mass, 1e-3},
    Unit{U"microgram", "mcg", Dimension::mass, 1e-3},
    Unit{U"micrograms", "mcg", Dimension::mass, 1e-3},
    Unit{U"마이크로그램", "mcg", Dimension::mass, 1e-3},
    Unit{U"마이크로그람", "mcg", Dimension::mass, 1e-3},
    Unit{U"ng", "ng", Dimension::mass, 1e-6},
    Unit{U"ml", "ml", Dimension::volume, 1},
    Unit{U"mls", "ml", Dimension::volume, 1},
    Unit{U"cc", "ml", Dimension::volume, 1},
    Unit{U"milliliter", "ml", Dimension::volume, 1},
    Unit{U"millilitre", "ml", Dimension::volume, 1},
    Unit{U"밀리리터", "ml", Dimension::volume, 1},
    Unit{U"l", "l", Dimension::volume, 1000},
    Unit{U"리터", "l", Dimension::volume, 1000},
    Unit{U"iu", "IU", Dimension::activity, 1},
    Unit{U"i.u.", "IU", Dimension::activity, 1},
    Unit{U"i.u", "IU", Dimension::activity, 1},
    Unit{U"국제단위", "IU", Dimension::activity, 1},
    Unit{U"unit", "unit", Dimension::activity, 1},
    Unit{U"units", "unit", Dimension::activity, 1},
    Unit{U"u", "unit", Dimension::activity, 1},
    Unit{U"단위", "unit", Dimension::activity, 1},
    Unit{U"유닛", "unit", Dimension::activity, 1},
    Unit{U"만단위", "unit", Dimension::activity, 1e4},
    Unit{U"meq", "mEq", Dimension::equivalent, 1},
    Unit{U"mmol", "mmol", Dimension::molar, 1},
    Unit{U"%", "%", Dimension::percent, 1},
    Unit{U"퍼센트", "%", Dimension::percent, 1},
    Unit{U"프로", "%", Dimension::percent, 1},
};

/** Units that only a denominator has; "one" marks a single piece, which a plain strength means anyway. */
constexpr std::array kDenominators{
    Unit{U"tab", "", Dimension::one, 1},      Unit{U"tablet", "", Dimension::one, 1},
    Unit{U"t", "", Dimension::one, 1},        Unit{U"cap", "", Dimension::one, 1},
    Unit{U"capsule", "", Dimension::one, 1},  Unit{U"c", "", Dimension::one, 1},
    Unit{U"정", "", Dimension::one, 1},       Unit{U"캡슐", "", Dimension::one, 1},
    Unit{U"포", "", Dimension::one, 1},       Unit{U"dose", "dose", Dimension::one, 1},
    Unit{U"puff", "dose", Dimension::one, 1}, Unit{U"회", "dose", Dimension::one, 1},
    Unit{U"kg", "kg", Dimension::mass, 1e6},  Unit{U"h", "h", Dimension::time, 1},
    Unit{U"hr", "h", Dimension::time, 1},     Unit{U"hour", "h", Dimension::time, 1},
    Unit{U"시간", "h", Dimension::time, 1},   Unit{U"day", "day", Dimension::time, 24},
    Unit{U"일", "day", Dimension::time, 24},
};

/** Letters that may follow a unit without a space: forms and the sign of times ("10mgtab", "10mgx2"). */
constexpr std::array<std::u32string_view, 12> kAfterUnit{U"x", U"tab", U"tabs", U"cap", U"caps",   U"t",
                                                         U"c", U"inj", U"syr",  U"po",  U"tablet", U"capsule"};

const Unit* unit_by_name(std::string_view name) {
    for (const Unit& u : kUnits)
        if (u.name == name) return &u;
    for (const Unit& u : kDenominators)
        if (u.name == name) return &u;
    return nullptr;
}

std::size_t skip_spaces(std::u32string_view s, std::size_t pos) {
    while (pos < s.size() && is_space(s[pos])) ++pos;
    return pos;
}

bool at(std::u32string_view s, std::size_t pos, std::u32string_view word) {
    return s.substr(std::min(pos, s.size())).starts_with(word);
}

/** Whether the text from @p pos on cannot continue a Latin unit that ended there. */
bool unit_ends(std::u32string_view s, std::size_t pos) {
    std::size_t end = pos;
    while (end < s.size() && is_latin(s[end])) ++end;
    if (end == pos) return true;
    return std::find(kAfterUnit.begin(), kAfterUnit.end(), s.substr(pos, end - pos)) != kAfterUnit.end();
}

/** The longest unit at @p pos of @p table, with the index after it. */
template <typename Table>
const Unit* read_unit(std::u32string_view s, std::size_t pos, const Table& table, std::size_t& end) {
    const Unit* best = nullptr;
    for (const Unit& u : table) {
        if (!at(s, pos, u.spelling) || (best && best->spelling.size() >= u.spelling.size())) continue;
        if (is_latin(u.spelling.back()) && !unit_ends(s, pos + u.spelling.size())) continue;
        best = &u;
    }
    if (best) end = pos + best->spelling.size();
    return best;
}

const Unit* read_strength_unit(std::u32string_view s, std::size_t pos, std::size_t& end) {
    return read_unit(s, skip_spaces(s, pos), kUnits, end);
}

std::string format_number(double value) {
    std::string out = std::to_string(value);  // six decimals, as many as read_number keeps
    if (out.find('.') != std::string::npos) {
        out.erase(out.find_last_not_of('0') + 1);
        if (out.back() == '.') out.pop_back();
    }
    return out;
}

Quantity make_quantity(const Number& n, const Unit& u) {
    Quantity q{n.value, n.canonical, std::string(u.name)};
    if (u.dimension == Dimension::activity && u.factor != 1) {
        q.value *= u.factor;
        q.number = format_number(q.value);
    }
    return q;
}

/** A number that may be followed by a unit: read as it is, else with letters repaired. @p unit stays null when there is
 * none. */
std::optional<Number> read_amount(std::u32string_view s, std::size_t pos, const Unit*& unit, std::size_t& end) {
    std::optional<Number> plain = read_number(s, pos, false);
    if (plain) {
        end = plain->end;
        unit = read_strength_unit(s, plain->end, end);
        if (unit) return plain;
    }
    if (std::optional<Number> repaired = read_number(s, pos, true)) {
        std::size_t after = repaired->end;
        if (const Unit* u = read_strength_unit(s, repaired->end, after)) {
            unit = u;
            end = after;
            return repaired;
        }
    }
    return plain;
}

/** Whether a number may begin at @p pos: not inside a number, and after letters only where they are a word ("B12 mg" is
 * no strength). */
bool may_begin(std::u32string_view s, std::size_t pos) {
    if (pos == 0) return true;
    const char32_t before = s[pos - 1];
    if (is_digit(before) ||
        (is_digit(s[pos]) && (before == U'.' || before == U',') && pos >= 2 && is_digit(s[pos - 2])))
        return false;
    std::size_t letters = 0;
    while (letters < 3 && letters < pos && is_latin(s[pos - 1 - letters])) ++letters;
    return letters == 0 || (letters >= 3 && is_digit(s[pos]));
}

std::size_t range_sign(std::u32string_view s, std::size_t pos) {
    for (std::u32string_view sign : {U"to ", U"-", U"~"})
        if (at(s, pos, sign)) return sign.size();
    return 0;
}

/** Reads "/5 ml", "/ml", "/정" after an amount; false when that is no denominator. */
bool read_denominator(std::u32string_view s, std::size_t pos, const Unit& numerator, Dosage& out, std::size_t& end) {
    const std::size_t start = skip_spaces(s, pos);
    const std::optional<Number> n = read_number(s, start, false);
    const std::size_t unit_at = skip_spaces(s, n ? n->end : start);
    std::size_t after = 0;
    const Unit* u = read_unit(s, unit_at, kDenominators, after);
    if (!u) {
        u = read_unit(s, unit_at, kUnits, after);
        const bool container =
            u && (u->dimension == Dimension::volume || u->factor >= 1000) && u->dimension != Dimension::percent;
        // "5 g/10 g" and "5 ml/10 ml" would be two substances, "1 g/100 ml" is a concentration.
        if (!container || u == &numerator || u->name == numerator.name) return false;
    }
    end = after;
    if (u->dimension == Dimension::one && u->name.empty()) return true;
    out.per = Quantity{n ? n->value : 1.0, n ? n->canonical : "1", std::string(u->name)};
    return true;
}

/** Reads a strength that begins exactly at @p pos; out.begin and out.end are indexes of folded text. */
std::optional<Dosage> read_dosage(std::u32string_view s, std::size_t pos) {
    const Unit* unit = nullptr;
    std::size_t end = pos;
    const std::optional<Number> first = read_amount(s, pos, unit, end);
    if (!first) return std::nullopt;
    Dosage out;
    out.begin = pos;
    out.repaired = first->repaired;
    std::vector<Number> waiting{*first};  // numbers whose unit comes later: "10/100 mg"
    if (unit) {
        out.amounts.push_back(make_quantity(*first, *unit));
        waiting.clear();
    }
    const Unit* last = unit;
    for (;;) {
        const std::size_t sign_at = skip_spaces(s, end);
        const Unit* next_unit = nullptr;
        std::size_t next_end = end;
        const std::size_t sign = range_sign(s, sign_at);
        if (sign != 0 && out.amounts.size() + waiting.size() == 1) {
            const std::optional<Number> n = read_amount(s, skip_spaces(s, sign_at + sign), next_unit, next_end);
            if (!n || !next_unit || (last && last->dimension != next_unit->dimension)) break;
            const double low =
                waiting.empty() ? out.amounts[0].value * last->factor : waiting[0].value * next_unit->factor;
            if (n->value * next_unit->factor <= low) break;
            if (!waiting.empty()) out.amounts.push_back(make_quantity(waiting[0], *next_unit));
            waiting.clear();
            out.upper = make_quantity(*n, *next_unit);
            out.repaired = out.repaired || n->repaired;
            last = next_unit;
            end = next_end;
            continue;
        }
        const bool slash = at(s, sign_at, U"/");
        if ((!slash && !at(s, sign_at, U"+")) || out.per) break;
        if (slash && last && read_denominator(s, sign_at + 1, *last, out, end)) break;
        if (out.upper) break;
        const std::optional<Number> n = read_amount(s, skip_spaces(s, sign_at + 1), next_unit, next_end);
        if (!n || (last && !next_unit) || out.amounts.size() + waiting.size() >= 8) break;
        waiting.push_back(*n);
        out.repaired = out.repaired || n->repaired;
        end = next_end;
        if (!next_unit) continue;
        for (const Number& w : waiting) out.amounts.push_back(make_quantity(w, *next_unit));
        waiting.clear();
        last = next_unit;
    }
    if (out.amounts.empty() || !waiting.empty()) return std::nullopt;
    out.end = end;
    return out;
}

std::optional<Dosage> find_in(const FoldedText& folded, std::size_t from) {
    const std::u32string_view s = folded.text;
    const auto first = std::lower_bound(folded.offset.begin(), folded.offset.end(), from);
    for (auto pos = static_cast<std::size_t>(first - folded.offset.begin()); pos < s.size(); ++pos) {
        if (!may_begin(s, pos)) continue;
        if (!is_digit(s[pos]) && s[pos] != U'.' && s[pos] != U'o' && s[pos] != U'l' && s[pos] != U'i' && s[pos] != U'|')
            continue;
        if (std::optional<Dosage> found = read_dosage(s, pos)) {
            found->begin = folded.offset[found->begin];
            found->end = folded.offset[found->end];
            return found;
        }
    }
    return std::nullopt;
}

double base(const Quantity& q) {
    const Unit* u = unit_by_name(q.unit);
    return u ? q.value * u->factor : q.value;
}

bool same_dimension(const Quantity& a, const Quantity& b) {
    const Unit* u = unit_by_name(a.unit);
    const Unit* v = unit_by_name(b.unit);
    return u && v && u->dimension == v->dimension && (u->dimension != Dimension::one || a.unit == b.unit);
}

bool close(double a, double b) {
    return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b));
}

}  // namespace

std::string Dosage::normalized() const {
    const auto text = [](const Quantity& q) { return q.number + " " + q.unit; };
    if (upper) {
        const std::string low = amounts[0].unit == upper->unit ? amounts[0].number : text(amounts[0]);
        return low + "-" + text(*upper) + (per ? "/" + text(*per) : "");
    }
    std::string out;
    for (const Quantity& q : amounts) out += (out.empty() ? "" : "/") + text(q);
    if (per) out += "/" + (per->number == "1" ? per->unit : text(*per));
    return out;
}

std::optional<Number> read_number(std::u32string_view s, std::size_t pos, bool repair) {
    Number out;
    const auto digit = [&](std::size_t i) -> char {
        if (i >= s.size()) return '\0';
        if (is_digit(s[i])) return static_cast<char>(s[i]);
        if (!repair) return '\0';
        return s[i] == U'o' ? '0' : s[i] == U'l' || s[i] == U'i' || s[i] == U'|' ? '1' : '\0';
    };
    std::string integer;
    std::string fraction;
    bool real_digit = false;
    const auto take = [&](std::string& to, std::size_t& i) {
        for (char d = digit(i); d != '\0' && to.size() <= kMaxIntegerDigits; d = digit(++i)) {
            real_digit = real_digit || is_digit(s[i]);
            out.repaired = out.repaired || !is_digit(s[i]);
            to.push_back(d);
        }
    };
    std::size_t i = pos;
    take(integer, i);
    // A comma before exactly three digits separates thousands; before one or two it is the decimal sign of half the
    // world.
    while (i < s.size() && s[i] == U',' && !integer.empty() && integer.size() <= kMaxIntegerDigits && digit(i + 1) &&
           digit(i + 2) && digit(i + 3) && !digit(i + 4) && integer[0] != '0') {
        std::size_t group = i + 1;
        take(integer, group);
        i = group;
    }
    if (i < s.size() && (s[i] == U'.' || s[i] == U',') && digit(i + 1) && !(integer.empty() && s[i] == U',')) {
        ++i;
        take(fraction, i);
    }
    if (!real_digit || integer.size() > kMaxIntegerDigits || fraction.size() > kMaxFractionDigits) return std::nullopt;
    integer.erase(0, integer.find_first_not_of('0'));
    if (integer.empty()) integer = "0";
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    out.canonical = fraction.empty() ? integer : integer + "." + fraction;
    out.value = std::stod(integer) +
                (fraction.empty() ? 0.0 : std::stod(fraction) / std::pow(10.0, static_cast<double>(fraction.size())));
    out.end = i;
    if (out.value <= 0) return std::nullopt;
    return out;
}

std::optional<Dosage> find_dosage(std::string_view text, std::size_t from) {
    return find_in(fold(text), from);
}

std::vector<Dosage> find_dosages(std::string_view text) {
    const FoldedText folded = fold(text);
    std::vector<Dosage> out;
    std::size_t from = 0;
    while (std::optional<Dosage> next = find_in(folded, from)) {
        from = std::max(next->end, next->begin + 1);
        out.push_back(std::move(*next));
    }
    return out;
}

std::optional<Dosage> parse_dosage(std::string_view text) {
    std::optional<Dosage> found = find_dosage(text);
    if (!found) return std::nullopt;
    constexpr std::string_view kAround = " \t\r\n()[]{}:";
    const std::string_view before = text.substr(0, found->begin);
    const std::string_view after = text.substr(found->end);
    if (before.find_first_not_of(kAround) != std::string_view::npos ||
        after.find_first_not_of(kAround) != std::string_view::npos)
        return std::nullopt;
    return found;
}

bool same_strength(const Dosage& a, const Dosage& b) {
    if (a.upper.has_value() != b.upper.has_value() || a.per.has_value() != b.per.has_value()) return false;
    if (a.amounts.size() != b.amounts.size() || a.amounts.empty()) return false;
    if (a.per && !same_dimension(*a.per, *b.per)) return false;
    const double scale_a = a.per ? base(*a.per) : 1.0;
    const double scale_b = b.per ? base(*b.per) : 1.0;
    const auto equal = [&](const Quantity& x, const Quantity& y) {
        return same_dimension(x, y) && close(base(x) / scale_a, base(y) / scale_b);
    };
    for (std::size_t i = 0; i < a.amounts.size(); ++i)
        if (!equal(a.amounts[i], b.amounts[i])) return false;
    return !a.upper || equal(*a.upper, *b.upper);
}

}  // namespace vlm::drug_validator
