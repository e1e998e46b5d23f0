/** @file post_processors.cpp
 *  BertProcessing and RobertaProcessing are templates with one token before and one behind, so all of them become one
 * class.
 */
#include "host/tokenizer/post_processors.hpp"

#include "host/tokenizer/components.hpp"

namespace vlm::tok {
namespace {

class Template : public PostProcessor {
  public:
    struct Part {
        bool text;                      ///< The text itself, else `ids`.
        std::vector<std::int32_t> ids;  ///< Ids of a special token.
    };
    explicit Template(std::vector<Part> parts) : parts_(std::move(parts)) {}

    std::vector<std::int32_t> process(std::vector<std::int32_t> ids, bool add_special_tokens) const override {
        std::vector<std::int32_t> out;
        out.reserve(ids.size() + parts_.size());
        for (const Part& part : parts_) {
            const auto& source = part.text ? ids : part.ids;
            if (part.text || add_special_tokens) out.insert(out.end(), source.begin(), source.end());
        }
        return out;
    }

  private:
    std::vector<Part> parts_;
};

class PostProcessorSequence : public PostProcessor {
  public:
    explicit PostProcessorSequence(std::vector<std::unique_ptr<PostProcessor>> steps) : steps_(std::move(steps)) {}
    std::vector<std::int32_t> process(std::vector<std::int32_t> ids, bool add_special_tokens) const override {
        for (const auto& step : steps_) ids = step->process(std::move(ids), add_special_tokens);
        return ids;
    }

  private:
    std::vector<std::unique_ptr<PostProcessor>> steps_;
};

/** ByteLevel changes offsets only. */
class Unchanged : public PostProcessor {
  public:
    std::vector<std::int32_t> process(std::vector<std::int32_t> ids, bool) const override { return ids; }
};

std::unique_ptr<PostProcessor> read_template(const JsonField& field) {
    std::vector<Template::Part> parts;
    const JsonField single = field.at("single");
    const auto tokens = field.find("special_tokens");
    for (std::size_t i = 0; i < single.size(); ++i) {
        const JsonField entry = single.element(i);
        if (const auto sequence = entry.find("Sequence")) {
            const std::string id = sequence->at("id").string();
            if (id != "A") sequence->at("id").fail("found \"" + id + "\" in the template for one text, expected \"A\"");
            parts.push_back({true, {}});
            continue;
        }
        const JsonField name = entry.at("SpecialToken").at("id");
        if (!tokens) field.fail("the template uses \"" + name.string() + "\", but there are no special_tokens");
        const JsonField ids = tokens->at(name.string()).at("ids");
        Template::Part part{false, {}};
        for (std::size_t k = 0; k < ids.size(); ++k) part.ids.push_back(ids.element(k).token_id());
        parts.push_back(std::move(part));
    }
    return std::make_unique<Template>(std::move(parts));
}

/** ["</s>", 2] */
Template::Part read_pair(const JsonField& field) {
    if (field.size() != 2) field.fail("found " + std::to_string(field.size()) + " values, expected a token and its id");
    return {false, {field.element(1).token_id()}};
}

}  // namespace

std::unique_ptr<PostProcessor> read_post_processor(const JsonField& field, int depth) {
    const std::string type = component_type(field, depth);
    if (type == "Sequence") {
        std::vector<std::unique_ptr<PostProcessor>> steps;
        const JsonField list = field.at("processors");
        for (std::size_t i = 0; i < list.size(); ++i) steps.push_back(read_post_processor(list.element(i), depth + 1));
        return std::make_unique<PostProcessorSequence>(std::move(steps));
    }
    if (type == "TemplateProcessing") return read_template(field);
    if (type == "BertProcessing" || type == "RobertaProcessing") {
        return std::make_unique<Template>(
            std::vector<Template::Part>{read_pair(field.at("cls")), {true, {}}, read_pair(field.at("sep"))});
    }
    if (type == "ByteLevel") return std::make_unique<Unchanged>();
    field.fail("unknown post-processor type \"" + type +
               "\"; known: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence");
}

}  // namespace vlm::tok
