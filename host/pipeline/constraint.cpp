/** @file constraint.cpp
 *  See constraint.hpp.
 */
#include "host/pipeline/constraint.hpp"

#include <array>
#include <limits>

#include "host/base/error.hpp"
#include "host/tokenizer/byte_alphabet.hpp"

namespace vlm {
namespace {

constexpr std::string_view kNoCharacter = "\xEF\xBF\xBD";  // U+FFFD: decode() gives it for a part of a character

/** The byte of a byte-fallback piece such as "<0xEA>". */
std::optional<std::string> fallback_byte(const std::string& piece) {
    constexpr size_t kLength = 6;
    if (piece.size() != kLength || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
    return std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
}

}  // namespace

TokenTexts::TokenTexts(const Tokenizer& tokenizer) {
    // Decoders treat the first token of a text in ways of their own (a dropped space), so each token is decoded behind
    // another one.
    const auto words = tokenizer.encode("a", false);
    const int32_t anchor = words.empty() ? 0 : words.back();
    const std::string before = tokenizer.decode({&anchor, 1}, false);
    texts_.resize(static_cast<size_t>(tokenizer.max_id()) + 1);
    for (int32_t id = 0; id < size(); ++id) {
        const auto piece = tokenizer.piece_of(id);
        if (!piece) continue;
        const std::array<int32_t, 2> pair{anchor, id};
        const std::string both = tokenizer.decode(pair, false);
        auto& text = texts_[static_cast<size_t>(id)];
        if (both.starts_with(before)) text = both.substr(before.size());
        if (text.find(kNoCharacter) == std::string::npos) continue;
        if (const auto byte = fallback_byte(*piece))
            text = *byte;
        else
            text = tok::from_byte_alphabet(*piece).value_or("");
    }
}

const std::string& TokenTexts::operator[](int32_t id) const {
    static const std::string kNone;
    return id >= 0 && id < size() ? texts_[static_cast<size_t>(id)] : kNone;
}

ConstrainedChoice::ConstrainedChoice(std::shared_ptr<const Constraint> constraint)
    : constraint_(std::move(constraint)), state_(constraint_->grammar) {}

bool ConstrainedChoice::fits(int32_t id) const {
    if (constraint_->eos.contains(id)) return state_.may_end();
    const std::string& text = (*constraint_->texts)[id];
    return !text.empty() && state_.accepts(text);
}

Choice ConstrainedChoice::choose(Sampler& sampler, std::span<const float> logits, std::span<const int32_t> history) {
    Choice choice = sampler.choose(logits, history);
    if (!fits(choice.id)) {
        masked_.assign(logits.begin(), logits.end());
        const auto first = state_.next();
        bool any = false;
        for (size_t i = 0; i < masked_.size(); ++i) {
            const auto id = static_cast<int32_t>(i);
            const std::string& text = (*constraint_->texts)[id];
            const bool may = constraint_->eos.contains(id) || (!text.empty() && first[static_cast<uint8_t>(text[0])]);
            if (may && fits(id))
                any = true;
            else
                masked_[i] = -std::numeric_limits<float>::infinity();
        }
        if (!any)
            throw failed_precondition(
                "the grammar of the manifest goes on with bytes that no token of the model's vocabulary has; "
                "change the grammar, or leave \"generation.grammar\" out");
        choice = sampler.choose(masked_, history);
        choice.log_probability = log_probability_of(logits, choice.id);
    }
    if (!constraint_->eos.contains(choice.id)) state_.advance((*constraint_->texts)[choice.id]);
    return choice;
}

}  // namespace vlm
