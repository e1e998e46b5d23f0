/** @file plugin_test.cpp
 *  The built library through the C ABI alone, as the host uses it: options in, answers in, JSON out, mistakes named.
 */
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <vlm/plugin.h>
#include <vlm/post_processor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>
#include <vlm/sdk/structs.hpp>

namespace {

const std::string kFormulary = VLM_TEST_DATA "/drug_validator/formulary.csv";
const std::string kOthers = VLM_SOURCE_DIR "/plugins/drug_validator/data/other_names.csv";

class DrugValidatorPlugin : public testing::Test {
  protected:
    void SetUp() override {
        void* library = dlopen(VLM_PLUGIN_DIR "/libvlm_drug_validator.so", RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(library, nullptr) << dlerror();
        const auto entry = reinterpret_cast<vlm_plugin_entry_fn>(dlsym(library, VLM_PLUGIN_ENTRY_SYMBOL));
        ASSERT_NE(entry, nullptr);
        host_ = vlm::sdk::make_struct<vlm_host_info>();
        host_.abi_version_min = VLM_ABI_VERSION;
        host_.abi_version_max = VLM_ABI_VERSION;
        const vlm_plugin* plugin = nullptr;
        char reason[256] = "";
        ASSERT_EQ(entry(&host_, &plugin, reason, sizeof reason), VLM_STATUS_OK) << reason;
        EXPECT_STREQ(plugin->id, "org.vlmhost.drug_validator");
        table_ = static_cast<const vlm_post_processor*>(plugin->get_interface(VLM_KIND_POST_PROCESSOR));
        ASSERT_NE(table_, nullptr);
        EXPECT_EQ(plugin->get_interface("vlm.connector/1"), nullptr);
    }
    void TearDown() override {
        if (component_ != nullptr) table_->base.destroy(component_);
    }

    /** Creates the component; returns why not. */
    std::string create(const nlohmann::json& options) {
        const std::string text = options.dump();
        char reason[1024] = "";
        auto config = vlm::sdk::make_struct<vlm_component_config>();
        config.host = &host_;
        config.config = {text.data(), text.size()};
        config.reason = reason;
        config.reason_size = sizeof reason;
        const vlm_status status = table_->base.create(&config, &component_);
        return status == VLM_STATUS_OK ? "" : std::to_string(status) + " " + reason;
    }

    nlohmann::json process(const std::string& text, const std::vector<vlm_token_piece>& tokens) {
        std::vector<const vlm_token_piece*> pointers;
        for (const auto& t : tokens) pointers.push_back(&t);
        auto answer = vlm::sdk::make_struct<vlm_answer>();
        answer.text = {text.data(), text.size()};
        answer.token_count = static_cast<uint32_t>(tokens.size());
        answer.tokens = pointers.data();
        answer.region[2] = 100;
        answer.region[3] = 20;
        answer.confidence = -1;
        const vlm_answer* answers[] = {&answer};
        auto input = vlm::sdk::make_struct<vlm_post_input>();
        input.answer_count = 1;
        input.answers = answers;
        const auto run = vlm::sdk::make_struct<vlm_run_context>();
        std::string json;
        const auto emit = [](void* sink, const char* data, uint64_t size) -> vlm_status {
            static_cast<std::string*>(sink)->assign(data, size);
            return VLM_STATUS_OK;
        };
        EXPECT_EQ(table_->process(component_, &run, &input, emit, &json), VLM_STATUS_OK);
        return nlohmann::json::parse(json);
    }

    vlm_host_info host_{};
    const vlm_post_processor* table_ = nullptr;
    vlm_component* component_ = nullptr;
};

TEST_F(DrugValidatorPlugin, AnswersAsJson) {
    ASSERT_EQ(create({{"formulary", kFormulary}, {"other_names", kOthers}, {"confidence_threshold", 0.5}}), "");
    const std::string text = "<s_name>와파린정</s_name><s_dose>5mg</s_dose>";
    auto token = vlm::sdk::make_struct<vlm_token_piece>();
    token.log_probability = -0.1F;
    token.text_end = static_cast<int64_t>(text.size()) + 100;  // a lying range is cut
    const auto drugs = process(text, {token})["drugs"];
    ASSERT_EQ(drugs.size(), 1u);
    EXPECT_EQ(drugs[0]["name"], "warfarin");
    EXPECT_EQ(drugs[0]["dosage"], "5 mg");
    EXPECT_EQ(drugs[0]["status"], "verified");
    EXPECT_NEAR(drugs[0]["confidence"].get<double>(), 0.904837, 1e-5);
    EXPECT_EQ(drugs[0]["box"], (nlohmann::json{0, 0, 100, 20}));
    EXPECT_EQ(process("<none/>", {})["drugs"].size(), 0u);
    EXPECT_EQ(process("Cimetidine 200 mg tab", {})["drugs"][0]["status"], "unverified");
}

TEST_F(DrugValidatorPlugin, MistakesAreNamed) {
    EXPECT_NE(create(nlohmann::json::object()).find("formulary: is missing"), std::string::npos);
    EXPECT_NE(create({{"formulary", "/nonexistent.csv"}}).find("/nonexistent.csv: cannot be read"), std::string::npos);
    EXPECT_NE(create({{"formulary", kFormulary}, {"max_distanse", 0.1}}).find("max_distanse"), std::string::npos);
    EXPECT_NE(create({{"formulary", kFormulary}, {"max_distance", 7}}).find("max_distance"), std::string::npos);
    EXPECT_NE(create({{"formulary", kFormulary}, {"max_edits", "one"}}).find("expected an integer"), std::string::npos);
    EXPECT_EQ(component_, nullptr);
}

}  // namespace
