/** @file attention.cpp
 *  See attention.hpp.
 */
#include "host/pipeline/attention.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/prompt.hpp"

namespace vlm {
namespace {

/** Weights of one layer in one run. */
struct Matrix {
    int64_t rows = 0;
    int64_t keys = 0;
    std::vector<float> values;
    const float* row(int64_t r) const { return values.data() + r * keys; }
};
using Layers = std::map<int32_t, Matrix>;

/** Collects the weights that the backbone shows under `prefix` and a number; only the last `keep` rows, 0: all. */
Listeners collecting(const Listeners& outer, const std::string& prefix, int64_t keep, Layers& layers) {
    Listeners listeners;
    listeners.cancelled = outer.cancelled;
    listeners.tap = [prefix, keep, &layers](const std::string& name, const vlm_tensor& tensor) {
        if (!name.starts_with(prefix) || tensor.view.ndim != 2 || dtype_of(tensor.view) != VLM_DTYPE_F32) return;
        int32_t layer = 0;
        const char* end = name.data() + name.size();
        if (std::from_chars(name.data() + prefix.size(), end, layer).ptr != end) return;
        const int64_t rows = tensor.view.shape[0], keys = tensor.view.shape[1];
        const int64_t across = tensor.view.strides != nullptr ? tensor.view.strides[0] : keys;
        const int64_t along = tensor.view.strides != nullptr ? tensor.view.strides[1] : 1;
        const auto* data =
            reinterpret_cast<const float*>(static_cast<const char*>(tensor.view.data) + tensor.view.byte_offset);
        Matrix matrix{keep > 0 ? std::min(keep, rows) : rows, keys, {}};
        matrix.values.reserve(static_cast<size_t>(matrix.rows * keys));
        for (int64_t r = rows - matrix.rows; r < rows; ++r)
            for (int64_t k = 0; k < keys; ++k) matrix.values.push_back(data[r * across + k * along]);
        layers[layer] = std::move(matrix);
    };
    return listeners;
}

/** One computation. */
class Weights {
  public:
    Weights(const Pipeline& pipeline, const AnsweredSequence& sequence, const AttentionChoice& choice,
            const Listeners& listeners)
        : pipeline_(pipeline),
          sequence_(sequence),
          choice_(choice),
          listeners_(listeners),
          inline_(pipeline.connector().description().delivery == VLM_DELIVERY_INLINE),
          prefix_(inline_ ? "attn.layer" : "attn.cross") {
        for (const auto& image : sequence.images) {
            images_.push_back(image.get());
            result_.layouts.push_back(image->layout);
        }
    }

    AnswerAttention compute(bool whole_prompt) {
        const bool rollout = choice_.kind == AttentionChoice::Kind::rollout;
        if (rollout && !inline_)
            throw unimplemented(
                "--attention-layer rollout: in this model images are a memory beside the text, and "
                "rollout follows one sequence; choose a layer or mean");
        read(rollout || whole_prompt);
        place();
        if (rollout)
            roll_out();
        else
            for (const int32_t layer : chosen()) add(layer, 1.F / static_cast<float>(chosen().size()));
        if (whole_prompt) add_prompt();
        return std::move(result_);
    }

  private:
    /** Reads prompt and answer; `all`: with the weights of all rows. */
    void read(bool all) {
        const auto& backbone = pipeline_.backbone();
        const auto answer = static_cast<int64_t>(sequence_.answer.size());
        const int64_t prompt = segment_tokens(sequence_.segments);
        const bool text_last = !sequence_.segments.empty() && sequence_.segments.back().image < 0 &&
                               !sequence_.segments.back().ids.empty();
        Listeners quiet;
        quiet.cancelled = listeners_.cancelled;
        std::vector<int32_t> tail(sequence_.answer.begin(), sequence_.answer.end() - 1);
        std::unique_ptr<Backbone::Context> context;
        if (!all && text_last) {
            PipelineRun run(pipeline_, quiet);
            context = backbone.create_context(run.run(), prompt + answer);
            run.read(context.get(), sequence_.segments, images_, VLM_LOGITS_NONE);
            try {
                backbone.truncate(*context, prompt - 1);
                tail.insert(tail.begin(), sequence_.segments.back().ids.back());
            } catch (const Error& error) {
                if (error.code() != VLM_STATUS_FAILED_PRECONDITION) throw;
                context.reset();  // cut by a reducer: its last row can only be seen while the prompt is read
            }
        }
        if (!context) {
            PipelineRun run(pipeline_, collecting(listeners_, prefix_, all ? 0 : 1, prompt_));
            context = backbone.create_context(run.run(), prompt + answer);
            run.read(context.get(), sequence_.segments, images_, VLM_LOGITS_NONE);
            records_ = run.hooks().records();
        }
        if (!tail.empty()) {
            const Listeners loud = collecting(listeners_, prefix_, 0, tail_);
            DeviceRun run(pipeline_.device(), &loud);
            tail_rows_ = static_cast<int64_t>(tail.size());
            const std::vector<Segment> segments = {Segment{tail, -1, 0, tail_rows_}};
            const Backbone::Request request{context.get(), segments, {}, VLM_LOGITS_NONE};
            backbone.run(run, {&request, 1}, pipeline_.device().allocator());
        }
        const auto& shown = prompt_.empty() ? tail_ : prompt_;
        if (shown.empty())
            throw unimplemented(
                backbone.plugin().id() +
                " shows no attention weights, so there is nothing to draw (a backbone shows them under " + prefix_ +
                "N)");
        layers_ = shown.rbegin()->first + 1;
        result_.prompt_positions = prompt;
    }

    /** Which position of the sequence each key of each layer is. */
    void place() {
        std::vector<int64_t> row_of;  // of each position; -1: dropped before the backbone
        std::vector<int64_t> first(images_.size(), -1);
        int64_t rows = 0;
        for (const auto& segment : sequence_.segments) {
            for (size_t i = 0; i < segment.ids.size(); ++i) {
                result_.positions.push_back({-1, static_cast<int64_t>(result_.positions.size())});
                row_of.push_back(rows++);
            }
            if (segment.image < 0 || segment.count == 0) continue;
            const auto index = static_cast<size_t>(segment.image);
            const auto map = rows_of(*images_[index]);
            if (first[index] < 0) {
                first[index] = rows;
                rows += images_[index]->rows.dim(0);
            }
            for (int64_t i = segment.first; i < segment.first + segment.count; ++i) {
                result_.positions.push_back({segment.image, i});
                const int32_t row = map[static_cast<size_t>(i)];
                row_of.push_back(row < 0 ? -1 : first[index] + row);
            }
        }
        std::vector<int64_t> alive;
        for (size_t p = 0; p < row_of.size(); ++p)
            if (row_of[p] >= 0) alive.push_back(static_cast<int64_t>(p));
        for (int32_t layer = 0; layer < layers_; ++layer) {
            for (const auto& record : records_) {
                if (record.site != VLM_SITE_BACKBONE_LAYER || record.layer != layer) continue;
                for (const int64_t p : alive) {
                    auto& row = row_of[static_cast<size_t>(p)];
                    row = record.groups.at(static_cast<size_t>(row));
                }
                std::erase_if(alive, [&](int64_t p) { return row_of[static_cast<size_t>(p)] < 0; });
            }
            alive_.push_back(alive);
        }
        const auto answer = static_cast<int64_t>(sequence_.answer.size());
        for (int64_t i = 0; i + 1 < answer; ++i)
            result_.positions.push_back({-1, static_cast<int64_t>(result_.positions.size())});
        if (!inline_) place_memory();
        result_.rows.assign(static_cast<size_t>(answer), std::vector<float>(result_.positions.size(), 0.F));
    }

    /** Columns of a memory: the rows of all images, one behind the other. */
    void place_memory() {
        result_.positions.clear();
        std::vector<int64_t> all;
        for (size_t i = 0; i < images_.size(); ++i)
            for (int64_t row = 0; row < images_[i]->rows.dim(0); ++row) {
                all.push_back(static_cast<int64_t>(result_.positions.size()));
                result_.positions.push_back({static_cast<int>(i), row});
            }
        alive_.assign(static_cast<size_t>(layers_), all);
    }

    std::vector<int32_t> rows_of(const VisualTokens& image) const {
        return PipelineRun(pipeline_, {}).visual().rows_of_positions(image.layout, image.map);
    }

    std::vector<int32_t> chosen() const {
        if (choice_.kind == AttentionChoice::Kind::layer) {
            const int32_t layer = choice_.layer < 0 ? choice_.layer + layers_ : choice_.layer;
            if (layer < 0 || layer >= layers_)
                throw invalid_argument("--attention-layer: " + std::to_string(choice_.layer) + " is none of the " +
                                       std::to_string(layers_) + " layers, 0 to " + std::to_string(layers_ - 1));
            return {layer};
        }
        std::vector<int32_t> all;
        for (int32_t layer = 0; layer < layers_; ++layer) all.push_back(layer);
        return all;
    }

    /** Sequence positions of the keys of a layer, of which the last ones are rows read behind the prompt. */
    std::vector<int64_t> columns(int32_t layer, const Matrix& matrix, int64_t behind) const {
        auto columns = alive_[static_cast<size_t>(layer)];
        if (inline_ && behind > 0) {
            // The last row of the prompt may have been read again with the answer.
            const auto positions = static_cast<int64_t>(result_.positions.size());
            std::erase_if(columns, [&](int64_t p) { return p >= positions - behind; });
            for (int64_t p = positions - behind; p < positions; ++p) columns.push_back(p);
        }
        if (static_cast<int64_t>(columns.size()) != matrix.keys)
            throw Error(VLM_STATUS_INTERNAL, pipeline_.backbone().plugin().id() + ": " + prefix_ +
                                                 std::to_string(layer) + " shows " + std::to_string(matrix.keys) +
                                                 " keys where the sequence has " + std::to_string(columns.size()));
        return columns;
    }

    /** Adds `factor` times the rows of one layer to the rows of the answer. */
    void add(int32_t layer, float factor) {
        const auto last = prompt_.find(layer);
        size_t token = 0;
        const auto put = [&](const Matrix& matrix, int64_t row, const std::vector<int64_t>& columns) {
            auto& target = result_.rows.at(token++);
            for (int64_t k = 0; k < matrix.keys; ++k)
                target[static_cast<size_t>(columns[static_cast<size_t>(k)])] += factor * matrix.row(row)[k];
        };
        if (last != prompt_.end()) put(last->second, last->second.rows - 1, columns(layer, last->second, 0));
        const auto behind = tail_.find(layer);
        if (behind == tail_.end()) return;
        const auto keys = columns(layer, behind->second, tail_rows_);
        for (int64_t row = 0; row < behind->second.rows; ++row) put(behind->second, row, keys);
    }

    void add_prompt() {
        if (!inline_)
            throw unimplemented(
                "the four blocks of attention belong to models whose images stand in the sequence; in "
                "this one they are a memory beside the text");
        const int64_t n = result_.prompt_positions;
        auto layers = chosen();
        result_.prompt.assign(static_cast<size_t>(n * n), 0.F);
        for (const int32_t layer : layers) {
            const auto& matrix = prompt_.at(layer);
            const auto keys = columns(layer, matrix, 0);
            for (int64_t r = 0; r < matrix.rows; ++r)
                for (int64_t k = 0; k < matrix.keys; ++k)
                    result_
                        .prompt[static_cast<size_t>(keys[static_cast<size_t>(r)] * n + keys[static_cast<size_t>(k)])] +=
                        matrix.row(r)[k] / static_cast<float>(layers.size());
        }
    }

    /** From the last layer down: `v ← v (I + A) / 2`, starting with the rows of the answer. */
    void roll_out() {
        const int64_t prompt = result_.prompt_positions;
        for (size_t token = 0; token < result_.rows.size(); ++token)
            result_.rows[token].at(static_cast<size_t>(prompt - 1) + token) = 1.F;
        for (int32_t layer = layers_ - 1; layer >= 0; --layer) {
            const auto& first = prompt_.at(layer);
            const auto first_keys = columns(layer, first, 0);
            const auto behind = tail_.find(layer);
            const auto all_keys =
                behind != tail_.end() ? columns(layer, behind->second, tail_rows_) : std::vector<int64_t>();
            for (auto& row : result_.rows) {
                std::vector<float> next(row);
                for (float& value : next) value *= 0.5F;
                const auto mix = [&](int64_t query, const float* weights, const std::vector<int64_t>& keys) {
                    const float share = 0.5F * row[static_cast<size_t>(query)];
                    if (share == 0.F) return;
                    for (size_t k = 0; k < keys.size(); ++k) next[static_cast<size_t>(keys[k])] += share * weights[k];
                };
                for (int64_t r = 0; r < first.rows; ++r)
                    mix(first_keys[static_cast<size_t>(r)], first.row(r), first_keys);
                for (int64_t r = 0; behind != tail_.end() && r < behind->second.rows; ++r)
                    mix(prompt + r, behind->second.row(r), all_keys);
                row = std::move(next);
            }
        }
    }

    const Pipeline& pipeline_;
    const AnsweredSequence& sequence_;
    const AttentionChoice& choice_;
    const Listeners& listeners_;
    bool inline_;
    std::string prefix_;
    std::vector<const VisualTokens*> images_;
    Layers prompt_, tail_;
    int64_t tail_rows_ = 0;
    int32_t layers_ = 0;
    std::vector<ReductionRecord> records_;
    std::vector<std::vector<int64_t>> alive_;  ///< By layer: positions of the prompt that its keys stand for.
    AnswerAttention result_;
};

void check_memory(const Pipeline& pipeline, const AnsweredSequence& sequence) {
    constexpr int64_t kMost = int64_t{2} << 30;
    const int64_t n = segment_tokens(sequence.segments) + static_cast<int64_t>(sequence.answer.size());
    const int64_t bytes = pipeline.backbone().description().layers * n * n * static_cast<int64_t>(sizeof(float));
    if (bytes > kMost)
        throw resource_exhausted("the attention weights of all " + std::to_string(n) + " rows of all layers take " +
                                 std::to_string(bytes >> 20) + " MiB, and at most " + std::to_string(kMost >> 20) +
                                 " are used; choose --attention-layer mean or one layer, without --attention-blocks, "
                                 "or a smaller image");
}

}  // namespace

AttentionChoice attention_choice(const std::string& text) {
    if (text == "mean") return {AttentionChoice::Kind::mean, 0};
    if (text == "rollout") return {AttentionChoice::Kind::rollout, 0};
    AttentionChoice choice{AttentionChoice::Kind::layer, 0};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), choice.layer);
    if (text.empty() || code != std::errc() || end != text.data() + text.size())
        throw invalid_argument("--attention-layer: '" + text +
                               "' is neither mean, nor rollout, nor the number of a layer (-1 is the last)");
    return choice;
}

std::vector<AttentionBlock> attention_blocks(const AnswerAttention& attention) {
    std::vector<AttentionBlock> blocks;
    const auto n = static_cast<size_t>(attention.prompt_positions);
    const auto visual = [&](size_t p) { return attention.positions[p].image >= 0; };
    for (const bool query : {true, false})
        for (const bool key : {true, false}) {
            AttentionBlock block;
            block.name = std::string(query ? "visual" : "text") + "_to_" + (key ? "visual" : "text");
            double sum = 0;
            for (size_t i = 0; i < n && attention.prompt.size() == n * n; ++i) {
                if (visual(i) != query) continue;
                ++block.rows;
                for (size_t j = 0; j < n; ++j)
                    if (visual(j) == key) block.weights.push_back(attention.prompt[i * n + j]);
            }
            for (const float weight : block.weights) {
                sum += static_cast<double>(weight);
                block.max = std::max(block.max, static_cast<double>(weight));
            }
            if (!block.weights.empty()) {
                block.mean = sum / static_cast<double>(block.weights.size());
                block.columns = static_cast<int>(block.weights.size()) / block.rows;
            }
            blocks.push_back(std::move(block));
        }
    return blocks;
}

AnswerAttention answer_attention(const Pipeline& pipeline, const AnsweredSequence& sequence,
                                 const AttentionChoice& choice, bool whole_prompt, const Listeners& listeners) {
    const auto& backbone = pipeline.backbone();
    if (backbone.description().output != VLM_OUTPUT_LOGITS)
        throw unimplemented(backbone.plugin().id() +
                            " does not generate text, so there are no tokens whose attention "
                            "could be drawn");
    if (sequence.answer.empty()) throw invalid_argument("the answer has no tokens whose attention could be drawn");
    if (whole_prompt || choice.kind == AttentionChoice::Kind::rollout) check_memory(pipeline, sequence);
    return Weights(pipeline, sequence, choice, listeners).compute(whole_prompt);
}

Manifest with_attention_shown(Manifest manifest) {
    auto options = nlohmann::ordered_json::parse(manifest.backbone.options);
    options["tap_attention"] = true;
    manifest.backbone.options = options.dump();
    return manifest;
}

}  // namespace vlm
