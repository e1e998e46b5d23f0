/** @file document.cpp
 *  Parsing. nlohmann-json's SAX parser decides what is JSON (it is iterative, checks UTF-8 and knows the number
 * grammar); since its events carry no position, a cursor follows in the same text: between two events there is only
 * white space, commas and colons, so the next token begins at the next other byte.
 */
#include "host/json/document.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "host/json/tree.hpp"
#include "host/json/writer.hpp"

namespace vlm::json {
namespace {

constexpr int kDepthLimit = 512;
constexpr uint64_t kBytesLimit = uint64_t{1} << 30;  // positions are kept in 32 bits

constexpr std::string_view kNonfinite[] = {"NaN", "Infinity", "-Infinity"};

/** What can stand between two events of the parser. */
bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == ':';
}

bool is_delimiter(char c) {
    return std::strchr(" \t\r\n,:[]{}", c) != nullptr && c != '\0';
}

/** The non-finite word that stands at `offset` as a token of its own; empty when none does. */
std::string_view nonfinite_at(std::string_view text, size_t offset) {
    if (offset > 0 && !is_delimiter(text[offset - 1])) return {};
    for (const std::string_view word : kNonfinite) {
        if (!text.substr(offset).starts_with(word)) continue;
        const size_t end = offset + word.size();
        if (end == text.size() || is_delimiter(text[end])) return word;
    }
    return {};
}

/** A text of equal length in which each non-finite word is a number, so that the parser accepts it and offsets stay. */
std::string mask_nonfinite(std::string_view text) {
    std::string masked(text);
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        if (in_string && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && (text[i] == 'N' || text[i] == 'I' || text[i] == '-')) {
            const std::string_view word = nonfinite_at(text, i);
            if (word.empty()) continue;
            std::fill_n(masked.begin() + static_cast<std::ptrdiff_t>(i), word.size(), '1');
            i += word.size() - 1;
        }
    }
    return masked;
}

/** Receives the parser's events and builds the tree. Throws vlm::Error itself, so it never asks the parser to stop. */
class Builder {
  public:
    using number_integer_t = nlohmann::json::number_integer_t;
    using number_unsigned_t = nlohmann::json::number_unsigned_t;
    using number_float_t = nlohmann::json::number_float_t;
    using string_t = nlohmann::json::string_t;
    using binary_t = nlohmann::json::binary_t;

    Builder(std::string_view text, Tree& tree, int max_depth) : text_(text), tree_(tree), max_depth_(max_depth) {}

    bool null() {
        open_token();
        add(Kind::null);
        cursor_ += 4;
        return true;
    }

    bool boolean(bool value) {
        open_token();
        add(Kind::boolean).bits = value ? 1 : 0;
        cursor_ += value ? 4 : 5;
        return true;
    }

    bool number_integer(number_integer_t value) {
        if (open_number()) return true;
        add(Kind::integer).bits = static_cast<uint64_t>(value);
        return true;
    }

    bool number_unsigned(number_unsigned_t value) {
        if (open_number()) return true;
        Node& node = add(Kind::integer);
        node.bits = value;
        node.above_int64 = value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
        return true;
    }

    bool number_float(number_float_t value, const string_t&) {
        if (open_number()) return true;
        add(Kind::number).number = value;
        return true;
    }

    bool string(string_t& value) {
        open_token();
        const Extent extent = store(value);
        add(Kind::string).extent = extent;
        skip_string();
        return true;
    }

    bool binary(binary_t&) { return false; }  // text has no binary values

    bool key(string_t& name) {
        open_token();
        key_ = store(name);
        key_line_ = token_line_;
        skip_string();
        return true;
    }

    bool start_object(std::size_t) { return start(Kind::object); }
    bool start_array(std::size_t) { return start(Kind::array); }
    bool end_array() { return end(); }
    bool end_object() { return end(); }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
        skip_blanks();
        const std::string path = open_.empty() ? "" : path_of(tree_, open_.back().node);
        if (const std::string_view word = nonfinite_at(text_, std::min(cursor_, text_.size())); !word.empty()) {
            throw error_at(tree_, line_, path, std::string(word) + " is not JSON; write a number or null");
        }
        std::string what = error.what();
        if (const size_t start = what.find("] "); start != std::string::npos) what.erase(0, start + 2);
        if (const size_t column = what.find(", column "); column != std::string::npos) {
            const size_t start = what.find(": ", column);
            if (start != std::string::npos) what.erase(0, start + 2);
        }
        // Quoting makes the message valid UTF-8 whatever bytes of the file it repeats; the quotes themselves would only
        // confuse.
        const std::string quoted = quote(std::string_view(what).substr(0, 300));
        const std::string clean = quoted.substr(1, quoted.size() - 2);
        throw error_at(tree_, line_, path, "not valid JSON: " + clean);
    }

    /** After the parser has accepted: it takes a NUL byte for the end, so the rest is checked here. */
    void finish() {
        while (cursor_ < text_.size() && std::strchr(" \t\r\n", text_[cursor_]) != nullptr && text_[cursor_] != '\0') {
            skip_one();
        }
        if (cursor_ < text_.size())
            throw error_at(tree_, line_, "", "not valid JSON: text behind the end of the value");
    }

  private:
    struct Open {
        uint32_t node = 0;
        size_t first_pending = 0;
    };

    void skip_one() {
        if (text_[cursor_] == '\n') {
            ++line_;
            line_start_ = cursor_ + 1;
        }
        ++cursor_;
    }

    void skip_blanks() {
        while (cursor_ < text_.size() && is_blank(text_[cursor_])) {
            skip_one();
        }
    }

    void open_token() {
        skip_blanks();
        token_line_ = line_;
        token_column_ = static_cast<uint32_t>(cursor_ - line_start_ + 1);
    }

    /** Moves over a number; true when it was a masked non-finite word, which has then been added. */
    bool open_number() {
        open_token();
        const std::string_view word = nonfinite_at(text_, cursor_);
        if (!word.empty()) {
            constexpr double kInfinity = std::numeric_limits<double>::infinity();
            add(Kind::number).number = word[0] == 'N' ? std::nan("") : word[0] == '-' ? -kInfinity : kInfinity;
            cursor_ += word.size();
            return true;
        }
        while (cursor_ < text_.size() && std::strchr("+-.0123456789eE", text_[cursor_]) != nullptr &&
               text_[cursor_] != '\0') {
            ++cursor_;
        }
        return false;
    }

    void skip_string() {
        for (++cursor_; cursor_ < text_.size() && text_[cursor_] != '"'; ++cursor_) {
            if (text_[cursor_] == '\\') ++cursor_;
        }
        ++cursor_;
    }

    Extent store(std::string_view piece) {
        const Extent extent{static_cast<uint32_t>(tree_.text.size()), static_cast<uint32_t>(piece.size())};
        tree_.text += piece;
        return extent;
    }

    Node& add(Kind kind) {
        const uint32_t index = static_cast<uint32_t>(tree_.nodes.size());
        Node& node = tree_.nodes.emplace_back();
        node.kind = kind;
        node.line = token_line_;
        node.column = token_column_;
        if (!open_.empty()) {
            node.parent = open_.back().node;
            pending_.push_back(index);
            if (tree_.nodes[node.parent].kind == Kind::object) {
                node.key = key_;
                node.key_line = key_line_;
            }
        }
        return node;
    }

    bool start(Kind kind) {
        open_token();
        const uint32_t index = static_cast<uint32_t>(tree_.nodes.size());
        add(kind);
        if (static_cast<int>(open_.size()) >= max_depth_) {
            throw error_at(tree_, line_, "", "nested deeper than " + std::to_string(max_depth_) + " levels");
        }
        open_.push_back({index, pending_.size()});
        ++cursor_;
        return true;
    }

    bool end() {
        open_token();
        ++cursor_;
        const Open open = open_.back();
        open_.pop_back();
        Node& node = tree_.nodes[open.node];
        node.extent = {static_cast<uint32_t>(tree_.children.size()),
                       static_cast<uint32_t>(pending_.size() - open.first_pending)};
        const auto first = pending_.begin() + static_cast<std::ptrdiff_t>(open.first_pending);
        tree_.children.insert(tree_.children.end(), first, pending_.end());
        if (node.kind == Kind::object) {
            const auto by_key = [this](uint32_t a, uint32_t b) { return tree_.key_of(a) < tree_.key_of(b); };
            std::stable_sort(first, pending_.end(), by_key);
            refuse_duplicates(std::span(first, pending_.end()));
            tree_.children.insert(tree_.children.end(), first, pending_.end());
        }
        pending_.resize(open.first_pending);
        return true;
    }

    void refuse_duplicates(std::span<const uint32_t> sorted) const {
        uint32_t earliest = 0;
        uint32_t original = 0;
        for (size_t i = 1; i < sorted.size(); ++i) {
            if (tree_.key_of(sorted[i]) != tree_.key_of(sorted[i - 1])) continue;
            if (earliest != 0 && sorted[i] > earliest) continue;
            earliest = sorted[i];
            original = sorted[i - 1];
        }
        if (earliest == 0) return;
        throw error_at(tree_, tree_.nodes[earliest].key_line, path_of(tree_, earliest),
                       "duplicate key; first given in line " + std::to_string(tree_.nodes[original].key_line));
    }

    std::string_view text_;
    Tree& tree_;
    int max_depth_;
    size_t cursor_ = 0;
    uint32_t line_ = 1;
    size_t line_start_ = 0;
    uint32_t token_line_ = 1, token_column_ = 1;
    Extent key_;
    uint32_t key_line_ = 0;
    std::vector<Open> open_;
    std::vector<uint32_t> pending_;  ///< Children of all open containers, innermost last.
};

Error too_long(const std::string& name, uint64_t found, uint64_t limit) {
    return resource_exhausted(name + ": " + std::to_string(found) + " bytes of JSON; at most " + std::to_string(limit) +
                              " are read");
}

/** Reads a whole regular file of at most `limit` bytes. */
std::string read_file(const std::string& path, const std::string& name, uint64_t limit) {
    // O_NONBLOCK: opening a FIFO that nobody writes to must not hang; it has no effect on regular files.
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const std::string message = name + ": cannot be opened: " + std::strerror(errno);
        throw errno == ENOENT || errno == ENOTDIR ? not_found(message) : invalid_argument(message);
    }
    struct Closer {
        int fd;
        ~Closer() { close(fd); }
    } const closer{fd};
    struct stat info {};
    if (fstat(fd, &info) != 0) throw data_loss(name + ": cannot be examined: " + std::strerror(errno));
    if (S_ISDIR(info.st_mode)) throw invalid_argument(name + ": is a directory; expected a JSON file");
    if (!S_ISREG(info.st_mode)) throw invalid_argument(name + ": is not a regular file; expected a JSON file");
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    if (size > limit) throw too_long(name, size, limit);
    std::string text(size, '\0');
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = read(fd, text.data() + done, text.size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw data_loss(name + ": cannot be read: " + std::strerror(errno));
        if (got == 0) break;  // became shorter meanwhile: the parser judges what is there
        done += static_cast<size_t>(got);
    }
    text.resize(done);
    return text;
}

/** Room for what the text can hold, so that a large vocabulary is not copied over and over while it grows. Each value
 * but the root follows a comma or an opening bracket; the cap keeps a text made of commas from claiming many times its
 * size. */
void reserve_for(Tree& tree, std::string_view text) {
    constexpr size_t kMost = size_t{1} << 22;
    const auto opens = std::count_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '[' || c == '{'; });
    const size_t values = std::min(static_cast<size_t>(opens) + 1, kMost);
    tree.nodes.reserve(values);
    tree.children.reserve(2 * values);
    tree.text.reserve(text.size());
}

uint64_t bytes_limit(const ParseOptions& options) {
    return std::min(options.max_bytes, kBytesLimit);
}

}  // namespace

Document Document::from_file(const std::string& path, const ParseOptions& options, const std::string& name) {
    const std::string shown = name.empty() ? path : name;
    return from_text(read_file(path, shown, bytes_limit(options)), shown, options);
}

Document Document::from_text(std::string_view text, const std::string& name, const ParseOptions& options) {
    if (text.size() > bytes_limit(options)) throw too_long(name, text.size(), bytes_limit(options));
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    const auto tree = std::make_shared<Tree>();
    tree->name = name;
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        throw error_at(*tree, 1, "", "is empty; expected JSON");
    }
    reserve_for(*tree, text);
    Builder builder(text, *tree, std::clamp(options.max_depth, 1, kDepthLimit));
    const std::string masked = options.allow_nonfinite ? mask_nonfinite(text) : std::string();
    const std::string_view input = options.allow_nonfinite ? std::string_view(masked) : text;
    nlohmann::json::sax_parse(input.begin(), input.end(), &builder);
    builder.finish();
    return Document(tree);
}

Value Document::root() const noexcept {
    return {tree_.get(), 0};
}

const std::string& Document::name() const noexcept {
    return tree_->name;
}

}  // namespace vlm::json
