/** @file hook_messages_test.cpp
 *  Questions of an isolated plugin to the token reducers: what it shows is what they see, and what makes no sense is
 * refused before they see anything.
 */
#include "host/isolate/hook_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"
#include "host/isolate/fields.hpp"
#include "host/pipeline/plugin_table.hpp"

namespace vlm::isolate {
namespace {

using testing::HasSubstr;

/** A host with reducers that put every second token into the group in front of it. */
class Hooked {
  public:
    Hooked() : groups_(VLM_DTYPE_I32, {4}), map_(abi_struct<vlm_token_map>()), hooks_(abi_struct<vlm_hooks>()) {
        for (int32_t i = 0; i < 4; ++i) groups_.data<int32_t>()[i] = i / 2;
        map_.groups = groups_.abi();
        map_.group_count = 2;
        hooks_.host = this;
        hooks_.needs = [](void*, uint32_t, int32_t layer, int32_t) -> uint32_t {
            return layer == 3 ? VLM_NEED_HIDDEN : 0;
        };
        hooks_.reduce = [](void* host, const vlm_run_context*, const vlm_token_view* view, const vlm_token_map** map) {
            auto& self = *static_cast<Hooked*>(host);
            self.seen = static_cast<const float*>(view->hidden->view.data)[7];
            *map = &self.map_;
            return vlm_status{VLM_STATUS_OK};
        };
        run_.hooks = &hooks_;
    }
    Message answer(Kind kind, const Writer& body) {
        return answer_hook({kind, 0, 0, body.bytes()}, &run_, VLM_SITE_ENCODER_LAYER);
    }
    float seen = 0;

  private:
    Tensor groups_;
    vlm_token_map map_;
    vlm_hooks hooks_;
    vlm_run_context run_{};
};

/** A view of four tokens with `change` applied, as a plugin's process writes it. */
template <typename Change>
Writer question(Change&& change, const std::vector<int64_t>& hidden_shape = {4, 2}, uint32_t dtype = VLM_DTYPE_F32) {
    auto view = abi_struct<vlm_token_view>();
    view.site = VLM_SITE_ENCODER_LAYER;
    view.layer = 3;
    view.layers = 12;
    view.tokens = 4;
    view.protected_tokens = 1;
    change(view);
    Writer body;
    put_members(body, view);
    Tensor hidden(dtype, hidden_shape);
    if (dtype == VLM_DTYPE_F32) hidden.span<float>().back() = 5;
    for (const auto& member : kViewMembers) {
        const bool shown = member.tensor == &vlm_token_view::hidden;
        body.put<uint8_t>(shown ? 1 : 0);
        if (shown) put_content(body, hidden);
    }
    body.layout(nullptr);
    return body;
}

TEST(HookMessages, WhatIsShownIsSeenAndTheMapComesBack) {
    Hooked host;
    const Message reply = host.answer(Kind::hook_reduce, question([](auto&) {}));
    EXPECT_EQ(host.seen, 5);
    EXPECT_EQ(reply.code, VLM_STATUS_OK);
    Reader reader(reply.body);
    EXPECT_EQ(reader.get<int64_t>(), 2);
    EXPECT_EQ(reader.text().size(), 4 * sizeof(int32_t));
    for (const int32_t layer : {3, 4}) {
        Writer body;
        body.put(uint32_t{VLM_SITE_ENCODER_LAYER});
        body.put(layer);
        body.put(int32_t{12});
        EXPECT_EQ(host.answer(Kind::hook_needs, body).code, layer == 3 ? VLM_NEED_HIDDEN : 0);
    }
}

TEST(HookMessages, QuestionsThatMakeNoSenseAreRefused) {
    const auto refused = [](const Writer& body) -> std::string {
        Hooked host;
        try {
            host.answer(Kind::hook_reduce, body);
        } catch (const Error& error) {
            EXPECT_EQ(host.seen, 0) << "the reducers saw it";
            return error.what();
        }
        return "accepted";
    };
    EXPECT_THAT(refused(question([](auto& v) { v.site = VLM_SITE_BACKBONE_LAYER; })), HasSubstr("not its own"));
    EXPECT_THAT(refused(question([](auto& v) { v.layer = 12; })), HasSubstr("layer 12 of 12"));
    EXPECT_THAT(refused(question([](auto& v) { v.layer = -1; })), HasSubstr("layer -1"));
    EXPECT_THAT(refused(question([](auto& v) { v.tokens = 0; })), HasSubstr("that are 0"));
    EXPECT_THAT(refused(question([](auto& v) { v.protected_tokens = 5; })), HasSubstr("5 of them protected"));
    EXPECT_THAT(refused(question([](auto& v) { v.tokens = 5; })), HasSubstr("[4, 2]"));
    EXPECT_THAT(refused(question([](auto&) {}, {4})), HasSubstr("[4]"));
    EXPECT_THAT(refused(question([](auto&) {}, {4, 2}, VLM_DTYPE_I32)), HasSubstr("[4, 2]"));
    EXPECT_THAT(refused(Writer()), HasSubstr("ends too early"));
    vlm_run_context without{};
    EXPECT_THROW(
        answer_hook({Kind::hook_reduce, 0, 0, question([](auto&) {}).bytes()}, &without, VLM_SITE_ENCODER_LAYER),
        Error);
}

}  // namespace
}  // namespace vlm::isolate
