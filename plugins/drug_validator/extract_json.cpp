/** @file extract_json.cpp
 *  A scanner rather than a JSON library: answers of language models are often cut off or carry comments and trailing
 * commas, places in the source are needed for confidences, and nesting must not cost stack.
 */
#include <algorithm>
#include <array>
#include <utility>

#include "extract.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

using Slot = Field DrugFields::*;
constexpr std::size_t kMaxDepth = 64;

constexpr std::array<std::string_view, 19> kNameKeys{
    "name",    "drug",        "drugname", "medication", "medicationname", "medicine", "medicinename", "printed",
    "product", "약품명",      "약명",     "약",         "약이름",         "의약품",   "의약품명",     "처방약",
    "generic", "genericname", "이름"};
constexpr std::array<std::string_view, 8> kDoseKeys{"dosage", "dose",          "strength", "용량",
                                                    "함량",   "amountperunit", "규격",     "doseamount"};
constexpr std::array<std::string_view, 8> kPerKeys{"perdose", "quantityperdose", "1회투약량",    "1회용량",
                                                   "1회량",   "투약량",          "unitsperdose", "singledose"};
constexpr std::array<std::string_view, 8> kTimesKeys{"timesperday", "times",    "frequency",   "횟수",
                                                     "1일횟수",     "투여횟수", "1일투여횟수", "투약횟수"};
constexpr std::array<std::string_view, 7> kDaysKeys{"days",       "duration",     "일수", "투약일수",
                                                    "총투약일수", "durationdays", "기간"};
constexpr std::array<std::string_view, 9> kScheduleKeys{"sig",  "schedule", "instructions", "directions", "usage",
                                                        "용법", "복용법",   "복용방법",     "instruction"};

template <typename Table>
bool contains(const Table& table, const std::string& key) {
    return std::find(table.begin(), table.end(), key) != table.end();
}

Slot slot_of(const std::string& key) {
    if (contains(kNameKeys, key)) return &DrugFields::name;
    if (contains(kDoseKeys, key)) return &DrugFields::dose;
    if (contains(kPerKeys, key)) return &DrugFields::per;
    if (contains(kTimesKeys, key)) return &DrugFields::times;
    if (contains(kDaysKeys, key)) return &DrugFields::days;
    if (contains(kScheduleKeys, key)) return &DrugFields::schedule;
    return nullptr;
}

/** A key in lower case without spaces, "_" and "-". */
std::string normalize_key(std::string_view key) {
    std::string out = fold_to_utf8(key);
    std::erase_if(out, [](char c) { return c == ' ' || c == '_' || c == '-'; });
    return out;
}

int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/** Reads the string whose opening quote is at @p pos and moves behind it; an open string ends with the text. */
std::string read_string(std::string_view s, std::size_t& pos) {
    std::string out;
    for (++pos; pos < s.size() && s[pos] != '"'; ++pos) {
        if (s[pos] != '\\' || pos + 1 >= s.size()) {
            out.push_back(s[pos]);
            continue;
        }
        const char c = s[++pos];
        if (c == 'u') {
            const auto unit = [&](std::size_t at) -> char32_t {
                char32_t v = 0;
                for (std::size_t k = 0; k < 4; ++k) {
                    const int d = at + k < s.size() ? hex(s[at + k]) : -1;
                    if (d < 0) return 0xFFFFFFFF;
                    v = v * 16 + static_cast<char32_t>(d);
                }
                return v;
            };
            char32_t v = unit(pos + 1);
            if (v == 0xFFFFFFFF) continue;
            pos += 4;
            if (v >= 0xD800 && v < 0xDC00 && s.substr(pos + 1).starts_with("\\u"))
                if (const char32_t low = unit(pos + 3); low >= 0xDC00 && low < 0xE000) {
                    v = 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
                    pos += 6;
                }
            out += encode_utf8(std::u32string_view(&v, 1));
        } else {
            out.push_back(c == 'n' ? '\n' : c == 't' ? '\t' : c);
        }
    }
    if (pos < s.size()) ++pos;
    return out;
}

/** Collects the fields of each object; strings outside known keys are read as lines. */
class JsonReader {
  public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    std::vector<DrugFields> read() {
        for (std::size_t pos = 0; pos < text_.size();) {
            const char c = text_[pos];
            if (c == '{' || c == '[') {
                open(c == '{');
                ++pos;
            } else if (c == '}' || c == ']') {
                close();
                ++pos;
            } else if (c == '"') {
                const std::size_t begin = pos;
                std::string value = read_string(text_, pos);
                if (is_key(pos))
                    key_ = normalize_key(value);
                else
                    add({std::move(value), begin, pos});
            } else if ((c >= '0' && c <= '9') || c == '-' || c == '.') {
                const std::size_t begin = pos;
                while (pos < text_.size() &&
                       std::string_view("0123456789.-+eE").find(text_[pos]) != std::string_view::npos)
                    ++pos;
                if (!key_.empty()) add({std::string(text_.substr(begin, pos - begin)), begin, pos});
            } else {
                if (c == ',') key_ = in_array() ? key_ : std::string();
                ++pos;
            }
        }
        while (!stack_.empty()) close();
        return found_names_ ? std::move(out_) : std::move(loose_);
    }

  private:
    struct Level {
        bool object = false;
        std::size_t drug = 0;  ///< index into out_ of the object's fields
        std::string key;       ///< key that the object or array is the value of
    };

    bool is_key(std::size_t pos) const {
        while (pos < text_.size() && is_space(static_cast<unsigned char>(text_[pos]))) ++pos;
        return pos < text_.size() && text_[pos] == ':' && !in_array();
    }
    bool in_array() const { return !stack_.empty() && !stack_.back().object; }

    void open(bool object) {
        if (stack_.size() >= kMaxDepth) return;
        std::size_t drug = out_.size();
        if (object) {
            out_.emplace_back();
        } else if (!stack_.empty()) {
            drug = stack_.back().drug;
        }
        stack_.push_back({object, drug, key_});
        if (object) key_.clear();
    }

    void close() {
        if (stack_.empty()) return;
        const Level level = stack_.back();
        stack_.pop_back();
        key_.clear();
        // An object without a name is no drug (the outer one, a patient): dropping it also keeps its fields from the
        // drug before.
        if (level.object && level.drug < out_.size() && out_[level.drug].name.empty()) out_[level.drug] = {};
    }

    void add(Field value) {
        const bool line_like = in_array() || slot_of(key_) == nullptr;
        if (line_like) {
            for (DrugFields& d : extract_lines(value.text)) {
                for (Slot slot : {&DrugFields::name, &DrugFields::dose, &DrugFields::schedule}) {
                    (d.*slot).begin = value.begin;
                    (d.*slot).end = value.end;
                }
                if (in_array() && !d.name.empty()) {
                    found_names_ = true;
                    out_.push_back(std::move(d));
                } else {
                    loose_.push_back(std::move(d));
                }
            }
            return;
        }
        if (stack_.empty() || stack_.back().drug >= out_.size()) return;
        DrugFields& drug = out_[stack_.back().drug];
        Field& field = drug.*slot_of(key_);
        if (!field.empty()) return;
        found_names_ = found_names_ || &field == &drug.name;
        field = std::move(value);
    }

    std::string_view text_;
    std::vector<Level> stack_;
    std::vector<DrugFields> out_;
    std::vector<DrugFields> loose_;
    std::string key_;
    bool found_names_ = false;
};

}  // namespace

std::vector<DrugFields> extract_json(std::string_view text) {
    std::vector<DrugFields> out = JsonReader(text).read();
    std::erase_if(out, [](const DrugFields& d) { return d.name.empty() && d.dose.empty() && d.schedule.empty(); });
    return out;
}

}  // namespace vlm::drug_validator
