/** @file normalizers.cpp
 *  Each class does what the reference's class of the same name does (huggingface/tokenizers, src/normalizers).
 */
#include "host/tokenizer/normalizers.hpp"

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "host/tokenizer/byte_alphabet.hpp"
#include "host/tokenizer/charsmap.hpp"
#include "host/tokenizer/components.hpp"
#include "host/tokenizer/regex.hpp"
#include "host/tokenizer/unicode.hpp"

namespace vlm::tok {
namespace {

/** Rewrites character by character; `map` appends what the character becomes. */
template <typename Map>
void map_characters(Text& text, Map map) {
    TextRewriter out(text);
    std::string mapped;
    for (std::size_t pos = 0; pos < text.chars.size();) {
        const std::size_t begin = pos;
        const char32_t c = next_code_point(text.chars, pos);
        mapped.clear();
        map(c, mapped);
        if (!mapped.empty()) out.put(mapped, begin);
    }
    text = out.take();
}

class NormalizerSequence : public Normalizer {
  public:
    explicit NormalizerSequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
    void normalize(Text& text) const override {
        for (const auto& step : steps_) step->normalize(text);
    }

  private:
    std::vector<std::unique_ptr<Normalizer>> steps_;
};

/** A normalizer without parameters of its own. */
class FunctionNormalizer : public Normalizer {
  public:
    explicit FunctionNormalizer(std::function<void(Text&)> function) : function_(std::move(function)) {}
    void normalize(Text& text) const override { function_(text); }

  private:
    std::function<void(Text&)> function_;
};

std::unique_ptr<Normalizer> from_function(std::function<void(Text&)> function) {
    return std::make_unique<FunctionNormalizer>(std::move(function));
}

std::unique_ptr<Normalizer> from_form(NormalForm form) {
    return from_function([form](Text& text) { text.rewrite(normal_form(text.chars, form)); });
}

void lowercase(Text& text) {
    map_characters(text, [](char32_t c, std::string& out) { append_lower(out, c); });
}

void strip(Text& text, bool left, bool right) {
    const std::string& chars = text.chars;
    std::size_t begin = 0, end = chars.size();
    while (left && begin < end) {
        std::size_t next = begin;
        if (!is_white_space(next_code_point(chars, next))) break;
        begin = next;
    }
    while (right && end > begin) {
        const std::size_t last = last_code_point(std::string_view(chars).substr(0, end));
        std::size_t next = last;
        if (!is_white_space(next_code_point(chars, next))) break;
        end = last;
    }
    text.origin = text.origin > begin ? std::min(text.origin, end) - begin : 0;
    text.chars = chars.substr(begin, end - begin);
}

void replace(Text& text, const Pattern& pattern, const std::string& content) {
    TextRewriter out(text);
    for (const Span& span : pattern.spans(text.chars)) {
        if (span.match) {
            out.put(content, span.end > 0 ? span.end - 1 : 0);
            continue;
        }
        // The bytes of the original's first character keep their tie, the rest of the span has none.
        const std::size_t tied = std::clamp(text.origin, span.begin, span.end);
        const std::string_view chars = text.chars;
        if (tied > span.begin) out.put(chars.substr(span.begin, tied - span.begin), span.begin);
        if (span.end > tied) out.put(chars.substr(tied, span.end - tied), tied);
    }
    text = out.take();
}

void nmt(Text& text) {
    map_characters(text, [](char32_t c, std::string& out) {
        if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
        const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                           c == 0xFFFD;
        append_utf8(out, space ? U' ' : c);
    });
}

void byte_level(Text& text) {
    const std::size_t origin = to_byte_alphabet(std::string_view(text.chars).substr(0, text.origin)).size();
    text.chars = to_byte_alphabet(text.chars);
    text.origin = origin;
}

/** CJK ideographs as BERT's own code lists them. */
bool is_bert_ideograph(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer : public Normalizer {
  public:
    explicit BertNormalizer(const JsonField& field)
        : clean_(field.boolean_or("clean_text", true)),
          ideographs_(field.boolean_or("handle_chinese_chars", true)),
          lowercase_(field.boolean_or("lowercase", true)),
          accents_(field.boolean_or("strip_accents", lowercase_)) {}

    void normalize(Text& text) const override {
        if (clean_) {
            map_characters(text, [](char32_t c, std::string& out) {
                if (c == '\t' || c == '\n' || c == '\r' || (is_white_space(c) && !is_bert_control(c))) {
                    out += ' ';
                } else if (c != 0 && c != 0xFFFD && !is_bert_control(c)) {
                    append_utf8(out, c);
                }
            });
        }
        if (ideographs_) {
            map_characters(text, [](char32_t c, std::string& out) {
                const bool ideograph = is_bert_ideograph(c);
                if (ideograph) out += ' ';
                append_utf8(out, c);
                if (ideograph) out += ' ';
            });
        }
        if (accents_) {
            text.rewrite(normal_form(text.chars, NormalForm::kNfd));
            map_characters(text, [](char32_t c, std::string& out) {
                if (!is_nonspacing_mark(c)) append_utf8(out, c);
            });
        }
        if (lowercase_) tok::lowercase(text);
    }

  private:
    bool clean_, ideographs_, lowercase_, accents_;
};

}  // namespace

std::unique_ptr<Normalizer> read_normalizer(const JsonField& field, int depth) {
    const std::string type = component_type(field, depth);
    if (type == "Sequence") {
        std::vector<std::unique_ptr<Normalizer>> steps;
        const JsonField list = field.at("normalizers");
        for (std::size_t i = 0; i < list.size(); ++i) steps.push_back(read_normalizer(list.element(i), depth + 1));
        return std::make_unique<NormalizerSequence>(std::move(steps));
    }
    static const std::map<std::string, NormalForm> forms = {
        {"NFC", NormalForm::kNfc}, {"NFD", NormalForm::kNfd}, {"NFKC", NormalForm::kNfkc}, {"NFKD", NormalForm::kNfkd}};
    if (const auto form = forms.find(type); form != forms.end()) return from_form(form->second);
    if (type == "Lowercase") return from_function(lowercase);
    if (type == "Nmt") return from_function(nmt);
    if (type == "ByteLevel") return from_function(byte_level);
    if (type == "BertNormalizer") return std::make_unique<BertNormalizer>(field);
    if (type == "StripAccents") {
        return from_function([](Text& text) {
            map_characters(text, [](char32_t c, std::string& out) {
                if (!is_combining_mark(c)) append_utf8(out, c);
            });
        });
    }
    if (type == "Strip") {
        const bool left = field.boolean_or("strip_left", true), right = field.boolean_or("strip_right", true);
        return from_function([left, right](Text& text) { strip(text, left, right); });
    }
    if (type == "Prepend") {
        return from_function([prefix = field.at("prepend").string()](Text& text) { text.prepend(prefix); });
    }
    if (type == "Replace") {
        return from_function([pattern = read_pattern(field.at("pattern")),
                              content = field.at("content").string()](Text& text) { replace(text, pattern, content); });
    }
    if (type == "Precompiled") {
        return from_function([map = read_charsmap(field.at("precompiled_charsmap"))](Text& text) {
            text.rewrite(map->apply(text.chars));
        });
    }
    field.fail("unknown normalizer type \"" + type +
               "\"; known: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend, "
               "BertNormalizer, Precompiled, "
               "ByteLevel, Nmt");
}

}  // namespace vlm::tok
