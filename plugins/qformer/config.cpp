/** @file config.cpp
 *  See config.hpp.
 */
#include "config.hpp"

namespace vlm::qformer {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 20;
constexpr int64_t kMaxVocab = int64_t{1} << 26;

}  // namespace

QFormerConfig read_config(const sdk::Config& config) {
    QFormerConfig c;
    c.queries = config.integer("num_query_tokens", c.queries, 1, kMaxSize);
    c.hidden = config.integer("hidden_size", c.hidden, 1, kMaxSize);
    c.intermediate = config.integer("intermediate_size", c.intermediate, 1, kMaxSize);
    c.encoder_hidden = config.integer("encoder_hidden_size", c.encoder_hidden, 1, kMaxSize);
    if (!config.has("output_size"))
        throw sdk::invalid_argument(config.path("output_size") +
                                    ": is missing; the recipe takes it from the language model's hidden_size");
    c.output = config.integer("output_size", 0, 1, kMaxSize);
    c.layers = static_cast<int32_t>(config.integer("num_hidden_layers", c.layers, 1, 4096));
    c.heads = static_cast<int32_t>(config.integer("num_attention_heads", c.heads, 1, 4096));
    c.cross_frequency = static_cast<int32_t>(config.integer("cross_attention_frequency", c.cross_frequency, 1, 4096));
    c.norm_eps = config.get("layer_norm_eps", c.norm_eps);
    c.activation = sdk::activation_of(config.get("hidden_act", "gelu"), config.path("hidden_act"));
    c.vocab = config.integer("vocab_size", c.vocab, 1, kMaxVocab);
    c.max_positions = config.integer("max_position_embeddings", c.max_positions, 1, kMaxSize);
    c.reads_prompt = config.get("reads_prompt", false);
    c.tokenizer_folder = config.get("tokenizer_folder", "qformer_tokenizer");
    config.expect<std::string>("position_embedding_type", "absolute");
    // Retrieval checkpoints keep text layers too; a language model in front of which the queries stand uses none.
    config.ignore({"use_qformer_text_input"});
    config.refuse_unknown();
    if (c.hidden % c.heads != 0)
        throw sdk::invalid_argument(config.path("hidden_size") + ": " + std::to_string(c.hidden) +
                                    " is no multiple of " + std::to_string(c.heads) + " heads");
    if (!(c.norm_eps > 0)) throw sdk::invalid_argument(config.path("layer_norm_eps") + ": expected a positive number");
    return c;
}

}  // namespace vlm::qformer
