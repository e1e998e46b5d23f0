/** @file plugin.cpp
 *  `org.vlmhost.drug_validator`: what a model read on a prescription, checked against the hospital's formulary.
 *
 *  Options: `formulary` (CSV file: name, name_ko, form, strengths), `other_names` (CSV file of drug names outside the
 * formulary, so that a misread one is not taken for a listed one), `max_distance`, `max_edits`, `min_margin` (when a
 * name is accepted), `look_alike_distance`, `candidate_distance`, `max_candidates`, `confidence_threshold`,
 * `certain_probability` (from which a differing character counts as read rightly), `confidence_temperature`,
 * `confidence_bias` (calibration), `review_look_alikes`. The files are read in `create`, so that a broken formulary is
 * known before any weights are read.
 */
#include "vlm/sdk/plugin.hpp"

#include <span>

#include "report.hpp"
#include "validator.hpp"

namespace {

using namespace vlm::sdk;
namespace dv = vlm::drug_validator;

/** Runs @p body; a mistake in a file or option becomes INVALID_ARGUMENT. */
template <typename Body>
auto checked(Body&& body) {
    try {
        return body();
    } catch (const dv::ConfigError& error) {
        throw invalid_argument(std::string("drug_validator: ") + error.what());
    }
}

dv::ValidatorOptions read_options(const Config& config) {
    dv::ValidatorOptions o;
    o.match.max_distance = config.get("max_distance", o.match.max_distance);
    o.match.max_edits = config.get("max_edits", o.match.max_edits);
    o.match.min_margin = config.get("min_margin", o.match.min_margin);
    o.match.look_alike_distance = config.get("look_alike_distance", o.match.look_alike_distance);
    o.match.candidate_distance = config.get("candidate_distance", o.match.candidate_distance);
    o.match.max_candidates = config.get("max_candidates", o.match.max_candidates);
    o.confidence_threshold = config.get("confidence_threshold", o.confidence_threshold);
    o.certain_probability = config.get("certain_probability", o.certain_probability);
    o.confidence.temperature = config.get("confidence_temperature", o.confidence.temperature);
    o.confidence.bias = config.get("confidence_bias", o.confidence.bias);
    o.review_look_alikes = config.get("review_look_alikes", o.review_look_alikes);
    return o;
}

dv::Validator make_validator(const Config& config) {
    const auto formulary = config.require<std::string>("formulary");
    const auto other_names = config.get<std::string>("other_names", "");
    const dv::ValidatorOptions options = read_options(config);
    config.refuse_unknown();
    return checked([&] {
        std::vector<dv::OtherName> others;
        if (!other_names.empty()) others = dv::parse_other_names(dv::read_text_file(other_names), other_names);
        return dv::Validator(dv::parse_formulary(dv::read_text_file(formulary), formulary), options, others);
    });
}

dv::Row read_row(const vlm_answer& answer) {
    dv::Row row;
    row.text = text_of(answer.text);
    row.image = answer.image;
    if (answer.confidence >= 0) row.model_confidence = std::min(answer.confidence, 1.0);
    const auto& r = answer.region;
    if (r[2] > r[0] && r[3] > r[1]) row.box = dv::Box{r[0], r[1], r[2], r[3]};
    if (answer.token_count > 0 && answer.tokens == nullptr)
        throw invalid_argument("answer: the array of tokens is NULL");
    const auto size = static_cast<int64_t>(row.text.size());
    for (const vlm_token_piece* raw : std::span(answer.tokens, answer.token_count)) {
        const auto token = read_struct(raw, "token");
        const int64_t begin = std::clamp<int64_t>(token.text_begin, 0, size);
        const int64_t end = std::clamp<int64_t>(token.text_end, begin, size);
        row.tokens.push_back(
            {static_cast<size_t>(begin), static_cast<size_t>(end), static_cast<double>(token.log_probability)});
    }
    return row;
}

class DrugValidator : public PostProcessor {
  public:
    explicit DrugValidator(const ComponentConfig& c) : validator_(make_validator(c.config)) {}

    nlohmann::json process(const Run& run, const vlm_post_input& input) const override {
        if (input.answer_count > 0 && input.answers == nullptr)
            throw invalid_argument("post input: the array of answers is NULL");
        std::vector<dv::Row> rows;
        for (const vlm_answer* answer : std::span(input.answers, input.answer_count)) {
            run.poll();
            rows.push_back(read_row(read_struct(answer, "answer")));
        }
        return dv::to_json(validator_.validate(rows));
    }

  private:
    dv::Validator validator_;
};

constexpr Identity kIdentity = {
    .id = "org.vlmhost.drug_validator",
    .name = "Drug validator",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://www.ismp.org/recommendations/confused-drug-names-list",
    .capabilities = R"({"kinds": ["vlm.post_processor/1"], "devices": ["cpu"], "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, DrugValidator)
