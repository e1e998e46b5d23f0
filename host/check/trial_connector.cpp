/** @file trial_connector.cpp
 *  Connectors under random features of random grids, one to three images at a time.
 */
#include <vlm/connector.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "host/check/trial.hpp"
#include "host/pipeline/layout.hpp"

namespace vlm {
namespace {

constexpr int64_t kAnyWidth = 32;
constexpr int64_t kMostBatch = 3;
constexpr int kPatch = 14;

/** One image's features and the memory that its plan asks for. */
struct Item {
    vlm_token_block block{};
    const vlm_token_block* blocks[1]{};
    vlm_token_layout layout{};
    vlm_connector_plan plan{};
    std::unique_ptr<GuardedTensor> features, pooled, tokens;
    std::vector<char> before;
    vlm_connector_input input{};
    vlm_connector_output output{};
};

class ConnectorTrial : public Trial {
  public:
    explicit ConnectorTrial(const Subject& subject)
        : options_(subject.options()),
          table_(table_of<vlm_connector>(subject, VLM_KIND_CONNECTOR)),
          component_(table_.base, VLM_KIND_CONNECTOR, options_, *device_) {
        must(table_.describe != nullptr && table_.plan != nullptr && table_.connect != nullptr,
             "the table of vlm.connector/1 lacks a function");
        description_ = describe<vlm_connector_description>(table_, component_);
        must(description_.output_size > 0, "describes an output_size below 1");
        width_ = description_.input_size > 0 ? description_.input_size : find_width();
    }

    Outcome run(uint64_t number, const Conditions& conditions) override {
        Draw draw(options_.seed, number);
        std::vector<Item> items(static_cast<size_t>(1 + draw.below(kMostBatch)));
        std::string input;
        for (auto& item : items) {
            const vlm_status status = prepare(item, draw, conditions, input);
            if (status == VLM_STATUS_OK) continue;
            Outcome refused;
            refused.input = input;
            refused.status = status;
            refused.error = "plan refused " + input;  // plan has no error sink
            return refused;
        }
        std::vector<const vlm_connector_input*> inputs;
        std::vector<vlm_connector_output*> outputs;
        for (auto& item : items) {
            inputs.push_back(&item.input);
            outputs.push_back(&item.output);
        }
        Outcome outcome = call(input, conditions, [&](const vlm_run_context* context) {
            return table_.connect(component_.get(), context, static_cast<uint32_t>(items.size()), inputs.data(),
                                  outputs.data());
        });
        for (auto& item : items) collect(item, outcome);
        return outcome;
    }

  private:
    /** A connector that takes features of any width may still have weights for one: that is one of the widths that the
     * checkpoint's config.json speaks of. */
    int64_t find_width() {
        std::vector<int64_t> widths = {kAnyWidth};
        const std::string model = stage_config_of(VLM_KIND_CONNECTOR, options_).model;
        const std::function<void(const nlohmann::json&)> collect = [&](const nlohmann::json& value) {
            for (const auto& [key, member] : value.items()) {
                if (member.is_object()) collect(member);
                if (member.is_number_integer() && (key.ends_with("hidden_size") || key.ends_with("embed_dim")))
                    widths.push_back(member.get<int64_t>());
            }
        };
        const auto config = nlohmann::json::parse(model, nullptr, false);
        if (config.is_object()) collect(config);
        for (const int64_t width : widths) {
            width_ = width;
            if (width > 0 && run(0, {}).status == VLM_STATUS_OK) return width;
        }
        return kAnyWidth;
    }

    vlm_status prepare(Item& item, Draw& draw, const Conditions& conditions, std::string& input) {
        const auto rows = static_cast<int32_t>(4 * (1 + draw.below(3)));
        const auto columns = static_cast<int32_t>(4 * (1 + draw.below(3)));
        input += (input.empty() ? "grids of " : " and ") + std::to_string(rows) + " x " + std::to_string(columns);
        const int64_t tokens = int64_t{rows} * columns;
        item.block = {sizeof(vlm_token_block),
                      VLM_ABI_VERSION,
                      VLM_BLOCK_GRID,
                      VLM_BLOCK_FLAG_GLOBAL,
                      0,
                      tokens,
                      rows,
                      columns,
                      0,
                      0,
                      {0, 0, 1, 1}};
        item.blocks[0] = &item.block;
        item.layout = {sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, 1, 0, item.blocks};
        item.plan.struct_size = sizeof(item.plan);
        item.plan.abi_version = VLM_ABI_VERSION;
        const int32_t width = columns * kPatch;
        const int32_t height = rows * kPatch;
        const vlm_status status = table_.plan(component_.get(), &item.layout, width, height, &item.plan);
        if (status != VLM_STATUS_OK) return status;
        must(item.plan.rows >= 0 && item.plan.workspace_bytes >= 0,
             "plan of " + input + " has a negative count (VLM-P-17)");
        if (item.plan.layout != nullptr) {
            const TokenLayout layout(*item.plan.layout, "plan");  // throws for gaps (VLM-P-18)
            must(layout.tokens() == item.plan.rows, "plan of " + input + " has " + std::to_string(item.plan.rows) +
                                                        " rows but a layout of " + std::to_string(layout.tokens()) +
                                                        " tokens (VLM-P-18)");
        } else {
            must(item.plan.rows == tokens, "plan of " + input + " keeps the layout of " + std::to_string(tokens) +
                                               " tokens but has " + std::to_string(item.plan.rows) +
                                               " rows (VLM-P-18)");
        }
        const uint32_t dtype = compute().activation_dtype;
        const int64_t given = conditions.wrong_input ? width_ + 1 : width_;
        item.features = std::make_unique<GuardedTensor>(dtype, std::vector<int64_t>{tokens, given}, 0);
        draw.fill(*item.features, dtype);
        item.pooled = std::make_unique<GuardedTensor>(dtype, std::vector<int64_t>{1, given}, 0);
        draw.fill(*item.pooled, dtype);
        item.before = item.features->content(item.features->bytes());
        item.tokens = std::make_unique<GuardedTensor>(
            dtype, std::vector<int64_t>{item.plan.rows, description_.output_size}, conditions.fill);
        static const std::string prompt = "What is on the page?";
        item.input = {sizeof(vlm_connector_input),
                      VLM_ABI_VERSION,
                      item.features->abi(),
                      description_.reads_pooled != 0 ? item.pooled->abi() : nullptr,
                      &item.layout,
                      width,
                      height,
                      {description_.reads_prompt != 0 ? prompt.data() : nullptr,
                       description_.reads_prompt != 0 ? prompt.size() : 0},
                      nullptr};
        item.output = {sizeof(vlm_connector_output), VLM_ABI_VERSION, item.tokens->abi(), item.plan.rows, -1};
        return VLM_STATUS_OK;
    }

    void collect(Item& item, Outcome& outcome) const {
        if (!item.tokens->intact()) outcome.damage = "connect wrote outside of 'tokens'";
        if (item.features->content(item.features->bytes()) != item.before || !item.features->intact())
            outcome.damage = "connect wrote into its input 'features'";
        if (outcome.status != VLM_STATUS_OK) return;
        if (!take_rows(outcome, "connect", *item.tokens, item.output.rows, item.plan.rows)) return;
        if (item.output.rows != item.plan.rows)
            outcome.misshapen = "connect made " + std::to_string(item.output.rows) + " of " +
                                std::to_string(item.plan.rows) + " planned rows, though nothing was reduced";
    }

    CheckOptions options_;
    vlm_connector table_;
    LoadedComponent component_;
    vlm_connector_description description_{};
    int64_t width_ = kAnyWidth;
};

}  // namespace

std::unique_ptr<Trial> connector_trial(const Subject& subject) {
    return std::make_unique<ConnectorTrial>(subject);
}

}  // namespace vlm
