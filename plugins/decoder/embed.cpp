/** @file embed.cpp
 *  Tokens to rows: text from the tables, visual tokens as they come, then what the family adds to both.
 */
#include <algorithm>
#include <string>
#include <utility>

#include "forward.hpp"
#include "upload.hpp"

namespace vlm::decoder {
namespace {

/** Ids of a text segment, clipped to `first … first + size - 1` and counted from there; others become -1 (a zero row).
 */
std::vector<int32_t> ids_within(const std::vector<int32_t>& ids, int64_t first, int64_t size) {
    std::vector<int32_t> result(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
        bool inside = ids[i] >= first && ids[i] < first + size;
        result[i] = inside ? static_cast<int32_t>(ids[i] - first) : -1;
    }
    return result;
}

bool consecutive(const std::vector<int32_t>& rows) {
    for (size_t i = 1; i < rows.size(); ++i) {
        if (rows[i] != rows[0] + static_cast<int32_t>(i)) return false;
    }
    return true;
}

}  // namespace

void Forward::embed() {
    sdk::Scratch rows = ops_.create({rows_, config_.embed_size});
    // Text that stands together, over the borders of requests too, is looked up at once: a step of a batch is one
    // lookup.
    std::vector<int32_t> ids;
    int64_t ids_end = 0;
    auto flush = [&] {
        if (ids.empty()) return;
        sdk::Tensor target = rows.rows(ids_end - static_cast<int64_t>(ids.size()), static_cast<int64_t>(ids.size()));
        embed_text(std::exchange(ids, {}), target);
    };
    for (Item& item : items_) {
        for (const Piece& piece : item.sequence.pieces) {
            int64_t first = item.first + piece.first_row;
            sdk::Tensor target = rows.rows(first, piece.rows);
            if (piece.text == nullptr) {
                flush();
                embed_image(item, piece, target);
            } else if (piece.text->ids != nullptr) {
                ids.insert(ids.end(), piece.text->ids, piece.text->ids + piece.rows);
                ids_end = first + piece.rows;
            } else {
                flush();
                embed_device_text(*piece.text, target);
            }
        }
    }
    flush();
    // The references of these two show their embeddings before positions are added.
    bool before = config_.naming == Naming::opt || config_.naming == Naming::kosmos2;
    x_ = std::move(rows);
    if (before) tap_rows("llm.inputs_embeds", x_);
    if (weights_.project_in) x_ = ops_.linear(weights_.project_in, x_);
    add_modalities();
    add_positions();
    tap_places();
    if (!before) tap_rows("llm.inputs_embeds", x_);
}

void Forward::scale(sdk::Tensor& rows) const {
    if (weights_.embedding_scale) ops_.multiply(rows, weights_.embedding_scale, rows);
}

void Forward::embed_device_text(const vlm_segment& segment, sdk::Tensor& rows) {
    sdk::Tensor ids(segment.device_ids, "device_ids");
    if (config_.extra_vocab > 0) {
        embed_text(ops_.download<int32_t>(ids), rows);
        return;
    }
    ops_.gather(weights_.embedding.rows, ids, rows);
    scale(rows);
}

void Forward::embed_text(std::vector<int32_t> ids, sdk::Tensor& rows) {
    bool extra = std::any_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= config_.vocab_size; });
    if (extra) {
        ops_.gather(weights_.embedding.rows, to_device(ops_, ids_within(ids, 0, config_.vocab_size)), rows);
        auto own = to_device(ops_, ids_within(ids, config_.vocab_size, config_.extra_vocab));
        ops_.add(rows, ops_.gather(weights_.extra_embedding.rows, own), rows);
    } else {
        ops_.gather(weights_.embedding.rows, to_device(ops_, std::move(ids)), rows);
    }
    scale(rows);
}

void Forward::embed_image(const Item& item, const Piece& piece, sdk::Tensor& rows) {
    sdk::Tensor tokens(item.request.images[piece.image]->tokens, "visual tokens");
    if (config_.visual_size != config_.embed_size) {
        // The reference fills the wider visual rows into the narrower embeddings element by element (masked_scatter).
        if (tokens.elements() % config_.embed_size != 0 || config_.visual_size < config_.embed_size) {
            throw sdk::invalid_argument("visual tokens: " + std::to_string(config_.visual_size) +
                                        " columns do not fit embeddings of " + std::to_string(config_.embed_size));
        }
        tokens = tokens.reshape({tokens.elements() / config_.embed_size, config_.embed_size});
    }
    if (consecutive(piece.source)) {
        ops_.copy(tokens.rows(piece.source[0], piece.rows), rows);
    } else {
        ops_.gather(tokens, to_device(ops_, piece.source), rows);
    }
    if (config_.scale_visual) scale(rows);
}

void Forward::add_positions() {
    if (!weights_.positions) return;
    for (Item& item : items_) {
        const std::vector<int32_t>& places = item.positions.place[0];
        int64_t limit = weights_.positions.rows.size(0);
        if (int32_t last = *std::max_element(places.begin(), places.end()); last >= limit) {
            throw sdk::resource_exhausted("the sequence needs position " + std::to_string(last) +
                                          ", and the checkpoint has " + std::to_string(limit) +
                                          " position embeddings; shorten the prompt");
        }
        sdk::Scratch added = ops_.gather(weights_.positions.rows, to_device(ops_, places));
        sdk::Tensor target = rows_of(x_, item);
        if (item.merged) {
            sdk::Scratch means = ops_.create({item.rows(), config_.hidden_size});
            ops_.scatter_mean(added, to_device(ops_, item.positions.row), {}, means);
            ops_.add(target, means, target);
        } else {
            ops_.add(target, added, target);
        }
    }
}

void Forward::tap_places() const {
    if (!run_.tapped()) return;
    int64_t axes = axes_.empty() ? 1 : 3;
    for (const Item& item : items_) {
        std::vector<int32_t> places;
        for (size_t a = 0; a < static_cast<size_t>(axes); ++a) {
            const std::vector<int32_t>& axis = item.positions.place[a];
            places.insert(places.end(), axis.begin(), axis.end());
        }
        sdk::HostTensor<int32_t> host(std::move(places), {axes, item.live()});
        run_.tap("position_ids", host.view());
    }
}

void Forward::add_modalities() {
    if (!weights_.modality) return;
    std::vector<int32_t> kinds;
    for (const Item& item : items_) {
        for (int32_t image : item.image_of_row) kinds.push_back(image >= 0 ? 0 : 1);
    }
    ops_.add(x_, ops_.gather(weights_.modality.rows, to_device(ops_, std::move(kinds))), x_);
}

void Forward::read_memory() {
    if (config_.cross_interval == 0) return;
    for (Item& item : items_) {
        std::vector<int64_t> ends = item.context->memory_ends();
        int64_t rows = 0;
        for (uint32_t i = 0; i < item.request.image_count; ++i) {
            item.memory_rows.push_back(sdk::Tensor(item.request.images[i]->tokens, "visual tokens").size(0));
            rows += item.memory_rows.back();
            ends.push_back((ends.empty() ? 0 : ends.back()) + item.memory_rows.back());
        }
        if (rows > 0) item.memory = ops_.create({rows, config_.visual_size});
        int64_t first = 0;
        for (uint32_t i = 0; i < item.request.image_count; ++i) {
            sdk::Tensor target = item.memory.rows(first, item.memory_rows[i]);
            ops_.copy(sdk::Tensor(item.request.images[i]->tokens, "visual tokens"), target);
            first += item.memory_rows[i];
        }
        item.memory_mask = upload(make_memory_mask(item.sequence.memory_of_row, ends), item.rows(), 0);
    }
}

}  // namespace vlm::decoder
