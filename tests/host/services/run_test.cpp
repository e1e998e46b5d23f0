/** @file run_test.cpp
 *  The run context: what a plugin says arrives, and what it gets wrong does no harm.
 */
#include "host/services/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using vlm::Listeners;

TEST(Run, ReportsTheLastMessageOfAFailingCall) {
    vlm::Run run(nullptr, nullptr);
    const auto* context = run.context(1);
    context->error(context->host, VLM_STATUS_NOT_FOUND, "first");
    context->error(context->host, VLM_STATUS_DATA_LOSS, "table is torn");
    try {
        run.check(VLM_STATUS_DATA_LOSS, "org.example.x: load");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_DATA_LOSS);
        EXPECT_THAT(error.what(), AllOf(HasSubstr("org.example.x: load: table is torn"), HasSubstr("DATA_LOSS")));
    }
    // The message was for that call; the next failure does not inherit it.
    try {
        run.check(VLM_STATUS_INTERNAL, "org.example.x: run");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("gave no reason"));
    }
    run.check(VLM_STATUS_OK, "fine");
}

TEST(Run, WhatACallLoggedIsPartOfItsReason) {
    vlm::Run run(nullptr, nullptr);
    const auto* context = run.context(1);
    const auto message = [&](const std::string& logged) -> std::string {
        try {
            run.check(VLM_STATUS_RESOURCE_EXHAUSTED, "load", logged);
        } catch (const vlm::Error& error) {
            return error.what();
        }
        return {};
    };
    EXPECT_EQ(message("linear_pack: no memory"), "load: linear_pack: no memory (RESOURCE_EXHAUSTED)");
    context->error(context->host, VLM_STATUS_RESOURCE_EXHAUSTED, "layer 3");
    EXPECT_EQ(message("linear_pack: no memory"), "load: layer 3: linear_pack: no memory (RESOURCE_EXHAUSTED)");
    context->error(context->host, VLM_STATUS_RESOURCE_EXHAUSTED, "layer 3: no memory");
    EXPECT_EQ(message("no memory"), "load: layer 3: no memory (RESOURCE_EXHAUSTED)");
}

TEST(Run, UnknownStatusesCountAsInternal) {
    vlm::Run run(nullptr, nullptr);
    for (const vlm_status status : {-1, 17, 4711}) {
        try {
            run.check(status, "x");
            ADD_FAILURE();
        } catch (const vlm::Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_INTERNAL) << status;
        }
    }
    EXPECT_STREQ(vlm::status_name(VLM_STATUS_CANCELLED), "CANCELLED");
    EXPECT_STREQ(vlm::status_name(VLM_STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    EXPECT_STREQ(vlm::status_name(-5), "INTERNAL");
}

TEST(Run, NullMessagesAndListenersDoNoHarm) {
    vlm::Run run(nullptr, nullptr);
    const auto* context = run.context(1);
    EXPECT_EQ(context->is_cancelled(context->host), 0);
    context->progress(context->host, 1, 2);
    context->error(context->host, VLM_STATUS_INTERNAL, nullptr);
    context->log(context->host, VLM_LOG_DEBUG, nullptr);
    EXPECT_EQ(context->tap, nullptr);
    EXPECT_EQ(context->hooks, nullptr);
    run.poll();
}

TEST(Run, PassesCancelProgressAndTapsOn) {
    std::atomic<bool> cancelled{false};
    uint64_t seen = 0;
    std::string tapped;
    Listeners listeners;
    listeners.cancelled = &cancelled;
    listeners.progress = [&](uint64_t done, uint64_t total) { seen = done * 100 / total; };
    listeners.tap = [&](const std::string& name, const vlm_tensor&) {
        if (name == "throw") throw std::runtime_error("a listener fails");
        tapped = name;
    };
    vlm::Run run(nullptr, &listeners);
    const auto* context = run.context(7);
    EXPECT_EQ(context->abi_version, 7u);
    EXPECT_EQ(context->is_cancelled(context->host), 0);
    cancelled = true;
    EXPECT_EQ(context->is_cancelled(context->host), 1);
    EXPECT_THROW(run.poll(), vlm::Error);
    context->progress(context->host, 1, 4);
    EXPECT_EQ(seen, 25u);
    vlm_tensor tensor{};
    tensor.view.device.device_type = VLM_DEVICE_CPU;
    ASSERT_NE(context->tap, nullptr);
    EXPECT_EQ(context->tap(context->host, "llm.layer0", &tensor), VLM_STATUS_OK);
    EXPECT_EQ(tapped, "llm.layer0");
    EXPECT_EQ(context->tap(context->host, nullptr, &tensor), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(context->tap(context->host, "x", nullptr), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(context->tap(context->host, "throw", &tensor), VLM_STATUS_INTERNAL);
    try {
        run.check(VLM_STATUS_INTERNAL, "decode");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("'throw' cannot be shown: a listener fails"));
    }
}

}  // namespace
