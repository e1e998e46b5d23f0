/** @file result.hpp
 *  What a pipeline answers about one request, and its JSON form (docs/results.schema.json).
 */
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/reduction_map.hpp"

namespace vlm {

/** One generated token. */
struct TokenPiece {
    int32_t id = 0;
    float log_probability = 0;
    std::string piece;
    int64_t text_begin = 0;  ///< Byte range in Answer::text.
    int64_t text_end = 0;
};

/** Why generation ended. */
enum class FinishReason { stop_token, stop_string, length, none };
const char* finish_reason_name(FinishReason reason);

/** What became of guessed tokens (manifest: `speculative`). */
struct GuessCounts {
    int64_t steps = 0;     ///< Steps of decoding, with guesses and without.
    int64_t proposed = 0;  ///< Guessed tokens that were checked.
    int64_t accepted = 0;  ///< Those that the answer has.
    void add(const GuessCounts& other) {
        steps += other.steps;
        proposed += other.proposed;
        accepted += other.accepted;
    }
};

/** One answer: of a request, or of one row of text of a page. */
struct Answer {
    std::string text;          ///< With special tokens.
    std::string display_text;  ///< Without.
    std::vector<TokenPiece> tokens;
    FinishReason finish = FinishReason::none;
    int image = -1;
    std::array<float, 4> region{};  ///< Left, top, right, bottom in pixels of the image.
    Tensor output;                  ///< Backbones that do not generate: `[rows, output_size]`.
    double confidence = -1;
    GuessCounts guesses;
};

/** Token counts of one result. */
struct TokenCounts {
    int64_t visual = 0;  ///< Visual positions before any reduction.
    int64_t merged = 0;  ///< Fewer rows by merging.
    int64_t pruned = 0;  ///< Dropped positions.
    int64_t text = 0;    ///< Prompt tokens that are text.
    int64_t generated = 0;
    int64_t reused = 0;    ///< Tokens that the KV cache had from earlier turns.
    int64_t kv_bytes = 0;  ///< Bytes of the KV cache at the end.
    GuessCounts guesses;   ///< Over all answers.
};

/** The answer to one request. */
struct Result {
    std::vector<std::string> images;  ///< Names of the images.
    std::string text;                 ///< Display text of all answers, joined by newlines.
    std::vector<Answer> answers;
    Tensor image_embeddings;                   ///< `[images, n]` beside embedding backbones.
    std::string budget;                        ///< JSON: what the manifest's budget chose; empty: it has none.
    std::string extra = "{}";                  ///< JSON members written by the post-processors.
    std::map<std::string, double> timings_ms;  ///< By stage.
    TokenCounts tokens;
    std::vector<ReductionRecord> reductions;
    std::vector<ReducedImage> reduced_images;  ///< With reducers: what became of the positions of each image.

    /** One line of JSON. */
    std::string to_json() const;
};

/** Peak resident memory of this process so far in MiB; 0 where the system does not tell. */
double peak_memory_mb();

}  // namespace vlm
