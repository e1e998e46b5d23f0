/** @file dosage.hpp
 *  The grammar of strengths as prescriptions print them. A strength is compared as an amount, not as text: 0.5 g is 500
 * mg, "㎎" is "mg", 1,000 is 1000; what the reader may have taken for a digit (O, l) is repaired only where the text is
 * no number otherwise, and said so.
 */
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"

namespace vlm::drug_validator {

/** A number with a unit. Units are spelled canonically: mg g mcg ng kg ml l IU unit mEq mmol %; in denominators also
 * dose, h and day. */
struct Quantity {
    double value = 0;
    std::string number;  ///< canonical decimal: no thousands separators, no trailing zeros, a digit before the point
    std::string unit;
};

/** One printed strength. */
struct Dosage {
    std::vector<Quantity> amounts;  ///< one, or one per active substance ("10/100 mg")
    std::optional<Quantity> upper;  ///< the larger end of a range ("5-10 mg"); amounts[0] is the smaller one
    std::optional<Quantity> per;    ///< what the amount is contained in ("/5 ml"); absent for one tablet or capsule
    std::size_t begin = 0;          ///< byte range in the text that was searched
    std::size_t end = 0;
    bool repaired = false;  ///< letters were read as digits

    /** "<number> <unit>", e.g. "5 mg", "5-10 mg", "500 mg/5 ml", "10 mg/100 mg". */
    std::string normalized() const;
};

/** A decimal number of folded text. */
struct Number {
    double value = 0;
    std::string canonical;
    std::size_t end = 0;  ///< index after the number
    bool repaired = false;
};

/** Reads a number at @p pos of the folded text @p s: decimal point or comma, thousands commas, at most 9 + 6 digits.
 * With @p repair, O reads as 0 and l, I, | as 1 among digits. Nothing when there is none, or when it is zero. */
std::optional<Number> read_number(std::u32string_view s, std::size_t pos, bool repair);

/** The first strength at or after byte @p from. */
std::optional<Dosage> find_dosage(std::string_view text, std::size_t from = 0);

/** All strengths of the text, from left to right, not overlapping. */
std::vector<Dosage> find_dosages(std::string_view text);

/** The whole text as one strength (white space and brackets around it aside); nothing when anything else is in it. */
std::optional<Dosage> parse_dosage(std::string_view text);

/** Whether both state the same strength, across units (mass, volume, IU and unit, percent) and denominators (500 mg/5
 * ml = 100 mg/ml). A range never equals a single strength. */
bool same_strength(const Dosage& a, const Dosage& b);

}  // namespace vlm::drug_validator
