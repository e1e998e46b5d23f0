/** @file unigram.cpp
 *  Unigram language model (Kudo 2018): the best segmentation by Viterbi. The reference's trie is replaced by the sorted
 * list of pieces, narrowed byte by byte: the same prefixes in the same order without a second copy of a vocabulary of
 * 250 000 pieces.
 */
#include <algorithm>
#include <limits>

#include "host/base/error.hpp"
#include "host/tokenizer/models.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

constexpr double kUnknownPenalty = 10.0;

class Unigram : public Model {
  public:
    explicit Unigram(const JsonField& field);
    void encode(std::string_view text, std::vector<std::int32_t>& ids) const override;

  private:
    struct Entry {
        std::string_view piece;
        double score;
    };
    struct Step {
        double score = 0;
        std::size_t from = 0;
        bool reached = false, unknown = false;
    };

    std::vector<Step> best_path(std::string_view text) const;
    void append(std::string_view piece, std::vector<std::int32_t>& ids) const;
    std::int32_t unknown_id() const {
        if (unknown_ < 0) throw failed_precondition(where_ + ": the text needs an unknown token, but unk_id is null");
        return unknown_;
    }

    std::string where_;
    std::vector<Entry> sorted_;
    std::string_view unknown_piece_;
    double unknown_score_ = 0;
    std::int32_t unknown_ = -1;
    bool byte_fallback_;
};

Unigram::Unigram(const JsonField& field)
    : where_(field.where()), byte_fallback_(field.boolean_or("byte_fallback", false)) {
    const JsonField list = field.at("vocab");
    std::vector<double> scores;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < list.size(); ++i) {
        const JsonField entry = list.element(i);
        if (entry.size() != 2)
            entry.fail("found " + std::to_string(entry.size()) + " values, expected a piece and its score");
        vocabulary_.add(entry.element(0).string(), static_cast<std::int32_t>(i));
        scores.push_back(entry.element(1).number());
        least = std::min(least, scores.back());
    }
    if (const auto unknown = field.find("unk_id")) {
        if (scores.empty()) unknown->fail("there is an unknown token, but the vocabulary is empty");
        unknown_ = static_cast<std::int32_t>(unknown->integer(0, static_cast<std::int64_t>(scores.size()) - 1));
    }
    unknown_score_ = least - kUnknownPenalty;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const auto id = static_cast<std::int32_t>(i);
        const std::string_view piece = *vocabulary_.piece_of(id);
        if (!piece.empty() && vocabulary_.id_of(piece) == id)
            sorted_.push_back({piece, scores[i]});  // Of equal pieces the last counts.
        if (id == unknown_) unknown_piece_ = piece;
    }
    std::sort(sorted_.begin(), sorted_.end(), [](const Entry& a, const Entry& b) { return a.piece < b.piece; });
}

std::vector<Unigram::Step> Unigram::best_path(std::string_view text) const {
    std::vector<Step> steps(text.size() + 1);
    const auto reach = [&](std::size_t from, std::size_t to, double score, bool unknown) {
        const double total = steps[from].score + score;
        if (!steps[to].reached || total > steps[to].score) steps[to] = {total, from, true, unknown};
    };
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t character = sequence_length(text[from]);
        bool covered = false;
        auto first = sorted_.begin(), last = sorted_.end();
        for (std::size_t depth = 0; from + depth < text.size() && first != last; ++depth) {
            const auto byte = static_cast<unsigned char>(text[from + depth]);
            const auto at = [depth](const Entry& entry) { return static_cast<unsigned char>(entry.piece[depth]); };
            first =
                std::lower_bound(first, last, byte, [&](const Entry& entry, unsigned char b) { return at(entry) < b; });
            last =
                std::upper_bound(first, last, byte, [&](unsigned char b, const Entry& entry) { return b < at(entry); });
            if (first == last || first->piece.size() != depth + 1) continue;
            reach(from, from + depth + 1, first->score, first->piece == unknown_piece_ && unknown_ >= 0);
            covered = covered || depth + 1 == character;
            ++first;  // Longer pieces follow the one that ends here.
        }
        if (!covered) {
            const std::size_t to = from + character;
            if (!steps[to].reached || steps[from].score + unknown_score_ > steps[to].score) unknown_id();
            reach(from, to, unknown_score_, true);
        }
        from += character;
    }
    return steps;
}

void Unigram::append(std::string_view piece, std::vector<std::int32_t>& ids) const {
    if (const std::int32_t id = vocabulary_.id_of(piece); id >= 0) {
        ids.push_back(id);
        return;
    }
    if (byte_fallback_) {
        const std::size_t before = ids.size();
        for (const char byte : piece) ids.push_back(vocabulary_.byte_id(static_cast<unsigned char>(byte)));
        if (std::find(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end(), -1) == ids.end()) return;
        ids.resize(before);
    }
    ids.push_back(unknown_id());
}

void Unigram::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
    const std::vector<Step> steps = best_path(text);
    std::vector<std::pair<std::size_t, std::size_t>> pieces;  // Back to front; neighbouring unknown ones become one.
    bool after_unknown = false;
    for (std::size_t end = text.size(); end > 0; end = steps[end].from) {
        const Step& step = steps[end];
        if (step.unknown && after_unknown) {
            pieces.back().first = step.from;
        } else {
            pieces.emplace_back(step.from, end);
        }
        after_unknown = step.unknown;
    }
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
        append(text.substr(piece->first, piece->second - piece->first), ids);
    }
}

}  // namespace

std::unique_ptr<Model> read_unigram(const JsonField& field) {
    return std::make_unique<Unigram>(field);
}

}  // namespace vlm::tok
