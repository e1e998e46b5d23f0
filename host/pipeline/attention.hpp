/** @file attention.hpp
 *  Where a model looked while it answered: attention weights of the rows that chose the tokens of an answer.
 *
 *  Fused attention keeps no weights. They are therefore computed again behind the answer, and only for the rows that
 * somebody wants to see: the prompt is read as always, its last row is taken back, and that row and the answer are read
 * with the weights shown. Rollout and the blocks of a prompt need all rows, and so does a prompt that a reducer cut.
 *
 *  The backbone shows its weights as taps: `attn.layerN` `[rows, keys]` f32, the mean over the heads of layer N, or
 * `attn.crossN` where images are a memory that text attends to. Any backbone that does so will do.
 */
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/pipeline.hpp"
#include "host/services/run.hpp"

namespace vlm {

/** Which layers a picture shows. */
struct AttentionChoice {
    enum class Kind {
        layer,    ///< One layer.
        mean,     ///< Mean over all layers.
        rollout,  ///< Product of `(I + A) / 2` over all layers (Abnar and Zuidema, arXiv 2005.00928).
    };
    Kind kind = Kind::mean;
    int32_t layer = 0;  ///< From 0; negative: from the end, -1 is the last.
};

/** "mean", "rollout" or the number of a layer. Throws INVALID_ARGUMENT for anything else. */
AttentionChoice attention_choice(const std::string& text);

/** What a position of a sequence, or a row of the memory, is. */
struct AttendedPosition {
    int image = -1;         ///< Index of the image; -1: text.
    int64_t position = -1;  ///< Position in the image's layout; in text, its place in the sequence.
};

/** The weights of one sequence. */
struct AnswerAttention {
    std::vector<AttendedPosition> positions;  ///< Columns of `rows`: the prompt, then the answer but its last token.
    std::vector<TokenLayout> layouts;         ///< By image.
    std::vector<std::vector<float>> rows;     ///< Of each token of the answer: the row that chose it.
    std::vector<float> prompt;                ///< `[prompt, prompt]` positions when asked for, else empty.
    int64_t prompt_positions = 0;
};

/** Mean and maximum of the weights from queries of one kind to keys of one kind, masked pairs included as 0. */
struct AttentionBlock {
    std::string name;  ///< "visual_to_text": the query is visual.
    double mean = 0;
    double max = 0;
    int rows = 0;
    int columns = 0;
    std::vector<float> weights;  ///< `[rows, columns]`
};

/** The four blocks visual→visual, visual→text, text→visual and text→text of `attention.prompt`. */
std::vector<AttentionBlock> attention_blocks(const AnswerAttention& attention);

/** A sequence as it was read, and its answer. */
struct AnsweredSequence {
    std::span<const Segment> segments;
    std::vector<std::shared_ptr<const VisualTokens>> images;
    std::span<const int32_t> answer;
};

/** Computes the weights. `whole_prompt`: also those of all rows of the prompt. With rollout, `prompt` is the mean over
 * the layers. Throws UNIMPLEMENTED for a backbone that shows no weights, INVALID_ARGUMENT for a layer that it does not
 * have, RESOURCE_EXHAUSTED when all rows of all layers are needed and do not fit. */
AnswerAttention answer_attention(const Pipeline& pipeline, const AnsweredSequence& sequence,
                                 const AttentionChoice& choice, bool whole_prompt, const Listeners& listeners = {});

/** The manifest with the option by which a backbone shows its weights. */
Manifest with_attention_shown(Manifest manifest);

}  // namespace vlm
