/** @file hooks_test.cpp
 *  The hook service between owners of tokens and reducers that may be wrong (tests/torture).
 */
#include "host/pipeline/hooks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;

/** A pipeline's hooks with one reducer. */
class Hooks {
  public:
    explicit Hooks(const std::string& plugin) : run_(nullptr, &listeners_) {
        if (!plugin.empty())
            reducers_.push_back(std::make_unique<vlm::TokenReducer>(
                vlm::Plugin::open(std::string(VLM_BINARY_DIR) + "/torture/" + plugin + ".so"), vlm::ComponentConfig{}));
        service_ = std::make_unique<vlm::HookService>(reducers_, vlm::Allocator::cpu());
        service_->bind(&run_);
        hidden_ = vlm::Tensor(VLM_DTYPE_F32, {6, 4});
    }
    vlm_token_view view(uint32_t site = VLM_SITE_ENCODER_OUTPUT) {
        auto view = vlm::abi_struct<vlm_token_view>();
        view.site = site;
        view.layer = -1;
        view.layers = 2;
        view.tokens = 6;
        view.protected_tokens = 2;
        view.hidden = hidden_.abi();
        return view;
    }
    std::string refusal() {
        try {
            service_->reduce(run_, view());
        } catch (const vlm::Error& error) {
            return error.what();
        }
        ADD_FAILURE() << "accepted";
        return {};
    }
    vlm::HookService& service() { return *service_; }
    vlm::Run& run() { return run_; }

  private:
    vlm::Listeners listeners_;
    vlm::Run run_;
    std::vector<std::unique_ptr<vlm::TokenReducer>> reducers_;
    std::unique_ptr<vlm::HookService> service_;
    vlm::Tensor hidden_;
};

TEST(Hooks, AreNullWithoutReducers) {
    EXPECT_EQ(Hooks("").service().abi(), nullptr);
    EXPECT_NE(Hooks("sound_plugin").service().abi(), nullptr);
}

TEST(Hooks, PassOnASoundMapAndRecordIt) {
    Hooks hooks("sound_plugin");
    const auto* map = hooks.service().reduce(hooks.run(), hooks.view());
    ASSERT_NE(map, nullptr);
    EXPECT_EQ(map->group_count, 4);
    ASSERT_EQ(hooks.service().records().size(), 1u);
    const auto& record = hooks.service().records()[0];
    EXPECT_EQ(record.tokens_before, 6);
    EXPECT_EQ(record.tokens_after, 4);
    EXPECT_EQ(record.dropped, 2);
    EXPECT_EQ(record.groups, (std::vector<int32_t>{0, 1, 2, -1, 3, -1}));
}

TEST(Hooks, AskOnlyWhereTheReducerActs) {
    Hooks hooks("sound_plugin");
    EXPECT_EQ(hooks.service().needs(hooks.run(), VLM_SITE_ENCODER_OUTPUT, -1, 2), VLM_NEED_HIDDEN);
    EXPECT_EQ(hooks.service().needs(hooks.run(), VLM_SITE_BACKBONE_LAYER, 1, 2), 0u);
    EXPECT_EQ(hooks.service().reduce(hooks.run(), hooks.view(VLM_SITE_CONNECTOR_OUTPUT)), nullptr);
    EXPECT_TRUE(hooks.service().records().empty());
}

TEST(Hooks, RefuseBrokenMapsAndNameThePlugin) {
    EXPECT_THAT(Hooks("reduce_bad_group").refusal(),
                AllOf(HasSubstr("org.vlmhost.torture"), HasSubstr("group 4 of 4")));
    EXPECT_THAT(Hooks("reduce_empty_group").refusal(), AllOf(HasSubstr("group 4"), HasSubstr("without a member")));
    EXPECT_THAT(Hooks("reduce_too_many").refusal(),
                AllOf(HasSubstr("11 groups of 6"), HasSubstr("fault of the plugin")));
}

TEST(Hooks, PassOnWhatAFailingReducerSays) {
    EXPECT_THAT(Hooks("reduce_fails").refusal(), AllOf(HasSubstr("org.vlmhost.torture: reduce"),
                                                       HasSubstr("thresholds is torn"), HasSubstr("DATA_LOSS")));
    EXPECT_THAT(Hooks("reduce_unknown_status").refusal(), AllOf(HasSubstr("gave no reason"), HasSubstr("INTERNAL")));
}

TEST(Hooks, TheCFaceTurnsErrorsIntoStatuses) {
    Hooks hooks("reduce_bad_group");
    const auto* abi = hooks.service().abi();
    const auto* run = hooks.run().context(VLM_ABI_VERSION);
    const auto view = hooks.view();
    const vlm_token_map* map = nullptr;
    EXPECT_EQ(abi->reduce(abi->host, run, &view, &map), VLM_STATUS_INTERNAL);
    EXPECT_EQ(abi->reduce(abi->host, run, nullptr, &map), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(abi->reduce(abi->host, run, &view, nullptr), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Hooks, ComponentsThatCannotBeMadeSayWhy) {
    const auto refusal = [](const std::string& plugin, const std::string& config) -> std::string {
        try {
            vlm::ComponentConfig c;
            c.config = config;
            const vlm::TokenReducer reducer(
                vlm::Plugin::open(std::string(VLM_BINARY_DIR) + "/torture/" + plugin + ".so"), c);
        } catch (const vlm::Error& error) {
            return error.what();
        }
        return "accepted";
    };
    EXPECT_THAT(refusal("create_fails", "{}"),
                AllOf(HasSubstr("org.vlmhost.torture"), HasSubstr("the moon is in"), HasSubstr("FAILED_PRECONDITION")));
    EXPECT_THAT(refusal("create_nothing", "{}"), HasSubstr("made no component"));
    EXPECT_THAT(refusal("sound_plugin", R"({"a": 1})"), HasSubstr("takes no options"));
    EXPECT_THAT(refusal("table_size_zero", "{}"), HasSubstr("struct_size 0"));
}

}  // namespace
