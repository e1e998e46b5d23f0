/** @file sequence.cpp
 *  Rows of an image are numbered in their own order at the place where the image stands; positions point to them.
 */
#include "sequence.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vlm/sdk/error.hpp>

namespace vlm::decoder {
namespace {

std::string at_segment(uint32_t segment) {
    return "Request to the decoder, segment " + std::to_string(segment);
}

[[noreturn]] void refuse(const std::string& message) {
    throw sdk::Error(VLM_STATUS_INVALID_ARGUMENT, message);
}

void check_text(const DecoderConfig& config, const vlm_segment& s, uint32_t number) {
    if (s.count > 0 && s.ids == nullptr && s.device_ids == nullptr) refuse(at_segment(number) + ": text without ids.");
    if (s.ids == nullptr) return;
    for (int64_t i = 0; i < s.count; ++i) {
        if (s.ids[i] < 0 || s.ids[i] >= config.total_vocab()) {
            refuse(at_segment(number) + ": token id " + std::to_string(s.ids[i]) + " at place " + std::to_string(i) +
                   " is outside the vocabulary of " + std::to_string(config.total_vocab()) +
                   ". The tokenizer does not belong to this checkpoint.");
        }
    }
}

const vlm_visual_input& image_of(const DecoderConfig& config, const vlm_backbone_request& request, int32_t image,
                                 uint32_t segment) {
    if (image < 0 || static_cast<uint32_t>(image) >= request.image_count || request.images == nullptr ||
        request.images[image] == nullptr) {
        refuse(at_segment(segment) + ": image " + std::to_string(image) + " of " + std::to_string(request.image_count) +
               " does not exist.");
    }
    const vlm_visual_input& input = *request.images[image];
    if (input.tokens == nullptr || input.tokens->view.ndim != 2 || input.tokens->view.shape[1] != config.visual_size) {
        refuse(at_segment(segment) + ": the tokens of image " + std::to_string(image) + " must be [rows, " +
               std::to_string(config.visual_size) + "]. Does the connector belong to this language model?");
    }
    return input;
}

void check_image(const DecoderConfig& config, const vlm_backbone_request& request, const vlm_segment& s,
                 uint32_t number) {
    const vlm_visual_input& input = image_of(config, request, s.image, number);
    if (config.cross_interval > 0) return;
    int64_t tokens = input.layout == nullptr ? -1 : input.layout->tokens;
    if (tokens < 0) refuse(at_segment(number) + ": image " + std::to_string(s.image) + " has no layout.");
    if (s.first < 0 || s.first > tokens || s.count > tokens - s.first) {
        refuse(at_segment(number) + ": positions " + std::to_string(s.first) + " to " +
               std::to_string(s.first + s.count) + " of an image of " + std::to_string(tokens) + " positions.");
    }
    int64_t rows = input.tokens->view.shape[0];
    if (input.row_of_position == nullptr && rows < tokens) {
        refuse(at_segment(number) + ": image " + std::to_string(s.image) + " has " + std::to_string(rows) +
               " rows for " + std::to_string(tokens) + " positions, and no map from positions to rows.");
    }
}

/** Position ids inside one image, relative to its beginning: grids count rows and columns, other blocks count on.
 *  Several grids of one image are steps in time. */
std::vector<std::array<int32_t, 3>> local_places(const vlm_token_layout& layout) {
    std::vector<std::array<int32_t, 3>> places(static_cast<size_t>(layout.tokens));
    int32_t next = 0;
    int32_t time = 0;
    for (uint32_t b = 0; b < layout.block_count; ++b) {
        const vlm_token_block& block = *layout.blocks[b];
        bool grid = block.kind == VLM_BLOCK_GRID && block.rows > 0 && block.columns > 0;
        int32_t width = grid && (block.flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? block.columns + 1 : block.columns;
        bool fits = block.first >= 0 && block.tokens >= 0 && block.first <= layout.tokens &&
                    block.tokens <= layout.tokens - block.first;
        if (!fits || (grid && int64_t{block.rows} * width != block.tokens)) {
            refuse("Layout of an image: block " + std::to_string(b) + " does not cover its positions.");
        }
        for (int64_t i = 0; i < block.tokens; ++i) {
            auto offset = static_cast<int32_t>(i);
            std::array<int32_t, 3> place{next + offset, next + offset, next + offset};
            if (grid) place = {time, offset / width, offset % width};
            places[static_cast<size_t>(block.first + i)] = place;
        }
        if (grid) {
            next = std::max({next, ++time, block.rows, width});
        } else {
            next += static_cast<int32_t>(block.tokens);
        }
    }
    return places;
}

/** Builds a Sequence piece by piece. */
class Flattener {
  public:
    Flattener(const DecoderConfig& config, const vlm_backbone_request& request, std::span<const ImageMap> maps,
              const SequenceStart& start)
        : config_(config), request_(request), maps_(maps), start_(start), state_(start) {
        mrope_ = !config.rope.mrope_section.empty() && config.positions == PositionKind::rotary;
        request_rows_.resize(maps.size());
        for (size_t i = 0; i < maps.size(); ++i) {
            int64_t rows = maps[i].row_of_position.empty() && request.images[i]->layout != nullptr
                               ? request.images[i]->layout->tokens
                               : maps[i].rows;
            request_rows_[i].assign(static_cast<size_t>(std::max<int64_t>(rows, 0)), -1);
        }
    }

    Sequence run(int64_t tokens) {
        out_.records.reserve(static_cast<size_t>(tokens));
        bool markers = false;
        for (uint32_t i = 0; i < request_.segment_count; ++i)
            markers |= request_.segments[i]->kind == VLM_SEGMENT_IMAGE;
        placeholders_ = config_.cross_interval > 0 && !markers && config_.image_token >= 0;
        ends_ = config_.cross_interval > 0 && tokens > 1;
        for (uint32_t i = 0; i < request_.segment_count; ++i) {
            const vlm_segment& s = *request_.segments[i];
            if (s.kind == VLM_SEGMENT_TEXT) {
                add_text(s);
            } else if (config_.cross_interval > 0) {
                next_memory();
            } else {
                add_image(s);
            }
        }
        if (config_.cross_interval > 0 && state_.images - start_.images != static_cast<int32_t>(request_.image_count)) {
            refuse("Request to the decoder: " + std::to_string(request_.image_count) +
                   " images came with it, but it has " + std::to_string(state_.images - start_.images) +
                   " places for them.");
        }
        for (size_t p = 0; p < out_.positions.size(); ++p) {
            if (out_.positions.row[p] != static_cast<int32_t>(p)) out_.merged = true;
        }
        out_.merged |= out_.positions.size() != out_.image_of_row.size();
        out_.image_base = state_.image_base;
        return std::move(out_);
    }

  private:
    void next_memory() { state_.memory_image = state_.images++; }

    void add_record() { out_.records.push_back({state_.next_place, state_.memory_image, state_.images}); }

    void add_row(int32_t image, uint8_t keep) {
        out_.image_of_row.push_back(image);
        out_.memory_of_row.push_back(state_.memory_image);
        out_.sizes.push_back(0.0f);
        out_.keep.push_back(keep);
    }

    void add_position(int32_t row, int32_t image, const std::array<int32_t, 3>& place) {
        Positions& p = out_.positions;
        p.row.push_back(row);
        p.index.push_back(state_.index);
        p.image.push_back(image);
        p.place[0].push_back(place[0]);
        if (mrope_) {
            p.place[1].push_back(place[1]);
            p.place[2].push_back(place[2]);
        }
        out_.sizes[static_cast<size_t>(row)] += 1.0f;
    }

    void add_text(const vlm_segment& s) {
        if (s.count == 0) return;
        Piece piece;
        piece.first_row = out_.rows();
        piece.rows = s.count;
        piece.text = &s;
        for (int64_t i = 0; i < s.count; ++i) {
            if (placeholders_ && s.ids != nullptr && s.ids[i] == config_.image_token) next_memory();
            add_row(-1, 1);
            int32_t place = state_.next_place++;
            add_position(static_cast<int32_t>(out_.rows() - 1), -1, {place, place, place});
            ++state_.index;
            if (ends_ && s.ids != nullptr && s.ids[i] == config_.end_token) state_.memory_image = -1;
            add_record();
        }
        out_.pieces.push_back(std::move(piece));
    }

    void add_image(const vlm_segment& s) {
        const ImageMap& map = maps_[static_cast<size_t>(s.image)];
        const vlm_token_layout& layout = *request_.images[s.image]->layout;
        number_rows(s, map);
        if (s.first == 0) {
            state_.image_base = state_.next_place;
            ++state_.images;
        }
        std::vector<std::array<int32_t, 3>> local;
        if (mrope_) local = local_places(layout);
        for (int64_t p = s.first; p < s.first + s.count; ++p) {
            std::array<int32_t, 3> place{state_.next_place, 0, 0};
            if (mrope_) {
                const auto& relative = local[static_cast<size_t>(p)];
                for (size_t a = 0; a < 3; ++a) place[a] = state_.image_base + relative[a];
                state_.next_place = std::max(state_.next_place, *std::max_element(place.begin(), place.end()) + 1);
            } else {
                ++state_.next_place;
            }
            int32_t row = image_row(map, p);
            if (row >= 0) {
                int32_t own = request_rows_[static_cast<size_t>(s.image)][static_cast<size_t>(row)];
                add_position(own, state_.images - 1, place);
            } else {
                out_.reduced = true;
            }
            ++state_.index;
            add_record();
        }
        out_.visual |= s.count > 0;
    }

    static int32_t image_row(const ImageMap& map, int64_t position) {
        return map.row_of_position.empty() ? static_cast<int32_t>(position)
                                           : map.row_of_position[static_cast<size_t>(position)];
    }

    /** Gives the rows that first appear in this segment their places, in the order of the image's rows. */
    void number_rows(const vlm_segment& s, const ImageMap& map) {
        std::vector<int32_t>& known = request_rows_[static_cast<size_t>(s.image)];
        std::vector<int32_t> fresh;
        std::vector<uint8_t> keep(known.size(), 0);
        constexpr int32_t kPending = -2;
        for (int64_t p = s.first; p < s.first + s.count; ++p) {
            int32_t row = image_row(map, p);
            if (row < -1 || row >= static_cast<int32_t>(known.size())) {
                refuse("Image " + std::to_string(s.image) + ": position " + std::to_string(p) + " maps to row " +
                       std::to_string(row) + " of " + std::to_string(known.size()) + ".");
            }
            if (row < 0) continue;
            auto r = static_cast<size_t>(row);
            if (!map.keep.empty()) keep[r] |= map.keep[static_cast<size_t>(p)];
            if (known[r] == -1) {
                known[r] = kPending;
                fresh.push_back(row);
            } else {
                out_.reduced = true;
            }
        }
        if (!std::is_sorted(fresh.begin(), fresh.end())) {
            out_.reduced = true;
            std::sort(fresh.begin(), fresh.end());
        }
        if (fresh.empty()) return;
        Piece piece;
        piece.first_row = out_.rows();
        piece.rows = static_cast<int64_t>(fresh.size());
        piece.image = s.image;
        for (int32_t row : fresh) {
            known[static_cast<size_t>(row)] = static_cast<int32_t>(out_.rows());
            add_row(s.image, keep[static_cast<size_t>(row)]);
        }
        piece.source = std::move(fresh);
        out_.pieces.push_back(std::move(piece));
    }

    const DecoderConfig& config_;
    const vlm_backbone_request& request_;
    std::span<const ImageMap> maps_;
    SequenceStart start_;
    SequenceStart state_;
    Sequence out_;
    std::vector<std::vector<int32_t>> request_rows_;  ///< Per image: row of the request for each row of the image.
    bool mrope_ = false;
    bool placeholders_ = false;
    bool ends_ = false;
};

}  // namespace

int64_t count_tokens(const DecoderConfig& config, const vlm_backbone_request& request) {
    if (request.segment_count > 0 && request.segments == nullptr) refuse("Request to the decoder: no segments.");
    int64_t tokens = 0;
    for (uint32_t i = 0; i < request.segment_count; ++i) {
        if (request.segments[i] == nullptr) refuse(at_segment(i) + " is NULL.");
        const vlm_segment& s = *request.segments[i];
        if (s.count < 0 || s.count > std::numeric_limits<int32_t>::max()) {
            refuse(at_segment(i) + ": it has " + std::to_string(s.count) + " tokens.");
        }
        if (s.kind == VLM_SEGMENT_TEXT) {
            check_text(config, s, i);
        } else if (s.kind == VLM_SEGMENT_IMAGE) {
            check_image(config, request, s, i);
            if (config.cross_interval > 0) continue;
        } else {
            refuse(at_segment(i) + ": kind " + std::to_string(s.kind) + " is neither text nor image.");
        }
        tokens += s.count;
    }
    if (tokens > std::numeric_limits<int32_t>::max()) refuse("Request to the decoder: too many tokens.");
    return tokens;
}

Sequence flatten(const DecoderConfig& config, const vlm_backbone_request& request, std::span<const ImageMap> maps,
                 const SequenceStart& start) {
    return Flattener(config, request, maps, start).run(count_tokens(config, request));
}

}  // namespace vlm::decoder
