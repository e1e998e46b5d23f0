/** @file output.cpp
 *  Rows to logits: only the rows that somebody asked for are normed and multiplied by the vocabulary.
 */
#include <algorithm>
#include <string>

#include "forward.hpp"
#include "upload.hpp"

namespace vlm::decoder {
namespace {

void write_counts(const Item& item, int64_t rows, const std::vector<int32_t>& input_rows, const sdk::Ops& ops) {
    item.target->output_rows = rows;
    if (item.request.row_of_output == nullptr || rows == 0) return;
    sdk::Tensor target(item.request.row_of_output, "row_of_output");
    if (target.size(0) < rows) throw sdk::invalid_argument("row_of_output is shorter than the output");
    sdk::HostTensor<int32_t> host(input_rows, {rows});
    ops.copy(host.view(), target.rows(0, rows));
}

}  // namespace

void Forward::output() {
    const bool all_hidden = run_.tapped() || std::any_of(items_.begin(), items_.end(),
                                                         [this](const Item& item) { return needs_mean(item); });
    if (config_.final_norm && all_hidden) norm(weights_.final_norm, x_, x_);
    if (all_hidden) {
        tap_rows("llm.final_norm", x_);
        write_hidden(x_);
    }

    std::vector<int32_t> wanted;
    std::vector<std::vector<int32_t>> input_rows(items_.size());
    for (size_t i = 0; i < items_.size(); ++i) {
        const Item& item = items_[i];
        auto take = [&](int32_t row) {
            wanted.push_back(row + static_cast<int32_t>(item.first));
            input_rows[i].push_back(item.input_row[static_cast<size_t>(row)]);
        };
        if (item.request.logits == VLM_LOGITS_LAST) take(item.positions.row.back());
        for (int32_t row = 0; item.request.logits == VLM_LOGITS_ALL && row < item.rows(); ++row) take(row);
        if (!input_rows[i].empty() && item.request.output == nullptr) {
            throw sdk::invalid_argument("backbone request: logits are asked for, but output is NULL");
        }
    }
    sdk::Scratch logits;
    if (!wanted.empty()) {
        auto count = static_cast<int64_t>(wanted.size());
        sdk::Scratch rows;
        if (count == rows_) {
            rows = std::move(x_);
        } else {
            rows = ops_.gather(x_, to_device(ops_, std::move(wanted)));
        }
        if (config_.final_norm && !all_hidden) norm(weights_.final_norm, rows, rows);
        if (weights_.project_out) rows = ops_.linear(weights_.project_out, rows);
        logits = ops_.linear(weights_.head, rows);
        if (config_.final_softcap > 0.0f) soft_cap(logits);
    }
    int64_t first = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
        auto count = static_cast<int64_t>(input_rows[i].size());
        if (count > 0) {
            sdk::Tensor target(items_[i].request.output, "output");
            target.expect_shape({-1, config_.total_vocab()}, "output");
            if (target.size(0) < count) throw sdk::invalid_argument("output has fewer rows than were planned");
            ops_.copy(logits.rows(first, count), target.rows(0, count));
        }
        first += count;
        write_counts(items_[i], count, input_rows[i], ops_);
    }
}

bool Forward::needs_mean(const Item& item) const {
    // The head judges a prompt; single tokens of the answer must not make a device wait in every step.
    const bool judged = weights_.confidence && item.rows() > 1;
    return item.request.hidden != nullptr || judged;
}

void Forward::write_hidden(const sdk::Tensor& normed) {
    for (const Item& item : items_) {
        if (!needs_mean(item)) continue;
        sdk::Scratch mean = ops_.create({config_.hidden_size});
        ops_.mean(rows_of(normed, item), 0, mean);
        if (weights_.confidence && item.rows() > 1)
            item.target->confidence = (*weights_.confidence)(ops_.download(mean));
        if (item.request.hidden == nullptr) continue;
        sdk::Tensor target(item.request.hidden, "hidden");
        target.expect_shape({1, config_.hidden_size}, "hidden");
        ops_.copy(mean.reshape({1, config_.hidden_size}), target);
    }
}

void Forward::soft_cap(sdk::Tensor& logits) const {
    sdk::Scratch factor = ops_.create({logits.size(-1)}, logits.dtype());
    ops_.fill(factor, 1.0 / config_.final_softcap);
    ops_.multiply(logits, factor, logits);
    ops_.activation(logits, VLM_ACT_TANH, logits);
    ops_.fill(factor, config_.final_softcap);
    ops_.multiply(logits, factor, logits);
}

}  // namespace vlm::decoder
