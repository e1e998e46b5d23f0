/** @file decoders.cpp
 *  Each stage does what the reference's decoder of the same name does to a list of tokens (huggingface/tokenizers,
 * src/decoders). A comment says what a stage must hold back.
 */
#include "host/tokenizer/decoders.hpp"

#include "host/tokenizer/byte_alphabet.hpp"
#include "host/tokenizer/components.hpp"
#include "host/tokenizer/decoder_stages.hpp"
#include "host/tokenizer/regex.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

/** No decoder: tokens with spaces between them. */
class JoinStage : public PassingStage {
  public:
    using PassingStage::PassingStage;
    void text(std::string_view part) override {
        begin();
        next_.text(part);
    }
    void end_token() override {
        begin();
        inside_ = false;
        next_.end_token();
    }

  private:
    void begin() {
        if (inside_) return;
        if (!first_) next_.text(" ");
        first_ = false;
        inside_ = true;
    }
    bool first_ = true, inside_ = false;
};

/** All tokens become one. */
class FuseStage : public PassingStage {
  public:
    using PassingStage::PassingStage;
    void end_token() override {}
    void finish() override {
        next_.end_token();
        next_.finish();
    }
};

/** Bytes spelled in GPT-2's alphabet, as one token. Holds back an unfinished character. */
class ByteLevelStage : public WholeTokenStage {
  public:
    using WholeTokenStage::WholeTokenStage;
    void finish() override {
        flush(true);
        next_.end_token();
        next_.finish();
    }

  protected:
    void on_token(const std::string& token) override {
        bytes_ += from_byte_alphabet(token).value_or(token);
        flush(false);
    }

  private:
    void flush(bool last) {
        std::string text;
        append_lossy(text, bytes_, last);
        if (!text.empty()) next_.text(text);
    }
    std::string bytes_;
};

/** Tokens "<0x41>" are bytes. A run of them is text only when all of it is valid UTF-8, so a run is held back until it
 * ends. */
class ByteFallbackStage : public WholeTokenStage {
  public:
    using WholeTokenStage::WholeTokenStage;
    void finish() override {
        flush();
        next_.finish();
    }

  protected:
    void on_token(const std::string& token) override {
        const int byte = byte_of(token);
        if (byte >= 0) {
            bytes_ += static_cast<char>(byte);
            return;
        }
        flush();
        next_.token(token);
    }

  private:
    static int digit(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    }
    static int byte_of(const std::string& token) {
        if (token.size() != 6 || token.compare(0, 3, "<0x") != 0 || token[5] != '>') return -1;
        const int high = token[3] == '+' ? 0 : digit(token[3]),
                  low = digit(token[4]);  // Rust reads "+A" as a number too.
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
    void flush() {
        if (bytes_.empty()) return;
        if (first_invalid_utf8(bytes_) == std::string_view::npos) {
            next_.token(bytes_);
        } else {
            for (std::size_t i = 0; i < bytes_.size(); ++i) next_.token("\xEF\xBF\xBD");
        }
        bytes_.clear();
    }
    std::string bytes_;
};

/** The mark becomes a space; in the first token it vanishes unless the scheme is "never". */
class MetaspaceStage : public PassingStage {
  public:
    MetaspaceStage(TokenSink& next, const MetaspaceOptions& options) : PassingStage(next), options_(options) {}
    void text(std::string_view part) override {
        const bool drop = first_ && options_.prepend != MetaspaceOptions::Prepend::kNever;
        next_.text(replace_all(part, options_.replacement, drop ? "" : " "));
    }
    void end_token() override {
        first_ = false;
        next_.end_token();
    }

  private:
    MetaspaceOptions options_;
    bool first_ = true;
};

/** Spaces that English writes differently than word tokens have them (the reference's wordpiece::cleanup, in its
 * order). */
std::string clean_up(std::string text) {
    static constexpr std::pair<std::string_view, std::string_view> rules[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (const auto& [from, to] : rules) text = replace_all(text, from, to);
    return text;
}

class WordPieceStage : public WholeTokenStage {
  public:
    WordPieceStage(TokenSink& next, std::string prefix, bool cleanup)
        : WholeTokenStage(next), prefix_(std::move(prefix)), cleanup_(cleanup) {}

  protected:
    void on_token(const std::string& token) override {
        std::string text = token;
        if (!first_) text = token.compare(0, prefix_.size(), prefix_) == 0 ? token.substr(prefix_.size()) : " " + token;
        first_ = false;
        next_.token(cleanup_ ? clean_up(std::move(text)) : text);
    }

  private:
    std::string prefix_;
    bool cleanup_, first_ = true;
};

/** The suffix of a word becomes a space, but nothing in the last token: one token is held back. */
class BpeStage : public WholeTokenStage {
  public:
    BpeStage(TokenSink& next, std::string suffix) : WholeTokenStage(next), suffix_(std::move(suffix)) {}
    void finish() override {
        pass("");
        next_.finish();
    }

  protected:
    void on_token(const std::string& token) override {
        pass(" ");
        held_ = token;
        holds_ = true;
    }

  private:
    void pass(std::string_view replacement) {
        if (holds_) next_.token(replace_all(held_, suffix_, replacement));
        holds_ = false;
    }
    std::string suffix_, held_;
    bool holds_ = false;
};

/** Removes up to `start` and `stop` copies of a character at the ends of each token. Holds back what may be such an
 * end. */
class StripStage : public PassingStage {
  public:
    StripStage(TokenSink& next, std::string content, std::size_t start, std::size_t stop)
        : PassingStage(next), content_(std::move(content)), start_(start), stop_(stop) {}

    void text(std::string_view part) override {
        std::string out;
        for (std::size_t pos = 0; pos < part.size();) {
            const std::string_view character = part.substr(pos, sequence_length(part[pos]));
            pos += character.size();
            const bool same = character == content_;
            if (at_start_ && same && removed_ < start_) {
                ++removed_;
                continue;
            }
            at_start_ = false;
            if (same && held_ < stop_) {
                ++held_;
                continue;
            }
            if (!same) release(out);
            out += character;  // A run longer than `stop_` gives its oldest copy free; copies are equal.
        }
        if (!out.empty()) next_.text(out);
    }
    void end_token() override {
        held_ = removed_ = 0;
        at_start_ = true;
        next_.end_token();
    }

  private:
    void release(std::string& out) {
        for (; held_ > 0; --held_) out += content_;
    }
    std::string content_;
    std::size_t start_, stop_, removed_ = 0, held_ = 0;
    bool at_start_ = true;
};

class ReplaceStage : public WholeTokenStage {
  public:
    ReplaceStage(TokenSink& next, Pattern pattern, std::string content)
        : WholeTokenStage(next), pattern_(std::move(pattern)), content_(std::move(content)) {}

  protected:
    void on_token(const std::string& token) override {
        std::string out;
        for (const Span& span : pattern_.spans(token)) {
            out += span.match ? std::string_view(content_)
                              : std::string_view(token).substr(span.begin, span.end - span.begin);
        }
        next_.token(out);
    }

  private:
    Pattern pattern_;
    std::string content_;
};

/** Connectionist temporal classification: repeats and padding vanish. */
class CtcStage : public WholeTokenStage {
  public:
    CtcStage(TokenSink& next, std::string pad, std::string delimiter, bool cleanup)
        : WholeTokenStage(next), pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}

  protected:
    void on_token(const std::string& token) override {
        if (!first_ && token == previous_) return;
        first_ = false;
        previous_ = token;
        std::string text = pad_.empty() ? token : replace_all(token, pad_, "");
        if (cleanup_) text = replace_all(clean_up(std::move(text)), delimiter_, " ");
        if (!text.empty()) next_.token(text);
    }

  private:
    std::string pad_, delimiter_, previous_;
    bool cleanup_, first_ = true;
};

std::string string_or(const JsonField& field, const std::string& key, const char* fallback) {
    const auto value = field.find(key);
    return value ? value->string() : fallback;
}

void append_decoders(const JsonField& field, int depth, DecoderChain& chain) {
    const std::string type = component_type(field, depth);
    if (type == "Sequence") {
        const JsonField list = field.at("decoders");
        for (std::size_t i = 0; i < list.size(); ++i) append_decoders(list.element(i), depth + 1, chain);
    } else if (type == "ByteLevel") {
        chain.push_back(stage<ByteLevelStage>());
    } else if (type == "ByteFallback") {
        chain.push_back(stage<ByteFallbackStage>());
    } else if (type == "Fuse") {
        chain.push_back(stage<FuseStage>());
    } else if (type == "Metaspace") {
        chain.push_back(stage<MetaspaceStage>(read_metaspace(field)));
    } else if (type == "WordPiece") {
        chain.push_back(stage<WordPieceStage>(string_or(field, "prefix", "##"), field.boolean_or("cleanup", true)));
    } else if (type == "BPEDecoder") {
        chain.push_back(stage<BpeStage>(string_or(field, "suffix", "</w>")));
    } else if (type == "Strip") {
        std::string content;
        append_utf8(content, field.at("content").character());
        chain.push_back(stage<StripStage>(content, static_cast<std::size_t>(field.at("start").integer(0, INT64_MAX)),
                                          static_cast<std::size_t>(field.at("stop").integer(0, INT64_MAX))));
    } else if (type == "Replace") {
        chain.push_back(stage<ReplaceStage>(read_pattern(field.at("pattern")), field.at("content").string()));
    } else if (type == "CTC") {
        chain.push_back(stage<CtcStage>(string_or(field, "pad_token", "<pad>"),
                                        string_or(field, "word_delimiter_token", "|"),
                                        field.boolean_or("cleanup", true)));
    } else {
        field.fail("unknown decoder type \"" + type +
                   "\"; known: Sequence, ByteLevel, ByteFallback, Metaspace, WordPiece, BPEDecoder, Fuse, Strip, "
                   "Replace, CTC");
    }
}

}  // namespace

DecoderChain read_decoder(const std::optional<JsonField>& field) {
    DecoderChain chain;
    if (field) {
        append_decoders(*field, 0, chain);
    } else {
        chain.push_back(stage<JoinStage>());
    }
    return chain;
}

}  // namespace vlm::tok
