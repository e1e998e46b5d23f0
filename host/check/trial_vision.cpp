/** @file trial_vision.cpp
 *  Vision encoders under random pictures of random sizes, one to three at a time.
 */
#include <vlm/vision_encoder.h>

#include "host/check/trial.hpp"
#include "host/pipeline/layout.hpp"

namespace vlm {
namespace {

constexpr int64_t kMostSide = 96;
constexpr int64_t kMostBatch = 3;

/** One picture and the memory that its plan asks for. */
struct Picture {
    std::vector<uint8_t> rgb;
    vlm_image image{};
    vlm_vision_plan plan{};
    std::unique_ptr<GuardedTensor> pixels, features, pooled, row_of_position, sizes;
    vlm_vision_output output{};
};

class VisionTrial : public Trial {
  public:
    explicit VisionTrial(const Subject& subject)
        : options_(subject.options()),
          table_(table_of<vlm_vision_encoder>(subject, VLM_KIND_VISION_ENCODER)),
          component_(table_.base, VLM_KIND_VISION_ENCODER, options_, *device_) {
        must(table_.describe != nullptr && table_.plan != nullptr && table_.preprocess != nullptr &&
                 table_.encode != nullptr,
             "the table of vlm.vision_encoder/1 lacks a function");
        description_ = describe<vlm_vision_description>(table_, component_);
        must(description_.hidden_size > 0, "describes a hidden_size below 1");
    }

    Outcome run(uint64_t number, const Conditions& conditions) override {
        Draw draw(options_.seed, number);
        std::vector<Picture> pictures(static_cast<size_t>(1 + draw.below(kMostBatch)));
        std::string input;
        for (auto& p : pictures) {
            const vlm_status status = prepare(p, draw, conditions.fill, input);
            if (status == VLM_STATUS_OK) continue;
            Outcome refused;
            refused.input = input;
            refused.status = status;
            refused.error = "plan refused " + input;  // plan has no error sink
            return refused;
        }
        std::vector<const vlm_tensor*> pixels;
        std::vector<vlm_vision_output*> outputs;
        for (auto& p : pictures) {
            pixels.push_back(p.pixels->abi());
            outputs.push_back(&p.output);
        }
        GuardedTensor wrong(VLM_DTYPE_F32, {1, 3, 1}, 0);
        if (conditions.wrong_input) pixels[0] = wrong.abi();
        std::string damage;
        Outcome outcome = call(input, conditions, [&](const vlm_run_context* context) {
            for (auto& p : pictures) {
                const std::vector<uint8_t> before = p.rgb;
                const vlm_status status = table_.preprocess(component_.get(), context, &p.image, p.pixels->abi());
                if (p.rgb != before) damage = "preprocess wrote into the picture";
                // A cancelled call goes on to encode, which has to notice by itself.
                if (status != VLM_STATUS_OK && status != VLM_STATUS_CANCELLED) return status;
                if (!p.pixels->intact()) damage = "preprocess wrote outside of 'pixels'";
            }
            std::vector<std::vector<char>> before;
            for (auto& p : pictures) before.push_back(p.pixels->content(p.pixels->bytes()));
            const vlm_status status = table_.encode(component_.get(), context, static_cast<uint32_t>(pictures.size()),
                                                    pixels.data(), outputs.data());
            for (size_t i = 0; i < pictures.size(); ++i)
                if (pictures[i].pixels->content(pictures[i].pixels->bytes()) != before[i])
                    damage = "encode wrote into its input 'pixels'";
            return status;
        });
        outcome.damage = damage;
        for (auto& p : pictures) collect(p, outcome);
        return outcome;
    }

  private:
    vlm_status prepare(Picture& p, Draw& draw, unsigned char fill, std::string& input) {
        const auto width = static_cast<int32_t>(1 + draw.below(kMostSide) + draw.below(4) * kMostSide);
        const auto height = static_cast<int32_t>(1 + draw.below(kMostSide) + draw.below(4) * kMostSide);
        input += (input.empty() ? "pictures of " : " and ") + std::to_string(width) + " x " + std::to_string(height);
        p.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
        for (auto& byte : p.rgb) byte = static_cast<uint8_t>(draw.below(256));
        p.image = {sizeof(vlm_image), VLM_ABI_VERSION, width, height, p.rgb.data(), "random picture"};
        p.plan.struct_size = sizeof(p.plan);
        p.plan.abi_version = VLM_ABI_VERSION;
        const vlm_status status = table_.plan(component_.get(), width, height, &p.plan);
        if (status != VLM_STATUS_OK) return status;
        must(p.plan.pixel_ndim >= 1 && p.plan.pixel_ndim <= VLM_MAX_DIMS && p.plan.feature_rows >= 0 &&
                 p.plan.pooled_rows >= 0 && p.plan.workspace_bytes >= 0 && p.plan.layout != nullptr,
             "plan of " + input + " has an impossible shape, count or layout (VLM-P-17)");
        const TokenLayout layout(*p.plan.layout, "plan");  // throws for gaps (VLM-P-18)
        must(layout.tokens() == p.plan.feature_rows,
             "plan of " + input + " has " + std::to_string(p.plan.feature_rows) + " feature rows but a layout of " +
                 std::to_string(layout.tokens()) + " tokens (VLM-P-18)");
        must(description_.max_image_tokens < 0 || layout.tokens() <= description_.max_image_tokens,
             "plan of " + input + " has more tokens than max_image_tokens");
        const auto make = [&](uint32_t dtype, std::vector<int64_t> shape) {
            return std::make_unique<GuardedTensor>(dtype, std::move(shape), fill);
        };
        const uint32_t dtype = compute().activation_dtype;
        p.pixels = make(VLM_DTYPE_F32, {p.plan.pixel_shape, p.plan.pixel_shape + p.plan.pixel_ndim});
        p.features = make(dtype, {p.plan.feature_rows, description_.hidden_size});
        if (p.plan.pooled_rows > 0) p.pooled = make(dtype, {p.plan.pooled_rows, description_.pooled_size});
        p.row_of_position = make(VLM_DTYPE_I32, {p.plan.feature_rows});
        p.sizes = make(VLM_DTYPE_F32, {p.plan.feature_rows});
        p.output = {sizeof(vlm_vision_output),
                    VLM_ABI_VERSION,
                    p.features->abi(),
                    p.pooled ? p.pooled->abi() : nullptr,
                    p.plan.feature_rows,
                    p.row_of_position->abi(),
                    p.sizes->abi(),
                    0,
                    0,
                    nullptr};
        return VLM_STATUS_OK;
    }

    void collect(Picture& p, Outcome& outcome) const {
        for (const auto& [tensor, name] :
             {std::pair{p.features.get(), "features"}, std::pair{p.pooled.get(), "pooled"},
              std::pair{p.row_of_position.get(), "row_of_position"}, std::pair{p.sizes.get(), "sizes"}})
            if (tensor != nullptr && !tensor->intact())
                outcome.damage = std::string("encode wrote outside of '") + name + "'";
        if (outcome.status != VLM_STATUS_OK) return;
        if (!take_rows(outcome, "encode", *p.features, p.output.rows, p.plan.feature_rows)) return;
        if (p.output.rows != p.plan.feature_rows && p.output.reduced == 0)
            outcome.misshapen = "encode made " + std::to_string(p.output.rows) + " of " +
                                std::to_string(p.plan.feature_rows) + " planned rows without a map of positions";
    }

    CheckOptions options_;
    vlm_vision_encoder table_;
    LoadedComponent component_;
    vlm_vision_description description_{};
};

}  // namespace

std::unique_ptr<Trial> vision_trial(const Subject& subject) {
    return std::make_unique<VisionTrial>(subject);
}

}  // namespace vlm
