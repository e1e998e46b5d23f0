/** @file template_test.cpp
 *  Conversations through chat templates of both kinds. Expected texts are those of transformers 5.23
 * (`apply_chat_template`) for the same messages.
 */
#include "host/pipeline/template.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "host/base/error.hpp"

namespace vlm {
namespace {

class Templates : public testing::Test {
  protected:
    Templates() {
        std::filesystem::create_directories(folder_);
        std::ofstream(folder_ / "config.json") << R"({"model_type": "x"})";
    }
    ~Templates() override { std::filesystem::remove_all(folder_); }
    std::string render(const std::string& chat_template) const {
        std::ofstream(folder_ / "chat_template.jinja") << chat_template;
        PromptRecipe recipe;
        recipe.markers = {"<image>", "<video>"};
        return apply_template(Checkpoint(folder_), recipe,
                              {{"user", "What is this?", 2}, {"assistant", "A {'type'}.", 0}, {"user", "Sure?", 0}});
    }
    // Tests of one program run side by side in processes of their own.
    const std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("vlm_template_test_" + std::to_string(getpid()));
};

TEST_F(Templates, OfVisionModelsGetParts) {
    EXPECT_EQ(render("{% for m in messages %}{{ m.role }}:{% for c in m.content %}{% if c.type == 'image' %}[i]"
                     "{% else %}{{ c.text }}{% endif %}{% endfor %};{% endfor %}"),
              "user:[i][i]What is this?;assistant:A {'type'}.;user:Sure?;");
}

TEST_F(Templates, OfLanguageModelsGetTexts) {
    const std::string expected = "user:<image>\n<image>\nWhat is this?;assistant:A {'type'}.;user:Sure?;";
    // ChatML joins strings and fails on a list, Llama 3 and Gemma print it.
    EXPECT_EQ(render("{% for m in messages %}{{ m['role'] + ':' + m['content'] + ';' }}{% endfor %}"), expected);
    EXPECT_EQ(render("{% for m in messages %}{{ m['role'] }}:{{ m['content'] | trim }};{% endfor %}"), expected);
}

TEST_F(Templates, ThatFailOnBothKeepTheirOwnMessage) {
    try {
        render("{{ raise_exception('only with tools') }}");
        ADD_FAILURE() << "an exception of the template was lost";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("only with tools"), std::string::npos);
    }
}

}  // namespace
}  // namespace vlm
