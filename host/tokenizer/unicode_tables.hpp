/** @file unicode_tables.hpp
 *  Character classes exactly as the reference tokenizer library sees them. They are generated and not taken from a
 * Unicode library because the reference mixes several Unicode versions, and a later version moves token boundaries.
 */
#pragma once
#include <cstdint>
#include <span>

namespace vlm::tok {

/** Code points first..last, both included. */
struct CodePointRange {
    std::uint32_t first, last;
};

/** Every `step`-th code point of first..last has its lower case `delta` further. */
struct LowerRun {
    std::uint32_t first, last, step;
    std::int32_t delta;
};

/** Code points of one class of scripts. */
struct ScriptRun {
    std::uint32_t first, last, script;
};

extern const std::span<const CodePointRange> kWord, kNumeric, kPunctuation, kCombiningMark, kNonspacingMark,
    kBertControl, kNormalFormUnknown;
extern const std::span<const LowerRun> kLower;
extern const std::span<const ScriptRun> kScript;

}  // namespace vlm::tok
