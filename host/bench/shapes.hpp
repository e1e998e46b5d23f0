/** @file shapes.hpp
 *  Real models as numbers: enough to write a checkpoint of random weights that computes exactly what the real one does.
 *
 *  Speed and memory depend on shapes, not on values, so nobody has to download gigabytes to measure a machine. Only the
 *  longest context is raised beyond that of the real models: it changes no shape, and lets long prompts be measured.
 */
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vlm::bench {

/** How the vision tower of a family is laid out, which decides the names of its tensors. */
enum class TowerKind { clip, intern, qwen2 };

/** Dimensions of a vision-language model; the names are those of config.json. */
struct ModelShape {
    std::string name;
    std::string description;  ///< One line for people.
    int revision = 0;         ///< Goes up when what is written for this shape alone changes.

    TowerKind tower = TowerKind::clip;
    int64_t vision_hidden = 0, vision_intermediate = 0, vision_layers = 0, vision_heads = 0;
    int64_t image_size = 0, patch_size = 0;

    std::string text_type;  ///< "llama" or "qwen2" (biases at q, k and v).
    int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0, kv_heads = 0, vocabulary = 0;
    bool tied = false;  ///< The embedding is the output head too.
};

/** One tensor of the checkpoint. */
struct ShapeTensor {
    enum class Fill { random, ones };
    std::string name;
    std::vector<int64_t> shape;
    Fill fill = Fill::random;

    int64_t elements() const;
};

/** All shapes, smallest first. */
const std::vector<ModelShape>& model_shapes();

/** The shape of that name. @throws Error NOT_FOUND with the known names. */
const ModelShape& model_shape(const std::string& name);

/** Tensors under the names that the family's checkpoints on the Hub use. */
std::vector<ShapeTensor> tensors_of(const ModelShape& shape);

/** config.json. */
std::string config_json(const ModelShape& shape);

/** preprocessor_config.json. */
std::string preprocessor_json(const ModelShape& shape);

/** A tokenizer.json of single bytes and the family's image tokens: any text can be asked. */
std::string tokenizer_json(const ModelShape& shape);

}  // namespace vlm::bench
