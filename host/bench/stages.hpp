/** @file stages.hpp
 *  Measures the stages of an open pipeline one by one, by the calls that answering makes, but with a prompt and an
 *  answer of a given length: what a stage takes must not depend on what random weights happen to say.
 */
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "host/bench/series.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm::bench {

/** What was measured about one stage. */
struct Stage {
    std::string name;
    Series ms;           ///< Time of one call.
    double flops = 0;    ///< Multiplications and additions of one call, as the device counted them.
    double bytes = 0;    ///< Weights and cache that one call must read at least; 0: not a matter of memory.
    int64_t tokens = 0;  ///< Tokens that one call reads or makes.
};

/** How much to measure. */
struct StageOptions {
    int runs = 5;                              ///< Calls that count; one before them does not.
    int64_t context = 640;                     ///< Tokens of the prompt, its image included.
    int64_t decode_steps = 16;                 ///< Steps of each run of decoding.
    std::vector<int64_t> batches = {1, 4, 8};  ///< Sequences that decode together.
};

/** Measures on one pipeline. Not thread-safe. */
class StageBench {
  public:
    /** `image` is what every run looks at.
     *  @throws Error FAILED_PRECONDITION for pipelines that do not generate text from tokens in the sequence. */
    StageBench(const Pipeline& pipeline, Image image, const Listeners& listeners);

    Stage preprocess(int runs);
    Stage encode(int runs);
    Stage connect(int runs);
    /** Reading a prompt of `tokens` tokens into an empty context; the image is part of it when it fits. */
    Stage prefill(int64_t tokens, int runs);
    /** From the image to the logits of the first token. */
    Stage first_token(int64_t tokens, int runs);
    /** One step of `batch` sequences that hold `context` tokens each; every step is a measurement. */
    Stage decode(int64_t batch, int64_t context, int64_t steps, int runs);

    /** Tokens of a prompt that has `wanted` of them, or more where the image leaves no room for text. */
    int64_t context_of(int64_t wanted) const;
    /** Bytes of keys and values of one sequence of the last decode(), at its end. */
    int64_t kv_bytes() const { return kv_bytes_; }

  private:
    template <class Call>
    Stage measure(const std::string& name, int runs, Call&& call);
    std::vector<Segment> prompt(int64_t tokens);
    void ensure_visual();
    std::vector<Backbone::Output> read(const std::vector<Segment>& segments, Backbone::Context& context);

    const Pipeline& pipeline_;
    Image image_;
    Listeners listeners_;
    VisionEncoder::Plan plan_;
    int64_t visual_tokens_ = 0;  ///< Of the image.
    Tensor pixels_;
    std::vector<Features> features_;
    VisualTokens visual_;
    std::vector<std::unique_ptr<Backbone::Context>> contexts_;
    int64_t filled_ = -1;  ///< Tokens of each context.
    int64_t room_ = 0;     ///< Tokens that each has room for behind them.
    int64_t kv_bytes_ = 0;
};

/** All stages in the order of a request; `tick` is called before each. */
std::vector<Stage> measure_stages(StageBench& bench, const StageOptions& options,
                                  const std::function<void(const std::string&)>& tick = {});

}  // namespace vlm::bench
