/** @file hook_messages_test.cpp
 *  Questions of an isolated plugin to the token reducers: what it shows is what they see, and what makes no sense is
 * refused before they see anything.
 */
#include "host/isolate/hook_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

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
            self.features = view->hidden->view.data;
            if (view->scores != nullptr) self.scores = view->scores->view.data;
            *map = &self.map_;
            return vlm_status{VLM_STATUS_OK};
        };
        run_.hooks = &hooks_;
    }
    Message answer(Kind kind, const Writer& body, int64_t code = 0) {
        return answer_hook({kind, 0, code, body.bytes()}, &run_, VLM_SITE_ENCODER_LAYER, room);
    }
    float seen = 0;
    const void* features = nullptr;
    const void* scores = nullptr;
    const std::shared_ptr<SharedArena> arena = SharedArena::create();
    HookRoom room{arena};

  private:
    Tensor groups_;
    vlm_token_map map_;
    vlm_hooks hooks_;
    vlm_run_context run_{};
};

/** A view of four tokens with `change` applied, as a plugin's process writes it: features at `offset` of its room,
 * and scores behind them. */
template <typename Change>
Writer question(Change&& change, const std::vector<int64_t>& hidden_shape = {4, 2}, uint32_t dtype = VLM_DTYPE_F32,
                uint64_t offset = 0) {
    auto view = abi_struct<vlm_token_view>();
    view.site = VLM_SITE_ENCODER_LAYER;
    view.layer = 3;
    view.layers = 12;
    view.tokens = 4;
    view.protected_tokens = 1;
    change(view);
    Writer body;
    put_members(body, view);
    const auto put = [&](const std::vector<int64_t>& shape, uint32_t type, uint64_t place) {
        body.put(type);
        body.put(static_cast<uint32_t>(shape.size()));
        for (const int64_t size : shape) body.put(size);
        body.put(place);
    };
    for (const auto& member : kViewMembers) {
        const bool hidden = member.tensor == &vlm_token_view::hidden, scores = member.tensor == &vlm_token_view::scores;
        body.put<uint8_t>(hidden || scores ? 1 : 0);
        if (hidden) put(hidden_shape, dtype, offset);
        if (scores) put({4}, VLM_DTYPE_F32, kHookAlignment);
    }
    body.layout(nullptr);
    return body;
}

/** A host that has set room aside, with a 5 at the end of the features there. */
struct Asked : Hooked {
    Asked() {
        const Message reply = answer(Kind::hook_room, {}, 2 * kHookAlignment);
        EXPECT_EQ(reply.code, VLM_STATUS_OK);
        place = Reader(reply.body).get<uint64_t>();
        reinterpret_cast<float*>(arena->mapping().data() + place)[7] = 5;
    }
    uint64_t place = 0;
};

TEST(HookMessages, WhatIsShownIsSeenAndTheMapComesBack) {
    Asked host;
    const Message reply = host.answer(Kind::hook_reduce, question([](auto&) {}));
    EXPECT_EQ(host.seen, 5);
    EXPECT_EQ(host.features, host.arena->mapping().data() + host.place) << "features are not copied here";
    EXPECT_NE(host.scores, nullptr);
    EXPECT_FALSE(host.arena->place_of(host.scores, 4)) << "what reducers count by must not change meanwhile";
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
        Asked host;
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
    for (const uint64_t offset : {uint64_t{4}, 2 * kHookAlignment, uint64_t{1} << 40, ~uint64_t{63}})
        EXPECT_THAT(refused(question([](auto&) {}, {4, 2}, VLM_DTYPE_F32, offset)), HasSubstr("outside of the memory"));
    EXPECT_THAT(refused(question([](auto&) {}, {4, 1 << 20})), HasSubstr("outside of the memory"));
    Hooked host;
    vlm_run_context without{};
    EXPECT_THROW(answer_hook({Kind::hook_reduce, 0, 0, question([](auto&) {}).bytes()}, &without,
                             VLM_SITE_ENCODER_LAYER, host.room),
                 Error);
}

TEST(HookMessages, RoomThatThereIsNotIsRefusedAndTheHostGoesOn) {
    Asked host;
    for (const int64_t bytes : {int64_t{-1}, std::numeric_limits<int64_t>::max()})
        EXPECT_EQ(host.answer(Kind::hook_room, {}, bytes).code, VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_THROW(host.answer(Kind::hook_reduce, question([](auto&) {})), Error) << "the room it had is gone";
}

}  // namespace
}  // namespace vlm::isolate
