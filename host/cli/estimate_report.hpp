/** @file estimate_report.hpp
 *  What `vlmhost estimate` has found, as text for people, as JSON, and as a picture.
 */
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/estimate/fusion.hpp"

namespace vlm::cli {

/** A size of picture. */
struct PictureSize {
    std::string name;
    int width = 0;
    int height = 0;
};

/** Everything about one size. */
struct Prediction {
    PictureSize size;
    estimate::Stages stages;
    double weight_bytes = 0;
    double peak_bytes = 0;
    std::vector<estimate::Fusion> kinds;  ///< Empty for models that do not generate.
};

/** What times are told for; no machine: none. */
struct Answer {
    estimate::Machine machine;
    int64_t new_tokens = 0;

    bool timed() const { return machine.flops_per_s > 0; }
};

/** One size as a member of `sizes`. */
nlohmann::ordered_json prediction_json(const Prediction& prediction, const Answer& answer);

/** Stages, memory and the three kinds of fusion of one size. */
void print_prediction(const Prediction& prediction, const Answer& answer);

/** One line per size and kind of fusion. */
void print_sweep(const std::vector<Prediction>& predictions, const Answer& answer);

/** One bar per size and kind of fusion (per size for models that do not generate), parted by stages. Milliseconds where
 * there is a machine, else GFLOP. */
Image sweep_plot(const std::vector<Prediction>& predictions, const Answer& answer);

/** Scratch memory of attention at 1024 to 8192 tokens: members `tokens`, `standard`, `blocked`. Measured here. */
nlohmann::ordered_json attention_memory_json(int threads);
void print_attention_memory(const nlohmann::ordered_json& rows);

}  // namespace vlm::cli
