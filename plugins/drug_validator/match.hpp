/** @file match.hpp
 *  From a printed name to a drug of the formulary, or to none. The rule that everything here serves: a hospital must
 * never be told a drug that is not on the page. So a name is accepted only when it is equal, or one slip away and no
 * other drug is nearly as close; a longer distance is answered with candidates for a person, and a fitting strength
 * never makes up for it.
 *
 *  The default limits come from measuring 191 formulary names against 543 other drug names: the nearest foreign name is
 * 2 edits away in Latin letters (canagliflozin, dapagliflozin) and 2 in jamo (카나글리플로진, 다파글리플로진), so one
 * edit is the most that is safe.
 */
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formulary.hpp"

namespace vlm::drug_validator {

struct MatchOptions {
    double max_distance = 0.125;        ///< accepted at most: edits over the longer length (letters, or jamo of Hangul)
    int max_edits = 1;                  ///< and at most this many edits, however long the name
    double min_margin = 0.1;            ///< the second drug must be farther by this much; an exact name needs none
    double look_alike_distance = 0.25;  ///< two formulary names nearer than this are look-alikes
    double candidate_distance = 0.45;   ///< names nearer than this are shown as candidates
    int max_candidates = 3;
};

/** A formulary drug near a printed name. */
struct Candidate {
    std::size_t drug = 0;  ///< index into Formulary::drugs
    std::string name;      ///< its canonical name
    double distance = 0;   ///< normalised
    std::size_t edits = 0;
};

/** A printed name, taken apart. */
struct PrintedName {
    std::vector<std::string>
        segments;  ///< folded names: one, or more when brackets, "/", "+" or a change of script divide them
    std::optional<Dosage> dosage;  ///< a strength that was printed inside the name
    std::string form;              ///< tab, 캡슐 …, folded; empty when not printed
    std::string release;           ///< xr, sr, 서방 …
    bool combination = false;      ///< "/" or "+" joins names: several substances in one product
};

/** Cuts list marks, strengths, notes in brackets and counts from a name and finds its form and release. */
PrintedName parse_printed_name(std::string_view printed);

enum class MatchKind {
    exact,      ///< equal to a name of exactly one drug
    near,       ///< within the limits, and no second drug is nearly as close
    ambiguous,  ///< within the limits, but of two drugs, or of a known name outside the formulary too
    none,       ///< too far from every name
};

/** A name as it was compared (match_key of a variant of what was printed) and the key that it was accepted for. */
struct Slip {
    std::u32string read;
    std::u32string meant;
};

struct MatchResult {
    MatchKind kind = MatchKind::none;
    std::optional<std::size_t> drug;    ///< set for exact and near only
    std::vector<Candidate> candidates;  ///< nearest first, the accepted drug included
    std::string other_name;             ///< a known name outside the formulary that is at least as close
    std::string salt;                   ///< salt or hydrate that was left out to match ("besylate", "나트륨")
    std::vector<Slip> slips;            ///< of a near match: every segment that is not equal
    PrintedName printed;
};

/** Compares printed names with all names of a formulary. Immutable after construction; safe to use from many threads.
 */
class Matcher {
  public:
    /** @p others are drug names outside the formulary, may be empty. Throws ConfigError when an option is out of its
     * range. */
    Matcher(Formulary formulary, MatchOptions options, const std::vector<OtherName>& others = {});

    MatchResult match(std::string_view printed) const;

    /** Other drugs whose canonical or Korean name is within look_alike_distance of this one's, nearest first. */
    std::vector<Candidate> look_alikes(std::size_t drug) const;

    const Formulary& formulary() const noexcept { return formulary_; }
    const MatchOptions& options() const noexcept { return options_; }

  private:
    struct Entry {
        std::u32string key;
        std::vector<std::string> short_words;  ///< words that distinguish products by one character: "b1", "1a", "c"
        std::size_t drug;                      ///< or formulary_.drugs.size() + index into other_names_
        bool canonical;                        ///< takes part in look-alikes
    };
    struct Search;

    void add(std::size_t drug, std::string_view name, bool canonical);
    MatchResult match_segment(std::string_view segment) const;
    void decide(const Search& search, MatchResult& result) const;

    Formulary formulary_;
    MatchOptions options_;
    std::vector<std::string> other_names_;
    std::vector<Entry> entries_;
};

}  // namespace vlm::drug_validator
