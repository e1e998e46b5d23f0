/** @file schedule.hpp
 *  How a drug is taken: amount per dose, times a day, days. Only what is printed is told; a text that this grammar does
 * not know (weekly, every other day) leaves the number absent, because a guessed frequency is more dangerous than a
 * missing one.
 */
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace vlm::drug_validator {

/** Amount of one dose: "1 tablet", "0.5 tablet", "5 ml". */
struct DoseAmount {
    double value = 0;
    std::string unit;  ///< tablet, capsule, packet, drop, puff, spoon, bottle, ampoule, patch, piece, ml, mg, g, mcg,
                       ///< unit; "" when not printed
};

struct Schedule {
    std::optional<DoseAmount> per_dose;
    std::optional<double> times_per_day;
    std::optional<int> days;
    bool as_needed = false;

    bool empty() const { return !per_dose && !times_per_day && !days && !as_needed; }
};

/** Reads whatever parts of a schedule the text holds, Korean or English: "1회 1정 1일 3회 7일분", "1 tab three times
 * daily x 7 days", "tid", "q8h", "1T x 3 x 7", "1-0-1". */
Schedule parse_schedule(std::string_view text);

/** The same for a text that is known to be the amount of one dose; a bare number counts. */
std::optional<DoseAmount> parse_per_dose(std::string_view text);
/** The same for a text that is known to be the frequency. */
std::optional<double> parse_times_per_day(std::string_view text);
/** The same for a text that is known to be the duration. */
std::optional<int> parse_days(std::string_view text);

}  // namespace vlm::drug_validator
