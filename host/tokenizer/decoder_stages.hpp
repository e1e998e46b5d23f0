/** @file decoder_stages.hpp
 *  The base of decoder stages that need a token as a whole before they can say anything about it.
 */
#pragma once
#include <functional>

#include "host/tokenizer/decoders.hpp"

namespace vlm::tok {

/** Passes everything on. */
class PassingStage : public TokenSink {
  public:
    explicit PassingStage(TokenSink& next) : next_(next) {}
    void text(std::string_view part) override { next_.text(part); }
    void end_token() override { next_.end_token(); }
    void finish() override { next_.finish(); }

  protected:
    TokenSink& next_;
};

/** Collects a token and hands it to `on_token`. */
class WholeTokenStage : public PassingStage {
  public:
    using PassingStage::PassingStage;
    void text(std::string_view part) final { token_ += part; }
    void end_token() final {
        std::string token;
        token.swap(token_);
        on_token(token);
    }

  protected:
    virtual void on_token(const std::string& token) = 0;

  private:
    std::string token_;
};

/** A decoder made of a function that makes its stage. */
class StageFactory : public Decoder {
  public:
    using Function = std::function<std::unique_ptr<TokenSink>(TokenSink&)>;
    explicit StageFactory(Function function) : function_(std::move(function)) {}
    std::unique_ptr<TokenSink> start(TokenSink& next) const override { return function_(next); }

  private:
    Function function_;
};

/** A stage of class Stage, made from copies of `options`. */
template <typename Stage, typename... Options>
std::unique_ptr<const Decoder> stage(Options... options) {
    return std::make_unique<StageFactory>(
        [options...](TokenSink& next) { return std::make_unique<Stage>(next, options...); });
}

}  // namespace vlm::tok
