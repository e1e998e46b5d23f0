/** @file pre_tokenizers.cpp
 *  Each class does what the reference's class of the same name does (huggingface/tokenizers, src/pre_tokenizers). What
 * they share is the step from matches to pieces (NormalizedString::split), written once as `cut`.
 */
#include "host/tokenizer/pre_tokenizers.hpp"

#include <functional>
#include <utility>

#include "host/tokenizer/byte_alphabet.hpp"
#include "host/tokenizer/components.hpp"
#include "host/tokenizer/regex.hpp"
#include "host/tokenizer/unicode.hpp"

namespace vlm::tok {
namespace {

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior read_behavior(const JsonField& field) {
    const std::string name = field.string();
    if (name == "Removed") return Behavior::kRemoved;
    if (name == "Isolated") return Behavior::kIsolated;
    if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
    if (name == "MergedWithNext") return Behavior::kMergedWithNext;
    if (name == "Contiguous") return Behavior::kContiguous;
    field.fail("found \"" + name + "\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

using Pieces = std::vector<Piece>;

void add_piece(Pieces& out, Text&& text) {
    if (!text.empty()) out.push_back({std::move(text), -1});
}

/** Cuts a text at matches; `spans` cover it in order. */
void cut(const Text& text, std::vector<Span> spans, Behavior behavior, Pieces& out) {
    std::vector<Span> merged;
    bool previous_match = false;
    if (behavior == Behavior::kMergedWithNext) {
        for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
            if (span->match && !previous_match && !merged.empty()) {
                merged.back().begin = span->begin;
            } else {
                merged.push_back(*span);
            }
            previous_match = span->match;
        }
        for (auto span = merged.rbegin(); span != merged.rend(); ++span)
            add_piece(out, text.slice(span->begin, span->end));
        return;
    }
    for (const Span& span : spans) {
        const bool joins = (behavior == Behavior::kContiguous && span.match == previous_match) ||
                           (behavior == Behavior::kMergedWithPrevious && span.match && !previous_match);
        if (behavior == Behavior::kRemoved && span.match) continue;
        if (joins && !merged.empty()) {
            merged.back().end = span.end;
        } else {
            merged.push_back(span);
        }
        previous_match = span.match;
    }
    for (const Span& span : merged) add_piece(out, text.slice(span.begin, span.end));
}

/** Spans of a text where single characters match. */
template <typename Predicate>
std::vector<Span> character_spans(std::string_view text, Predicate matches) {
    std::vector<Span> spans;
    std::size_t covered = 0;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        if (!matches(next_code_point(text, pos))) continue;
        if (covered < begin) spans.push_back({covered, begin, false});
        spans.push_back({begin, pos, true});
        covered = pos;
    }
    if (covered < text.size()) spans.push_back({covered, text.size(), false});
    return spans;
}

/** Applies a function to every piece that is not a token yet. */
class SplittingPreTokenizer : public PreTokenizer {
  public:
    using Function = std::function<void(Text&&, Pieces&)>;
    explicit SplittingPreTokenizer(Function function) : function_(std::move(function)) {}

    void split(Pieces& pieces) const override {
        Pieces out;
        out.reserve(pieces.size());
        for (Piece& piece : pieces) {
            if (piece.id >= 0) {
                out.push_back(std::move(piece));
            } else {
                function_(std::move(piece.text), out);
            }
        }
        pieces = std::move(out);
    }

  private:
    Function function_;
};

std::unique_ptr<PreTokenizer> splitting(SplittingPreTokenizer::Function function) {
    return std::make_unique<SplittingPreTokenizer>(std::move(function));
}

template <typename Predicate>
std::unique_ptr<PreTokenizer> splitting_characters(Predicate predicate, Behavior behavior) {
    return splitting([predicate, behavior](Text&& text, Pieces& out) {
        cut(text, character_spans(text.chars, predicate), behavior, out);
    });
}

class PreTokenizerSequence : public PreTokenizer {
  public:
    explicit PreTokenizerSequence(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}
    void split(Pieces& pieces) const override {
        for (const auto& step : steps_) step->split(pieces);
    }

  private:
    std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

std::unique_ptr<PreTokenizer> byte_level(const JsonField& field) {
    static const Pattern gpt2 =
        Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "ByteLevel");
    const bool prefix = field.boolean_or("add_prefix_space", true), use_regex = field.boolean_or("use_regex", true);
    return splitting([prefix, use_regex](Text&& text, Pieces& out) {
        if (prefix && text.chars[0] != ' ') text.prepend(" ");
        Pieces parts;
        if (use_regex) {
            cut(text, gpt2.spans(text.chars), Behavior::kIsolated, parts);
        } else {
            add_piece(parts, std::move(text));
        }
        for (Piece& part : parts) {
            part.text.origin = to_byte_alphabet(std::string_view(part.text.chars).substr(0, part.text.origin)).size();
            part.text.chars = to_byte_alphabet(part.text.chars);
            out.push_back(std::move(part));
        }
    });
}

std::unique_ptr<PreTokenizer> metaspace(const JsonField& field) {
    const MetaspaceOptions options = read_metaspace(field);
    std::size_t pos = 0;
    const char32_t mark = next_code_point(options.replacement, pos);
    return splitting([options, mark](Text&& text, Pieces& out) {
        TextRewriter rewriter(text);
        for (std::size_t at = 0; at < text.chars.size();) {
            const std::size_t length = sequence_length(text.chars[at]);
            const std::string_view character = std::string_view(text.chars).substr(at, length);
            rewriter.put(character == " " ? std::string_view(options.replacement) : character, at);
            at += length;
        }
        Text marked = rewriter.take();
        const bool prepend = options.prepend == MetaspaceOptions::Prepend::kAlways ||
                             (options.prepend == MetaspaceOptions::Prepend::kFirst && marked.at_start);
        if (prepend && marked.chars.compare(0, options.replacement.size(), options.replacement) != 0) {
            marked.prepend(options.replacement);
        }
        if (options.split) {
            cut(marked, character_spans(marked.chars, [mark](char32_t c) { return c == mark; }),
                Behavior::kMergedWithNext, out);
        } else {
            add_piece(out, std::move(marked));
        }
    });
}

std::unique_ptr<PreTokenizer> split_on_pattern(const JsonField& field) {
    const Behavior behavior = read_behavior(field.at("behavior"));
    const bool invert = field.at("invert").boolean();
    return splitting([pattern = read_pattern(field.at("pattern")), behavior, invert](Text&& text, Pieces& out) {
        std::vector<Span> spans = pattern.spans(text.chars);
        if (invert) {
            for (Span& span : spans) span.match = !span.match;
        }
        cut(text, std::move(spans), behavior, out);
    });
}

/** Runs of word characters and runs of other visible characters: \w+|[^\w\s]+. */
void split_words(Text&& text, Pieces& out) {
    const auto kind = [](char32_t c) { return is_word(c) ? 1 : is_white_space(c) ? 0 : 2; };
    int current = 0;
    std::size_t begin = 0;
    for (std::size_t pos = 0; pos < text.chars.size();) {
        const std::size_t at = pos;
        const int next = kind(next_code_point(text.chars, pos));
        if (next == current) continue;
        if (current != 0) add_piece(out, text.slice(begin, at));
        begin = at;
        current = next;
    }
    if (current != 0) add_piece(out, text.slice(begin, text.chars.size()));
}

/** Cuts where the script changes; kana count as Han, spaces join what follows. Leading spaces are dropped, as the
 * reference does. */
void split_scripts(Text&& text, Pieces& out) {
    unsigned last = 0;
    std::size_t begin = 0;
    bool started = false;
    for (std::size_t pos = 0; pos < text.chars.size();) {
        const std::size_t at = pos;
        const unsigned script = script_class(next_code_point(text.chars, pos));
        if (script == 0) continue;
        if (!started || script != last) {
            if (started) add_piece(out, text.slice(begin, at));
            begin = at;
            started = true;
        }
        last = script;
    }
    if (started) add_piece(out, text.slice(begin, text.chars.size()));
}

std::unique_ptr<PreTokenizer> fixed_length(const JsonField& field) {
    const auto given = field.find("length");
    const std::int64_t length = given ? given->integer(1, INT32_MAX) : 5;
    return splitting([length](Text&& text, Pieces& out) {
        std::size_t begin = 0;
        std::int64_t count = 0;
        for (std::size_t pos = 0; pos < text.chars.size();) {
            pos += sequence_length(text.chars[pos]);
            if (++count < length && pos < text.chars.size()) continue;
            add_piece(out, text.slice(begin, pos));
            begin = pos;
            count = 0;
        }
    });
}

std::unique_ptr<PreTokenizer> bert() {
    std::vector<std::unique_ptr<PreTokenizer>> steps;
    steps.push_back(splitting_characters(is_white_space, Behavior::kRemoved));
    steps.push_back(splitting_characters(is_punctuation, Behavior::kIsolated));
    return std::make_unique<PreTokenizerSequence>(std::move(steps));
}

}  // namespace

std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonField& field, int depth) {
    const std::string type = component_type(field, depth);
    if (type == "Sequence") {
        std::vector<std::unique_ptr<PreTokenizer>> steps;
        const JsonField list = field.at("pretokenizers");
        for (std::size_t i = 0; i < list.size(); ++i) steps.push_back(read_pre_tokenizer(list.element(i), depth + 1));
        return std::make_unique<PreTokenizerSequence>(std::move(steps));
    }
    if (type == "ByteLevel") return byte_level(field);
    if (type == "Metaspace") return metaspace(field);
    if (type == "Split") return split_on_pattern(field);
    if (type == "Whitespace") return splitting(split_words);
    if (type == "WhitespaceSplit") return splitting_characters(is_white_space, Behavior::kRemoved);
    if (type == "BertPreTokenizer") return bert();
    if (type == "Punctuation") {
        const auto behavior = field.find("behavior");
        return splitting_characters(is_punctuation, behavior ? read_behavior(*behavior) : Behavior::kIsolated);
    }
    if (type == "Digits") {
        return splitting_characters(
            is_numeric, field.at("individual_digits").boolean() ? Behavior::kIsolated : Behavior::kContiguous);
    }
    if (type == "CharDelimiterSplit" || type == "Delimiter") {
        return splitting_characters(
            [delimiter = field.at("delimiter").character()](char32_t c) { return c == delimiter; }, Behavior::kRemoved);
    }
    if (type == "UnicodeScripts") return splitting(split_scripts);
    if (type == "FixedLength") return fixed_length(field);
    field.fail("unknown pre-tokenizer type \"" + type +
               "\"; known: Sequence, ByteLevel, Metaspace, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, "
               "Punctuation, Digits, "
               "CharDelimiterSplit, UnicodeScripts, FixedLength");
}

}  // namespace vlm::tok
