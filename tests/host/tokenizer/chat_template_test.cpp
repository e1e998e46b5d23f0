/** @file chat_template_test.cpp
 *  Prompts equal to those of transformers' apply_chat_template on published templates, and the refusals.
 */
#include "host/tokenizer/chat_template.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string slurp(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ChatTemplate, RendersPublishedTemplatesAsTransformers) {
    const fs::path folder = fs::path(VLM_TEST_DATA) / "chat_templates";
    const Json data = Json::parse(slurp(folder / "cases.json"));
    int rendered = 0, refused = 0;
    for (const Json& entry : data["cases"]) {
        const auto name = entry[0].get<std::string>();
        const auto parsed = vlm::ChatTemplate::parse(slurp(folder / (name + ".jinja")), name);
        const std::string variables = data["variables"][entry[1].get<std::size_t>()].dump();
        if (entry[2].is_null()) {
            ++refused;
            EXPECT_THROW(parsed.render(variables), vlm::Error) << name << " " << variables;
        } else {
            ++rendered;
            EXPECT_EQ(parsed.render(variables), entry[2].get<std::string>()) << name << " " << variables;
        }
    }
    EXPECT_GT(rendered, 200);
    EXPECT_GT(refused, 50);
}

std::string rendered(const std::string& source, const std::string& variables = "{}") {
    return vlm::ChatTemplate::parse(source, "t").render(variables);
}

/** The message of a refusal. */
std::string refusal(const std::string& source, vlm_status code, const std::string& variables = "{}") {
    try {
        return "accepted: " + rendered(source, variables);
    } catch (const vlm::Error& e) {
        EXPECT_EQ(e.code(), code) << e.what();
        return e.what();
    }
}

TEST(ChatTemplate, WhiteSpaceControl) {
    EXPECT_EQ(rendered("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
    EXPECT_EQ(rendered("a {%- if true -%} b {%- endif %} c"), "ab c");
    EXPECT_EQ(rendered("  {%+ if true %}x{% endif +%}\ny"), "  x\ny");
    EXPECT_EQ(rendered("a\n  {# note #}\nb {{- 1 -}} \n c"), "a\nb1c");
    EXPECT_EQ(rendered("{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}"), "}}1");
}

TEST(ChatTemplate, RefusesWhatItDoesNotKnowByNameAndLine) {
    EXPECT_NE(refusal("\n{% include 'x' %}", VLM_STATUS_UNIMPLEMENTED).find("t:2: the statement \"include\""),
              std::string::npos);
    EXPECT_NE(refusal("{{ 1 | magic }}", VLM_STATUS_UNIMPLEMENTED).find("the filter \"magic\""), std::string::npos);
    EXPECT_NE(refusal("{{ 1 is magic }}", VLM_STATUS_UNIMPLEMENTED).find("the test \"magic\""), std::string::npos);
    EXPECT_NE(refusal("{{ magic(1) }}", VLM_STATUS_UNIMPLEMENTED).find("the function \"magic\""), std::string::npos);
    EXPECT_NE(refusal("{{ 'a'.magic() }}", VLM_STATUS_UNIMPLEMENTED).find("the method \"magic\""), std::string::npos);
    EXPECT_NE(refusal("{{ raise_exception('no ' ~ 1) }}", VLM_STATUS_INVALID_ARGUMENT).find("no 1"), std::string::npos);
}

TEST(ChatTemplate, RefusesBrokenTemplatesAndValues) {
    for (const char* bad : {"{% if x %}", "{{ 1 ", "{{ 'a }}", "{% for in x %}{% endfor %}", "{# open", "{% endif %}",
                            "{{ }}", "{{ 1 + }}", "{{ a[ }}", "{{ '\\x41' }}", "{% set %}", "{{ ? }}", "{%", "{{ (1 }}",
                            "{{ a[1:2:3:4] }}", "{{ 99999999999999999999 }}"}) {
        EXPECT_EQ(refusal(bad, VLM_STATUS_INVALID_ARGUMENT).rfind("t:", 0), 0u) << bad;
    }
    for (const char* bad :
         {"{{ x.y }}", "{{ 1 + 'a' }}", "{{ 1 // 0 }}", "{{ 1 < 'a' }}", "{{ 1[0:1] }}",
          "{% for a, b in [1] %}{% endfor %}", "{{ 2 ** 99 }}", "{{ [1][0:1:0] }}", "{{ -'a' }}", "{{ 1 in 2 }}"}) {
        EXPECT_NE(refusal(bad, VLM_STATUS_INVALID_ARGUMENT).find("t:1: "), std::string::npos) << bad;
    }
    EXPECT_NE(refusal("x", VLM_STATUS_INVALID_ARGUMENT, "[1]").find("must be a JSON object"), std::string::npos);
    EXPECT_NE(refusal("x", VLM_STATUS_INVALID_ARGUMENT, "{").find("not valid JSON"), std::string::npos);
}

TEST(ChatTemplate, NeverRunsForEver) {
    EXPECT_NE(refusal("{{ range(1000000) }}", VLM_STATUS_RESOURCE_EXHAUSTED).find("100000"), std::string::npos);
    const std::string nested = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    EXPECT_NE(refusal(nested, VLM_STATUS_RESOURCE_EXHAUSTED).find("steps"), std::string::npos);
    const std::string doubling =
        "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}";
    EXPECT_NE(refusal(doubling, VLM_STATUS_RESOURCE_EXHAUSTED).find("64 MiB"), std::string::npos);
    EXPECT_NE(
        refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", VLM_STATUS_RESOURCE_EXHAUSTED).find("100 deep"),
        std::string::npos);
    for (const std::string part : {"(", "[", "-", "not ", "1 + (", "{'a': "}) {
        std::string deep = "{{ ";
        for (int i = 0; i < 20000; ++i) deep += part;
        EXPECT_FALSE(refusal(deep, VLM_STATUS_INVALID_ARGUMENT).empty());
    }
    std::string branches = "{% if a %}";
    for (int i = 0; i < 100000; ++i) branches += "{% elif a %}";
    EXPECT_NE(refusal(branches, VLM_STATUS_INVALID_ARGUMENT).find("t:1"), std::string::npos);
    const std::string deep_json = "{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
    EXPECT_NE(refusal("{{ a }}", VLM_STATUS_INVALID_ARGUMENT, deep_json).find("nests deeper"), std::string::npos);
    std::string sum = "{{ 1";
    for (int i = 0; i < 100000; ++i) sum += " + 1";
    EXPECT_NE(refusal(sum + " }}", VLM_STATUS_INVALID_ARGUMENT).find("t:1"), std::string::npos);
}

TEST(ChatTemplate, FindsTheTemplateOfAFolder) {
    const fs::path folder = fs::temp_directory_path() / ("vlm_chat_template_" + std::to_string(::getpid()));
    fs::create_directories(folder);
    EXPECT_FALSE(vlm::ChatTemplate::from_directory(folder).has_value());
    std::ofstream(folder / "tokenizer_config.json")
        << R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "rag", "template": "R"}]})";
    EXPECT_EQ(vlm::ChatTemplate::from_directory(folder)->render("{}"), "D");
    EXPECT_EQ(vlm::ChatTemplate::from_directory(folder, "rag")->render("{}"), "R");
    EXPECT_FALSE(vlm::ChatTemplate::from_directory(folder, "other").has_value());
    std::ofstream(folder / "chat_template.json") << R"({"chat_template": "J{{ x }}"})";
    EXPECT_EQ(vlm::ChatTemplate::from_directory(folder)->render(R"({"x": 3})"), "J3");
    std::ofstream(folder / "chat_template.jinja") << "P";
    EXPECT_EQ(vlm::ChatTemplate::from_directory(folder)->render("{}"), "P");
    fs::remove_all(folder);
}

}  // namespace
