/** @file tokenizer.cpp
 *  The pipeline itself; each section of the file is a class of its own elsewhere.
 */
#include "host/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "host/base/error.hpp"
#include "host/tokenizer/tokenizer_impl.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm {
namespace tok {

std::shared_ptr<Tokenizer::Impl> read_tokenizer(const std::string& text, const std::string& file) {
    const nlohmann::json document = parse_json(text, file);
    const JsonField root(document, file);
    root.expect_object();
    if (const auto version = root.find("version"); version && version->string() != "1.0") {
        version->fail("found \"" + version->string() + "\", expected \"1.0\"");
    }
    auto impl = std::make_shared<Tokenizer::Impl>();
    if (const auto field = root.find("normalizer")) impl->normalizer = read_normalizer(*field);
    if (const auto field = root.find("pre_tokenizer")) impl->pre_tokenizer = read_pre_tokenizer(*field);
    impl->model = read_model(root.at("model"));
    if (const auto field = root.find("post_processor")) impl->post_processor = read_post_processor(*field);
    impl->decoders = read_decoder(root.find("decoder"));
    if (const auto field = root.find("added_tokens")) {
        std::vector<AddedToken> tokens;
        std::map<std::int32_t, std::string> ids;
        for (std::size_t i = 0; i < field->size(); ++i) {
            const JsonField entry = field->element(i);
            tokens.push_back(read_added_token(entry));
            const std::int32_t id = entry.at("id").token_id();
            const auto [it, fresh] = ids.emplace(id, tokens.back().content);
            if (!fresh && it->second != tokens.back().content) {
                entry.fail("the id " + std::to_string(id) + " belongs to \"" + it->second +
                           "\" already; expected one id for each");
            }
        }
        impl->added.add(tokens, impl->model->vocabulary(), impl->normalizer.get());
    }
    if (const auto field = root.find("truncation")) impl->truncation = field->json().dump();
    if (const auto field = root.find("padding")) impl->padding = field->json().dump();
    return impl;
}

}  // namespace tok

namespace {

/** The end of the chain: collects text. */
class TextSink : public tok::TokenSink {
  public:
    void text(std::string_view part) override { collected_ += part; }
    void end_token() override {}
    void finish() override {}
    std::string take() { return std::exchange(collected_, {}); }

  private:
    std::string collected_;
};

/** A running decoder. */
class DecoderRun {
  public:
    DecoderRun(const Tokenizer::Impl& impl, bool skip_special)
        : impl_(impl), skip_special_(skip_special), head_(&sink_) {
        for (auto decoder = impl.decoders.rbegin(); decoder != impl.decoders.rend(); ++decoder) {
            stages_.push_back((*decoder)->start(*head_));
            head_ = stages_.back().get();
        }
    }
    DecoderRun(const DecoderRun&) = delete;
    DecoderRun& operator=(const DecoderRun&) = delete;

    void push(std::int32_t id) {
        const auto piece = impl_.piece_of(id);
        if (piece && !(skip_special_ && impl_.added.is_special_piece(*piece))) head_->token(*piece);
    }
    void finish() { head_->finish(); }
    std::string take() { return sink_.take(); }

  private:
    const Tokenizer::Impl& impl_;
    bool skip_special_;
    TextSink sink_;
    std::vector<std::unique_ptr<tok::TokenSink>> stages_;
    tok::TokenSink* head_;
};

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer Tokenizer::from_json(const std::string& text, const std::string& name) {
    return Tokenizer(tok::read_tokenizer(text, name));
}

Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
    return from_json(tok::read_file(path), path.string());
}

Tokenizer Tokenizer::from_directory(const std::filesystem::path& directory) {
    const std::filesystem::path file = directory / "tokenizer.json";
    if (!std::filesystem::exists(file)) {
        throw not_found(file.string() +
                        ": is not there; a checkpoint with only a SentencePiece or vocab.txt file has to be saved once "
                        "with a fast tokenizer to get it");
    }
    const auto impl = tok::read_tokenizer(tok::read_file(file), file.string());
    tok::read_companions(directory, *impl);
    return Tokenizer(impl);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
    if (const std::size_t bad = tok::first_invalid_utf8(text); bad != std::string_view::npos) {
        throw invalid_argument("tokenizer: the text is not valid UTF-8 at byte " + std::to_string(bad) + " of " +
                               std::to_string(text.size()) + "; expected UTF-8");
    }
    std::vector<tok::Piece> pieces = impl_->added.extract(text, impl_->normalizer.get());
    if (impl_->pre_tokenizer) impl_->pre_tokenizer->split(pieces);
    std::vector<std::int32_t> ids;
    for (const tok::Piece& piece : pieces) {
        if (piece.id >= 0) {
            ids.push_back(piece.id);
        } else if (!piece.text.empty()) {
            impl_->model->encode(piece.text.chars, ids);
        }
    }
    return impl_->post_processor ? impl_->post_processor->process(std::move(ids), add_special_tokens) : ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
    DecoderRun run(*impl_, skip_special_tokens);
    for (const std::int32_t id : ids) run.push(id);
    run.finish();
    return run.take();
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view piece) const {
    std::int32_t id = impl_->added.id_of(piece);
    if (id < 0) id = impl_->model->vocabulary().id_of(piece);
    return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string> Tokenizer::piece_of(std::int32_t id) const {
    const auto piece = impl_->piece_of(id);
    return piece ? std::optional<std::string>(*piece) : std::nullopt;
}

std::size_t Tokenizer::vocab_size() const {
    const tok::Vocabulary& model = impl_->model->vocabulary();
    return model.size() + impl_->added.count_beyond(model);
}

std::int32_t Tokenizer::max_id() const {
    return std::max(impl_->model->vocabulary().max_id(), impl_->added.max_id());
}

bool Tokenizer::is_special(std::int32_t id) const {
    return impl_->added.is_special(id);
}

std::optional<std::string> Tokenizer::special_token(std::string_view role) const {
    const auto it = impl_->roles.find(role);
    return it == impl_->roles.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::int32_t> Tokenizer::special_id(std::string_view role) const {
    const auto token = special_token(role);
    return token ? id_of(*token) : std::nullopt;
}

const std::string& Tokenizer::truncation_json() const {
    return impl_->truncation;
}
const std::string& Tokenizer::padding_json() const {
    return impl_->padding;
}

struct StreamDecoder::State {
    State(std::shared_ptr<const Tokenizer::Impl> kept, bool skip_special)
        : impl(std::move(kept)), run(*impl, skip_special) {}
    std::shared_ptr<const Tokenizer::Impl> impl;
    DecoderRun run;
    bool finished = false;
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : state_(std::make_unique<State>(tokenizer.impl_, skip_special_tokens)) {}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::push(std::int32_t id) {
    if (state_->finished)
        throw failed_precondition("stream decoder: push() after finish(); expected a new StreamDecoder");
    state_->run.push(id);
    return state_->run.take();
}

std::string StreamDecoder::finish() {
    if (!state_->finished) state_->run.finish();
    state_->finished = true;
    return state_->run.take();
}

}  // namespace vlm
