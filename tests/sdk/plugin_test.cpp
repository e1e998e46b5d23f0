/** @file plugin_test.cpp
 *  The edge: negotiation, tables, and every kind of exception as a status with a message.
 */
#include "vlm/sdk/plugin.hpp"

#include <gtest/gtest.h>

namespace {

using namespace vlm::sdk;

/** A reducer that fails as its option says. */
class Failing : public TokenReducer {
  public:
    explicit Failing(const ComponentConfig& c) : how_(c.config.get("how", "fine")) {
        if (how_ == "create") throw failed_precondition("cannot be made");
        c.config.refuse_unknown();
    }
    uint32_t needs(const Run& run, uint32_t, int32_t layer, int32_t) const override {
        if (how_ == "own") throw unimplemented("not this layer");
        if (how_ == "standard") throw std::out_of_range("far away");
        if (how_ == "memory") throw std::bad_alloc();
        if (how_ == "foreign") throw 42;
        if (how_ == "host") throw HostError(VLM_STATUS_OUT_OF_RANGE, "the host has said why");
        run.poll();
        return layer == 1 ? VLM_NEED_KEYS : 0;
    }
    int64_t reduce(const Run&, const vlm_token_view&, Tensor) const override { return 0; }

  private:
    std::string how_;
};

constexpr Identity kIdentity = {.id = "com.example.failing",
                                .name = "Failing",
                                .vendor = "Example",
                                .version = "1.0.0",
                                .license = "MIT",
                                .url = "https://example.com"};

/** What the host side hears. */
struct Heard {
    vlm_status status = VLM_STATUS_OK;
    std::string message;
    bool cancelled = false;
};

struct FakeRun {
    Heard heard;
    vlm_run_context context = make_struct<vlm_run_context>();
    FakeRun() {
        context.host = &heard;
        context.error = [](void* host, vlm_status code, const char* message) {
            static_cast<Heard*>(host)->status = code;
            static_cast<Heard*>(host)->message = message;
        };
        context.is_cancelled = [](void* host) -> int32_t { return static_cast<Heard*>(host)->cancelled ? 1 : 0; };
    }
};

const vlm_token_reducer& table() {
    return *static_cast<const vlm_token_reducer*>(detail::get_interface<Failing>(VLM_KIND_TOKEN_REDUCER));
}

vlm_component* make(const std::string& json, std::string* reason = nullptr, vlm_status expected = VLM_STATUS_OK) {
    char buffer[64] = "";
    auto config = make_struct<vlm_component_config>();
    config.config = {json.data(), json.size()};
    config.reason = buffer;
    config.reason_size = sizeof(buffer);
    vlm_component* component = nullptr;
    EXPECT_EQ(table().base.create(&config, &component), expected);
    if (reason != nullptr) *reason = buffer;
    return component;
}

TEST(Plugin, NegotiatesAVersionOrSaysWhyNot) {
    auto host = make_struct<vlm_host_info>();
    host.abi_version_min = 1;
    host.abi_version_max = 9;
    const vlm_plugin* plugin = nullptr;
    char reason[256] = "";
    ASSERT_EQ(detail::entry<Failing>(kIdentity, &host, &plugin, reason, sizeof(reason)), VLM_STATUS_OK);
    EXPECT_EQ(plugin->abi_version, VLM_ABI_VERSION);
    EXPECT_STREQ(plugin->id, "com.example.failing");
    EXPECT_NE(plugin->get_interface(VLM_KIND_TOKEN_REDUCER), nullptr);
    EXPECT_EQ(plugin->get_interface(VLM_KIND_CONNECTOR), nullptr);
    EXPECT_EQ(plugin->get_interface(nullptr), nullptr);
    const vlm_plugin* again = nullptr;
    detail::entry<Failing>(kIdentity, &host, &again, reason, sizeof(reason));
    EXPECT_EQ(plugin, again);

    host.abi_version_min = VLM_ABI_VERSION + 1;
    EXPECT_EQ(detail::entry<Failing>(kIdentity, &host, &plugin, reason, sizeof(reason)), VLM_STATUS_UNIMPLEMENTED);
    EXPECT_EQ(plugin, nullptr);
    EXPECT_NE(std::string(reason).find("this host speaks 2 to 9"), std::string::npos);
    EXPECT_EQ(detail::entry<Failing>(kIdentity, nullptr, &plugin, nullptr, 0), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Plugin, CreateSaysWhyItFails) {
    std::string reason;
    EXPECT_EQ(make(R"({"how": "create"})", &reason, VLM_STATUS_FAILED_PRECONDITION), nullptr);
    EXPECT_EQ(reason, "cannot be made");
    EXPECT_EQ(make(R"({"unknown": 1})", &reason, VLM_STATUS_INVALID_ARGUMENT), nullptr);
    EXPECT_EQ(reason.size(), 63u);  // cut to the buffer
    EXPECT_EQ(make("{", &reason, VLM_STATUS_INVALID_ARGUMENT), nullptr);
    EXPECT_EQ(table().base.create(nullptr, nullptr), VLM_STATUS_INVALID_ARGUMENT);
    table().base.destroy(nullptr);
}

TEST(Plugin, ReasonsAreCutBetweenCharacters) {
    char buffer[4] = "";
    detail::write_reason(buffer, sizeof(buffer), "ab\xC3\xA9");
    EXPECT_STREQ(buffer, "ab");
    detail::write_reason(nullptr, 0, "x");
}

TEST(Plugin, ExceptionsBecomeStatuses) {
    const struct {
        const char* how;
        vlm_status status;
        const char* message;
    } kCases[] = {{"own", VLM_STATUS_UNIMPLEMENTED, "not this layer"},
                  {"standard", VLM_STATUS_INTERNAL, "far away"},
                  {"memory", VLM_STATUS_RESOURCE_EXHAUSTED, "out of memory"},
                  {"foreign", VLM_STATUS_UNKNOWN, "an exception of unknown type"},
                  {"host", VLM_STATUS_OUT_OF_RANGE, ""}};
    for (const auto& c : kCases) {
        FakeRun run;
        vlm_component* component = make(std::string(R"({"how": ")") + c.how + "\"}");
        uint32_t needs = 0;
        EXPECT_EQ(table().needs(component, &run.context, VLM_SITE_ENCODER_LAYER, 0, 4, &needs), c.status) << c.how;
        EXPECT_EQ(run.heard.message, c.message) << c.how;
        EXPECT_EQ(run.heard.status, c.message[0] != '\0' ? c.status : VLM_STATUS_OK) << c.how;
        table().base.destroy(component);
    }
}

TEST(Plugin, PollingStopsACancelledCall) {
    FakeRun run;
    vlm_component* component = make("{}");
    uint32_t needs = 0;
    EXPECT_EQ(table().needs(component, &run.context, VLM_SITE_ENCODER_LAYER, 1, 4, &needs), VLM_STATUS_OK);
    EXPECT_EQ(needs, VLM_NEED_KEYS);
    run.heard.cancelled = true;
    EXPECT_EQ(table().needs(component, &run.context, VLM_SITE_ENCODER_LAYER, 1, 4, &needs), VLM_STATUS_CANCELLED);
    EXPECT_EQ(table().needs(nullptr, &run.context, 1, 1, 4, &needs), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(table().needs(component, nullptr, 1, 1, 4, &needs), VLM_STATUS_INVALID_ARGUMENT);
    table().base.destroy(component);
}

}  // namespace
