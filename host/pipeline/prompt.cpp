/** @file prompt.cpp
 *  Text is tokenised with the marker of each image in place and the marker's id is then replaced by the image's
 * expansion. That is what the reference processors amount to (they expand the text first, which gives the same ids at
 * many times the cost), and it keeps the tokenizer's treatment of spaces beside added tokens.
 */
#include "host/pipeline/prompt.hpp"

#include <algorithm>
#include <optional>

#include "host/base/error.hpp"

namespace vlm {
namespace {

/** Collects segments; neighbouring text joins. */
class Builder {
  public:
    Builder(const Tokenizer& tokenizer, const PromptRecipe& recipe, bool in_sequence)
        : tokenizer_(tokenizer), shared_piece_(recipe.shared_piece), in_sequence_(in_sequence) {}

    void ids(std::span<const int32_t> ids) {
        if (ids.empty()) return;
        ends_shared_ = false;
        if (segments_.empty() || segments_.back().image >= 0) segments_.emplace_back();
        auto& text = segments_.back().ids;
        text.insert(text.end(), ids.begin(), ids.end());
    }
    /** Text of an expansion. The piece that neighbouring images share is not repeated. */
    void text(const std::string& text) {
        const bool shared = !text.empty() && text == shared_piece_;
        if (shared && ends_shared_) return;
        write(text);
        ends_shared_ = shared;
    }
    void positions(int image, int64_t first, int64_t count) {
        ends_shared_ = false;
        if (!in_sequence_) {
            if (first == 0) segments_.push_back({{}, image, 0, 0});
        } else if (!segments_.empty() && segments_.back().image == image &&
                   segments_.back().first + segments_.back().count == first) {
            segments_.back().count += count;
        } else if (count > 0) {
            segments_.push_back({{}, image, first, count});
        }
    }
    std::vector<Segment> take() {
        for (auto& segment : segments_)
            if (segment.image < 0) segment.count = static_cast<int64_t>(segment.ids.size());
        return std::move(segments_);
    }

  private:
    void write(const std::string& text) {
        if (const auto id = tokenizer_.id_of(text))
            ids(std::vector<int32_t>{*id});
        else
            ids(tokenizer_.encode(text, false));
    }

    const Tokenizer& tokenizer_;
    const std::string shared_piece_;
    bool in_sequence_;
    bool ends_shared_ = false;  ///< The last thing written was the shared piece of an expansion.
    std::vector<Segment> segments_;
};

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

/** One expansion list with a block (or the whole image) behind its '@' items. */
void expand_items(Builder& out, const std::vector<std::string>& items, int image, int64_t first, int64_t count,
                  const vlm_token_block* block) {
    for (const auto& item : items) {
        if (item.starts_with("@")) {
            out.positions(image, first, count);
        } else if (block != nullptr) {
            out.text(replace_all(replace_all(item, "{row}", std::to_string(block->tile_row + 1)), "{column}",
                                 std::to_string(block->tile_column + 1)));
        } else {
            out.text(item);
        }
    }
}

void expand_image(Builder& out, const PromptRecipe& recipe, int image, const TokenLayout& layout) {
    const auto& blocks = layout.blocks();
    if (!recipe.tile.empty() && blocks.size() > 1) {
        expand_items(out, recipe.before, image, 0, 0, nullptr);
        for (size_t i = 0; i < blocks.size(); ++i) {
            const auto& block = blocks[i];
            const bool global = (block.flags & VLM_BLOCK_FLAG_GLOBAL) != 0;
            expand_items(out, global && !recipe.global.empty() ? recipe.global : recipe.tile, image, block.first,
                         block.tokens, &block);
            const bool ends_row = !global && (i + 1 == blocks.size() || blocks[i + 1].tile_row != block.tile_row ||
                                              (blocks[i + 1].flags & VLM_BLOCK_FLAG_GLOBAL) != 0);
            if (ends_row) expand_items(out, recipe.row_end, image, 0, 0, &block);
        }
        expand_items(out, recipe.after, image, 0, 0, nullptr);
        return;
    }
    if (!recipe.grid_row.empty()) {
        expand_items(out, recipe.before, image, 0, 0, nullptr);
        for (const auto& block : blocks)
            for (int32_t row = 0; row < block.rows; ++row)
                expand_items(out, recipe.grid_row, image, block.first + static_cast<int64_t>(row) * block.columns,
                             block.columns, &block);
        expand_items(out, recipe.after, image, 0, 0, nullptr);
        return;
    }
    static const std::vector<std::string> plain = {"@image"};
    expand_items(out, recipe.image.empty() ? plain : recipe.image, image, 0, layout.tokens(), nullptr);
}

/** First marker at or after `from`: its position and length. */
std::optional<std::pair<size_t, size_t>> find_marker(const std::string& text, const PromptRecipe& recipe, size_t from) {
    std::optional<std::pair<size_t, size_t>> best;
    for (const auto& marker : recipe.markers) {
        const size_t at = text.find(marker, from);
        if (!marker.empty() && at != std::string::npos && (!best || at < best->first)) best = {at, marker.size()};
    }
    return best;
}

/** The text in front of, between and behind the images, as the recipe wants it to be tokenised. */
std::vector<std::string> texts_of(const std::string& prompt, const PromptRecipe& recipe) {
    std::vector<std::string> parts(1);
    size_t from = 0;
    while (const auto marker = find_marker(prompt, recipe, from)) {
        parts.back() += prompt.substr(from, marker->first - from);
        if (recipe.place != PromptRecipe::Place::always_front) parts.emplace_back();
        from = marker->first + marker->second;
    }
    parts.back() += prompt.substr(from);
    for (auto& part : parts) {
        part.erase(0, std::min(part.find_first_not_of(recipe.strip_text), part.size()));
        part.erase(part.find_last_not_of(recipe.strip_text) + 1);
    }
    for (size_t i = 1; i < parts.size() && recipe.space_after_image; ++i)
        if (!parts[i].empty() && std::string_view(" \t\r\n\v\f<").find(parts[i].front()) == std::string_view::npos)
            parts[i].insert(0, 1, ' ');
    parts.back() += recipe.suffix_text;
    if (!parts.front().starts_with(recipe.prefix_text)) parts.front().insert(0, recipe.prefix_text);
    return parts;
}

/** Ids of these texts. */
std::vector<std::vector<int32_t>> encode_around_images(const std::vector<std::string>& parts,
                                                       const PromptRecipe& recipe, const Tokenizer& tokenizer,
                                                       size_t images) {
    std::vector<std::vector<int32_t>> ids;
    const auto marker_id = recipe.markers.empty() ? std::nullopt : tokenizer.id_of(recipe.markers.front());
    if (recipe.separate_text || !marker_id || images == 0 || parts.size() == 1) {
        // A sequence of separate texts begins with the first of them that is not empty, even behind an image.
        size_t first = 0;
        while (recipe.separate_text && first + 1 < parts.size() && parts[first].empty()) ++first;
        for (size_t i = 0; i < parts.size(); ++i)
            ids.push_back(parts[i].empty() && i != first
                              ? std::vector<int32_t>{}
                              : tokenizer.encode(parts[i], i == first && recipe.add_special_tokens));
        return ids;
    }
    // The marker is a token of the vocabulary: tokenise as one text, so that the pieces beside it come out as in the
    // reference.
    std::string joined = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) joined += recipe.markers.front() + parts[i];
    ids.emplace_back();
    for (const int32_t id : tokenizer.encode(joined, recipe.add_special_tokens)) {
        if (id == *marker_id)
            ids.emplace_back();
        else
            ids.back().push_back(id);
    }
    return ids;
}

}  // namespace

std::string without_markers(const std::string& text, const PromptRecipe& recipe) {
    std::string rest;
    size_t from = 0;
    while (const auto marker = find_marker(text, recipe, from)) {
        rest += text.substr(from, marker->first - from);
        from = marker->first + marker->second;
    }
    return rest + text.substr(from);
}

size_t count_markers(const std::string& text, const PromptRecipe& recipe) {
    size_t count = 0;
    size_t from = 0;
    while (const auto marker = find_marker(text, recipe, from)) {
        ++count;
        from = marker->first + marker->second;
    }
    return count;
}

void pad_text(std::vector<Segment>& segments, const PromptRecipe& recipe, const Tokenizer& tokenizer, int64_t length) {
    if (!recipe.pad_text) return;
    const auto id = tokenizer.special_id("pad_token");
    if (!id)
        throw failed_precondition(
            "tokenizer_config.json: pad_token is missing; this model reads texts padded to a fixed length");
    const int64_t room = length - segment_tokens(segments);
    if (room <= 0) return;
    if (segments.empty()) segments.emplace_back();
    auto& last = segments.back();
    last.ids.insert(last.ids.end(), static_cast<size_t>(room), *id);
    last.count = static_cast<int64_t>(last.ids.size());
}

int64_t segment_tokens(std::span<const Segment> segments) {
    int64_t tokens = 0;
    for (const auto& segment : segments) tokens += segment.count;
    return tokens;
}

std::vector<Segment> build_prompt(const std::string& text, std::span<const TokenLayout> layouts,
                                  const PromptRecipe& recipe, const Tokenizer& tokenizer, bool in_sequence) {
    const size_t markers = count_markers(text, recipe);
    const size_t images = layouts.size();
    if (markers > 0 ? markers != images : images > 0 && recipe.place == PromptRecipe::Place::marker_required)
        throw invalid_argument("the prompt has " + std::to_string(markers) + " image marker" +
                               (markers == 1 ? "" : "s") + " (" +
                               (recipe.markers.empty() ? "none defined" : recipe.markers.front()) + ") but " +
                               std::to_string(images) + " image" + (images == 1 ? " was" : "s were") +
                               " given; give one marker per image, or none to put the images in front");
    const auto texts = texts_of(text, recipe);
    auto parts = encode_around_images(texts, recipe, tokenizer, images);
    Builder out(tokenizer, recipe, in_sequence);
    if (texts.size() > 1) {
        if (parts.size() != images + 1)
            throw invalid_argument("the prompt's text contains the id of the image marker in another way than as '" +
                                   recipe.markers.front() + "'");
        for (size_t i = 0; i < parts.size(); ++i) {
            if (i > 0) expand_image(out, recipe, static_cast<int>(i - 1), layouts[i - 1]);
            out.ids(parts[i]);
        }
    } else {
        auto& ids = parts[0];
        size_t bos = 0;
        if (recipe.place == PromptRecipe::Place::after_bos && !ids.empty() && tokenizer.is_special(ids[0])) bos = 1;
        out.ids(std::span(ids).first(bos));
        for (size_t i = 0; i < images; ++i) expand_image(out, recipe, static_cast<int>(i), layouts[i]);
        out.ids(std::span(ids).subspan(bos));
    }
    auto segments = out.take();
    if (!recipe.suffix_piece.empty()) {
        const auto id = tokenizer.id_of(recipe.suffix_piece);
        if (id && (segments.empty() || segments.back().ids.empty() || segments.back().ids.back() != *id)) {
            if (segments.empty() || segments.back().image >= 0) segments.emplace_back();
            segments.back().ids.push_back(*id);
            segments.back().count = static_cast<int64_t>(segments.back().ids.size());
        }
    }
    return segments;
}

}  // namespace vlm
