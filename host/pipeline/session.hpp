/** @file session.hpp
 *  A conversation: later turns read only what is new.
 *
 *  The session keeps what its context has read. For a new turn the whole conversation is rendered again, and what it
 * has in common with what was read stays in the KV cache; the rest is cut off and read anew. That is right whatever a
 * chat template does to earlier turns, and costs only the new tokens when it leaves them alone.
 */
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "host/pipeline/generate.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/template.hpp"
#include "host/pipeline/visual.hpp"

namespace vlm {

/** One conversation. One thread at a time, except cancel(). */
class Session {
  public:
    explicit Session(std::shared_ptr<const Pipeline> pipeline) : pipeline_(std::move(pipeline)) {}

    /** Answers one turn. A raw prompt continues the conversation's text as it is. When it throws, the conversation is
     * what it was before. */
    Result generate(const Request& request, const GenerationOptions& options, const StreamCallback& stream = {},
                    Trace* trace = nullptr);

    /** Answers requests beside the conversation, together. */
    std::vector<Result> answer(const std::vector<Request>& requests, const GenerationOptions& options) const;

    /** Visual tokens of an image as the backbone gets them: f32 `[rows, width]` on the CPU. */
    Tensor encode(const NamedImage& image, const std::string& prompt);

    /** Stops the running call within one layer, and every later one until reset_cancel(); from any thread. */
    void cancel() { cancelled_.store(true); }
    void reset_cancel() { cancelled_.store(false); }
    bool cancelled() const { return cancelled_.load(); }

  private:
    /** What stands at one position of the context: a text id, or a position of an image. */
    struct Unit {
        int32_t id;
        int image;
        int64_t position;
        bool operator==(const Unit&) const = default;
    };
    static std::vector<Unit> units_of(const std::vector<Segment>& segments);
    static std::vector<Segment> segments_from(const std::vector<Unit>& units, size_t begin);
    std::string render(const Request& request);
    Result take_turn(const Request& request, const GenerationOptions& options, const StreamCallback& stream,
                     Trace& spans);
    Listeners listeners() const;

    std::shared_ptr<const Pipeline> pipeline_;
    std::atomic<bool> cancelled_{false};
    VisualCache cache_;
    std::vector<std::shared_ptr<const VisualTokens>> images_;  ///< Of all turns, each made in the turn that brought it.
    std::vector<ChatTurn> turns_;
    std::string raw_text_;
    std::vector<Unit> read_;
    std::shared_ptr<Backbone::Context> context_;
};

}  // namespace vlm
