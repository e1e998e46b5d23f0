/** @file trial_backbone.cpp
 *  Backbones under random ids with or without the tokens of an image, one to three conversations at a time.
 */
#include <vlm/backbone.h>

#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr int64_t kMostText = 12;
constexpr int64_t kMostBatch = 3;
constexpr int64_t kContext = 256;
constexpr int32_t kSide = 4;  ///< Of the image's grid; merges by 2 divide it.

/** One conversation's new tokens. */
struct Turn {
    std::vector<int32_t> ids[2];
    vlm_segment segments[3]{};
    const vlm_segment* segment_pointers[3]{};
    vlm_token_block block{};
    const vlm_token_block* blocks[1]{};
    vlm_token_layout layout{};
    std::unique_ptr<GuardedTensor> visual, output, row_of_output;
    std::vector<char> before;
    vlm_visual_input image{};
    const vlm_visual_input* images[1]{};
    int64_t planned = 0;
    bool plan_refused = false;
    vlm_backbone_request request{};
};

class BackboneTrial : public Trial {
  public:
    explicit BackboneTrial(const Subject& subject)
        : options_(subject.options()),
          table_(table_of<vlm_backbone>(subject, VLM_KIND_BACKBONE)),
          component_(table_.base, VLM_KIND_BACKBONE, options_, *device_) {
        must(table_.describe != nullptr && table_.plan != nullptr && table_.run != nullptr,
             "the table of vlm.backbone/1 lacks a function");
        description_ = describe<vlm_backbone_description>(table_, component_);
        must(description_.output_size > 0, "describes an output_size below 1");
        find_style();
    }

    Outcome run(uint64_t number, const Conditions& conditions) override {
        Draw draw(options_.seed, number);
        const bool one = style_.one_at_a_time;
        std::vector<Turn> turns(static_cast<size_t>(one ? 1 : 1 + draw.below(kMostBatch)));
        std::string input;
        for (auto& turn : turns) prepare(turn, draw, conditions, input);
        Outcome outcome = call(input, conditions, [&](const vlm_run_context* context) {
            vlm_status status = VLM_STATUS_OK;
            for (auto& turn : turns)
                if (status == VLM_STATUS_OK) status = open(turn, context, conditions.fill);
            std::vector<vlm_backbone_request*> requests;
            for (auto& turn : turns) requests.push_back(&turn.request);
            if (status == VLM_STATUS_OK)
                status = table_.run(component_.get(), context, static_cast<uint32_t>(requests.size()), requests.data());
            for (auto& turn : turns)
                if (turn.request.context != nullptr && table_.context_destroy != nullptr)
                    table_.context_destroy(component_.get(), turn.request.context);
            return status;
        });
        for (auto& turn : turns) {
            collect(turn, outcome);
            // plan has no run context and so no error sink: what it says goes to the log.
            if (turn.plan_refused && outcome.error.empty()) outcome.error = "plan refused " + input;
        }
        return outcome;
    }

  private:
    /** What this backbone takes: not every one sees images, text around them, or several requests. */
    struct Style {
        bool text_before, image, text_behind, one_at_a_time;
    };

    void find_style() {
        std::string last = "no input";
        for (const bool one : {false, true})
            for (const Style style : {Style{true, true, true, one}, Style{false, true, true, one},
                                      Style{true, false, false, one}, Style{false, true, false, one}}) {
                if (style.image && description_.hidden_size <= 0) continue;
                style_ = style;
                const Outcome outcome = run(0, {});
                if (outcome.status == VLM_STATUS_OK) return;
                last = outcome.error.empty() ? outcome.input : outcome.error;
            }
        throw NotCheckable("takes none of the random inputs: " + last);
    }

    void prepare(Turn& turn, Draw& draw, const Conditions& conditions, std::string& input) {
        const int64_t most_ids =
            std::min<int64_t>(description_.output == VLM_OUTPUT_LOGITS ? description_.output_size : int64_t{64}, 64);
        uint32_t segments = 0;
        const auto text = [&](int which) {
            auto& ids = turn.ids[which];
            ids.resize(static_cast<size_t>(1 + draw.below(kMostText)));
            for (auto& id : ids) id = static_cast<int32_t>(draw.below(most_ids));
            turn.segments[segments] = {
                sizeof(vlm_segment), VLM_ABI_VERSION, VLM_SEGMENT_TEXT, -1, 0, static_cast<int64_t>(ids.size()),
                ids.data(),          nullptr};
            turn.segment_pointers[segments] = &turn.segments[segments];
            ++segments;
            input += (input.empty() ? "" : ", ") + std::to_string(ids.size()) + " ids";
        };
        if (style_.text_before) text(0);
        if (style_.image) {
            const int64_t tokens = int64_t{kSide} * kSide;
            const int64_t width = conditions.wrong_input ? description_.hidden_size + 1 : description_.hidden_size;
            const uint32_t dtype = compute().activation_dtype;
            turn.block = {sizeof(vlm_token_block),
                          VLM_ABI_VERSION,
                          VLM_BLOCK_GRID,
                          VLM_BLOCK_FLAG_GLOBAL,
                          0,
                          tokens,
                          kSide,
                          kSide,
                          0,
                          0,
                          {0, 0, 1, 1}};
            turn.blocks[0] = &turn.block;
            turn.layout = {sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, 1, 0, turn.blocks};
            turn.visual = std::make_unique<GuardedTensor>(dtype, std::vector<int64_t>{tokens, width}, 0);
            draw.fill(*turn.visual, dtype);
            turn.before = turn.visual->content(turn.visual->bytes());
            turn.image = {};
            turn.image.struct_size = sizeof(vlm_visual_input);
            turn.image.abi_version = VLM_ABI_VERSION;
            turn.image.tokens = turn.visual->abi();
            turn.image.layout = &turn.layout;
            turn.images[0] = &turn.image;
            // As memory of cross-attention an image takes no place in the sequence, only marks one.
            const int64_t count = description_.delivery == VLM_DELIVERY_CROSS_ATTENTION ? 0 : tokens;
            turn.segments[segments] = {
                sizeof(vlm_segment), VLM_ABI_VERSION, VLM_SEGMENT_IMAGE, 0, 0, count, nullptr, nullptr};
            turn.segment_pointers[segments] = &turn.segments[segments];
            ++segments;
            input += (input.empty() ? "" : ", ") + std::string("an image of 16 tokens");
        }
        if (style_.text_behind) text(1);
        auto& r = turn.request;
        r.struct_size = sizeof(r);
        r.abi_version = VLM_ABI_VERSION;
        r.segment_count = segments;
        r.image_count = style_.image ? 1 : 0;
        r.segments = turn.segment_pointers;
        r.images = turn.images;
        const bool logits = description_.output == VLM_OUTPUT_LOGITS;
        r.logits = logits && draw.below(2) == 0 ? VLM_LOGITS_ALL : VLM_LOGITS_LAST;
        r.confidence = -1;
    }

    vlm_status open(Turn& turn, const vlm_run_context* context, unsigned char fill) {
        auto& r = turn.request;
        if (table_.context_create != nullptr) {
            const vlm_status status = table_.context_create(component_.get(), context, kContext, &r.context);
            if (status != VLM_STATUS_OK && status != VLM_STATUS_UNIMPLEMENTED) return status;
        }
        int64_t bytes = 0;
        const vlm_status status = table_.plan(component_.get(), &r, &turn.planned, &bytes);
        turn.plan_refused = status != VLM_STATUS_OK;
        if (turn.plan_refused) return status;
        must(turn.planned >= 0 && bytes >= 0, "plan has a negative count (VLM-P-17)");
        turn.output = std::make_unique<GuardedTensor>(
            VLM_DTYPE_F32, std::vector<int64_t>{turn.planned, description_.output_size}, fill);
        turn.row_of_output = std::make_unique<GuardedTensor>(VLM_DTYPE_I32, std::vector<int64_t>{turn.planned}, fill);
        r.output = turn.output->abi();
        r.row_of_output = r.logits == VLM_LOGITS_ALL ? turn.row_of_output->abi() : nullptr;
        r.output_rows = turn.planned;
        return VLM_STATUS_OK;
    }

    void collect(Turn& turn, Outcome& outcome) const {
        if (turn.output && !turn.output->intact()) outcome.damage = "run wrote outside of 'output'";
        if (turn.row_of_output && !turn.row_of_output->intact())
            outcome.damage = "run wrote outside of 'row_of_output'";
        if (turn.visual && (!turn.visual->intact() || turn.visual->content(turn.visual->bytes()) != turn.before))
            outcome.damage = "run wrote into the visual tokens";
        if (outcome.status == VLM_STATUS_OK && turn.output)
            take_rows(outcome, "run", *turn.output, turn.request.output_rows, turn.planned);
    }

    CheckOptions options_;
    vlm_backbone table_;
    LoadedComponent component_;
    vlm_backbone_description description_{};
    Style style_{};
};

}  // namespace

std::unique_ptr<Trial> backbone_trial(const Subject& subject) {
    return std::make_unique<BackboneTrial>(subject);
}

}  // namespace vlm
