/** @file bpe.cpp
 *  Byte-pair encoding (Sennrich et al. 2016) with the merge queue of the reference (src/models/bpe/word.rs): a heap
 * ordered by rank, then position, so a long text costs n log n.
 */
#include <algorithm>
#include <functional>
#include <queue>

#include "host/base/error.hpp"
#include "host/tokenizer/models.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

struct Merge {
    std::uint32_t rank;
    std::int32_t id;
};

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

/** Symbols of a word as a linked list in an array. */
struct Symbol {
    std::int32_t id;
    int previous, next;
    bool alive;
};

struct Candidate {
    std::uint32_t rank;
    int position;
    std::int32_t id;
    bool operator>(const Candidate& other) const {
        return rank != other.rank ? rank > other.rank : position > other.position;
    }
};

class Bpe : public Model {
  public:
    explicit Bpe(const JsonField& field);
    void encode(std::string_view text, std::vector<std::int32_t>& ids) const override;

  private:
    void read_merges(const JsonField& merges);
    std::vector<Symbol> symbols(std::string_view text) const;
    void merge(std::vector<Symbol>& word) const;
    const Merge* find(std::int32_t left, std::int32_t right) const {
        const auto it = merges_.find(pair_key(left, right));
        return it == merges_.end() ? nullptr : &it->second;
    }

    std::string where_;
    std::unordered_map<std::uint64_t, Merge> merges_;
    std::optional<std::string> unknown_;
    std::string prefix_, suffix_;
    bool fuse_unknown_, byte_fallback_, ignore_merges_;
};

std::string optional_string(const JsonField& field, const std::string& key) {
    const auto value = field.find(key);
    return value ? value->string() : std::string();
}

Bpe::Bpe(const JsonField& field)
    : where_(field.where()),
      prefix_(optional_string(field, "continuing_subword_prefix")),
      suffix_(optional_string(field, "end_of_word_suffix")),
      fuse_unknown_(field.boolean_or("fuse_unk", false)),
      byte_fallback_(field.boolean_or("byte_fallback", false)),
      ignore_merges_(field.boolean_or("ignore_merges", false)) {
    if (const auto dropout = field.find("dropout"); dropout && dropout->number() != 0) {
        throw unimplemented(dropout->where() + ": found " + std::to_string(dropout->number()) +
                            ", expected null or 0: dropout makes encoding random and is for training only");
    }
    if (const auto unknown = field.find("unk_token")) unknown_ = unknown->string();
    vocabulary_ = Vocabulary::from_object(field.at("vocab"));
    read_merges(field.at("merges"));
}

void Bpe::read_merges(const JsonField& merges) {
    merges_.reserve(merges.size());
    const auto known = [&](std::size_t i, const std::string& piece, const char* role) {
        const std::int32_t id = vocabulary_.id_of(piece);
        if (id < 0) merges.element(i).fail(std::string("the ") + role + " \"" + piece + "\" is not in model.vocab");
        return id;
    };
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < merges.size(); ++i) {
        const nlohmann::json& entry = merges.json()[i];
        std::string left, right;
        if (entry.is_string()) {
            const auto& line = entry.get_ref<const std::string&>();
            if (line.rfind("#version", 0) == 0) continue;
            const std::size_t space = line.find(' ');
            if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
                merges.element(i).fail("found \"" + line + "\", expected two pieces with one space between them");
            }
            left = line.substr(0, space);
            right = line.substr(space + 1);
        } else {
            const JsonField pair = merges.element(i);
            if (pair.size() != 2) pair.fail("found " + std::to_string(pair.size()) + " pieces, expected 2");
            left = pair.element(0).string();
            right = pair.element(1).string();
        }
        const std::int32_t left_id = known(i, left, "left piece"), right_id = known(i, right, "right piece");
        if (right.size() < prefix_.size())
            merges.element(i).fail("the right piece is shorter than continuing_subword_prefix");
        const std::int32_t id = known(i, left + right.substr(prefix_.size()), "merged piece");
        merges_[pair_key(left_id, right_id)] = {rank++, id};
    }
}

std::vector<Symbol> Bpe::symbols(std::string_view text) const {
    std::vector<Symbol> word;
    word.reserve(text.size());
    const auto add = [&](std::int32_t id) {
        const int at = static_cast<int>(word.size());
        if (at > 0) word.back().next = at;
        word.push_back({id, at - 1, -1, true});
    };
    std::int32_t pending_unknown = -1;
    std::string piece;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        pos += sequence_length(text[pos]);
        piece.assign(begin > 0 ? prefix_ : std::string());
        piece += text.substr(begin, pos - begin);
        if (pos == text.size()) piece += suffix_;
        if (const std::int32_t id = vocabulary_.id_of(piece); id >= 0) {
            if (pending_unknown >= 0) add(pending_unknown);
            pending_unknown = -1;
            add(id);
            continue;
        }
        if (byte_fallback_) {
            std::vector<std::int32_t> bytes;
            for (const char byte : piece) bytes.push_back(vocabulary_.byte_id(static_cast<unsigned char>(byte)));
            if (std::find(bytes.begin(), bytes.end(), -1) == bytes.end()) {
                for (const std::int32_t id : bytes)
                    add(id);  // As in the reference, a pending unknown token stays pending.
                continue;
            }
        }
        if (!unknown_) continue;
        if (pending_unknown >= 0 && fuse_unknown_) continue;
        if (pending_unknown >= 0) add(pending_unknown);
        pending_unknown = vocabulary_.id_of(*unknown_);
        if (pending_unknown < 0) {
            throw failed_precondition(where_ + ": the text needs the unknown token \"" + *unknown_ +
                                      "\", which is not in the vocabulary");
        }
    }
    if (pending_unknown >= 0) add(pending_unknown);
    return word;
}

void Bpe::merge(std::vector<Symbol>& word) const {
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto offer = [&](int position) {
        const Symbol& left = word[static_cast<std::size_t>(position)];
        if (left.next < 0) return;
        if (const Merge* m = find(left.id, word[static_cast<std::size_t>(left.next)].id))
            queue.push({m->rank, position, m->id});
    };
    for (std::size_t i = 0; i + 1 < word.size(); ++i) offer(static_cast<int>(i));
    while (!queue.empty()) {
        const Candidate top = queue.top();
        queue.pop();
        Symbol& left = word[static_cast<std::size_t>(top.position)];
        if (!left.alive || left.next < 0) continue;
        Symbol& right = word[static_cast<std::size_t>(left.next)];
        const Merge* current = find(left.id, right.id);
        if (!current || current->id != top.id) continue;  // The pair has changed since it was queued.
        left.id = top.id;
        left.next = right.next;
        right.alive = false;
        if (left.next >= 0) word[static_cast<std::size_t>(left.next)].previous = top.position;
        if (left.previous >= 0) offer(left.previous);
        offer(top.position);
    }
}

void Bpe::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
    if (ignore_merges_) {
        if (const std::int32_t id = vocabulary_.id_of(text); id >= 0) {
            ids.push_back(id);
            return;
        }
    }
    if (text.size() > static_cast<std::size_t>(INT32_MAX) / 8) {
        throw resource_exhausted(where_ + ": a pre-token of " + std::to_string(text.size()) +
                                 " bytes is too long to merge");
    }
    std::vector<Symbol> word = symbols(text);
    merge(word);
    for (const Symbol& symbol : word) {
        if (symbol.alive) ids.push_back(symbol.id);
    }
}

}  // namespace

std::unique_ptr<Model> read_bpe(const JsonField& field) {
    return std::make_unique<Bpe>(field);
}

}  // namespace vlm::tok
