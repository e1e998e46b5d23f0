/** @file word_models.cpp
 *  The two models that look whole strings up: WordPiece (longest match first, BERT) and WordLevel. Also the choice of a
 * model by type.
 */
#include <algorithm>

#include "host/base/error.hpp"
#include "host/tokenizer/models.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

/** A model that answers with one unknown token for a word that it cannot spell. */
class WordModel : public Model {
  public:
    explicit WordModel(const JsonField& field) : where_(field.where()), unknown_(field.at("unk_token").string()) {
        vocabulary_ = Vocabulary::from_object(field.at("vocab"));
    }

  protected:
    std::int32_t unknown_id() const {
        const std::int32_t id = vocabulary_.id_of(unknown_);
        if (id < 0) {
            throw failed_precondition(where_ + ": the text needs the unknown token \"" + unknown_ +
                                      "\", which is not in the vocabulary");
        }
        return id;
    }

  private:
    std::string where_, unknown_;
};

class WordLevel : public WordModel {
  public:
    using WordModel::WordModel;
    void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
        const std::int32_t id = vocabulary_.id_of(text);
        ids.push_back(id >= 0 ? id : unknown_id());
    }
};

class WordPiece : public WordModel {
  public:
    explicit WordPiece(const JsonField& field)
        : WordModel(field), prefix_(field.at("continuing_subword_prefix").string()) {
        limit_ = static_cast<std::size_t>(field.at("max_input_chars_per_word").integer(0, INT64_MAX));
    }

    void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
        const auto length = static_cast<std::size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
        const std::size_t before = ids.size();
        if (length > limit_ || !spell(text, ids)) {
            ids.resize(before);
            ids.push_back(unknown_id());
        }
    }

  private:
    bool spell(std::string_view text, std::vector<std::int32_t>& ids) const {
        std::string piece;
        for (std::size_t begin = 0; begin < text.size();) {
            // No piece is longer than the longest of the vocabulary, so long words stay linear.
            std::size_t end = begin + std::min(text.size() - begin, vocabulary_.longest_piece());
            while (end > begin && end < text.size() && is_continuation(text[end])) --end;
            std::int32_t id = -1;
            while (end > begin) {
                piece.assign(begin > 0 ? prefix_ : std::string()).append(text.substr(begin, end - begin));
                id = vocabulary_.id_of(piece);
                if (id >= 0) break;
                end = begin + last_code_point(text.substr(begin, end - begin));
            }
            if (id < 0) return false;
            ids.push_back(id);
            begin = end;
        }
        return true;
    }

    std::string prefix_;
    std::size_t limit_ = 0;
};

}  // namespace

std::unique_ptr<Model> read_word_piece(const JsonField& field) {
    return std::make_unique<WordPiece>(field);
}
std::unique_ptr<Model> read_word_level(const JsonField& field) {
    return std::make_unique<WordLevel>(field);
}

std::unique_ptr<Model> read_model(const JsonField& field) {
    const auto named = field.find("type");
    // Files of before 2021 leave the type out; the fields then tell.
    const std::string type = named                                                        ? named->string()
                             : field.find("merges")                                       ? "BPE"
                             : field.find("vocab") && field.at("vocab").json().is_array() ? "Unigram"
                             : field.find("continuing_subword_prefix")                    ? "WordPiece"
                                                                                          : "WordLevel";
    if (type == "BPE") return read_bpe(field);
    if (type == "Unigram") return read_unigram(field);
    if (type == "WordPiece") return read_word_piece(field);
    if (type == "WordLevel") return read_word_level(field);
    named->fail("unknown model type \"" + type + "\"; known: BPE, Unigram, WordPiece, WordLevel");
}

}  // namespace vlm::tok
