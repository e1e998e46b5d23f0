/** @file validator.hpp
 *  The validator: answers of a vision-language model about one page in, drugs with a status and warnings out. It
 * decides nothing that a pharmacist would have to undo: a name is given only for a safe match, "verified" only when
 * nothing at all is to be checked.
 */
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "confidence.hpp"
#include "extract.hpp"
#include "match.hpp"
#include "schedule.hpp"
#include "warnings.hpp"

namespace vlm::drug_validator {

/** Left, top, right, bottom in pixels. */
using Box = std::array<float, 4>;

/** One answer: of a row of text, or of the whole page. */
struct Row {
    std::string text;
    std::vector<Token> tokens;               ///< empty when the model gives no log-probabilities
    std::optional<Box> box;                  ///< where it was read
    std::optional<double> model_confidence;  ///< of a confidence head, 0 to 1
    int image = 0;                           ///< fields never continue across images
};

struct ValidatorOptions {
    MatchOptions match;
    ConfidenceOptions confidence;
    double confidence_threshold = 0.9;  ///< below it a drug is to be reviewed
    /** A character read with this probability or more was not misread: a spelling that differs there is another name.
     */
    double certain_probability = 0.8;
    bool review_look_alikes = false;  ///< whether a look-alike alone, though read exactly and surely, asks for a review
};

enum class Status {
    verified,    ///< exact and unique name, listed strength, sure reading: nothing to check
    review,      ///< the drug is on the page, but something about it is to be checked
    unverified,  ///< read, but matched to no drug
};

/** "verified", "review", "unverified". */
std::string_view status_name(Status status);

/** One drug on the page. */
struct DrugFinding {
    std::string printed;                        ///< name as printed
    std::string also_printed;                   ///< the same drug's name in the other language of its row; mostly empty
    std::optional<std::string> name;            ///< formulary name; only when the match is safe
    std::string printed_dosage;                 ///< strength as printed, empty when not read
    std::optional<std::string> dosage;          ///< "5 mg"; spelled as in the formulary when the strength is listed
    double confidence = 0;                      ///< 0 to 1; 0 when the model gave no probabilities
    std::optional<double> reading_probability;  ///< before calibration
    std::optional<double> edit_probability;     ///< of the characters that differ from a name one slip away
    Status status = Status::unverified;
    std::vector<Candidate> candidates;  ///< nearest formulary names
    Schedule schedule;                  ///< amount per dose, times a day, days
    std::string form;                   ///< as printed, folded; empty when not printed
    std::string release;
    std::optional<Box> box;
    int image = 0;
    std::vector<Warning> warnings;
};

struct Draft;

/** Immutable after construction; validate() may run on many threads. */
class Validator {
  public:
    /** Throws ConfigError when an option is out of its range. @p others: known drug names outside the formulary, may be
     * empty. */
    Validator(Formulary formulary, const ValidatorOptions& options, const std::vector<OtherName>& others = {});

    /** Drugs in reading order. Rows without a name continue the drug before. Any text is accepted. */
    std::vector<DrugFinding> validate(const std::vector<Row>& rows) const;

    const Matcher& matcher() const noexcept { return matcher_; }

  private:
    /** Takes a near match back unless the model doubted the characters that differ. */
    void demand_doubt(Draft& draft, const Field& name, const Row& row) const;
    DrugFinding finish(const Draft& draft) const;

    ValidatorOptions options_;
    Matcher matcher_;
};

}  // namespace vlm::drug_validator
