/** @file isolated_plugin_test.cpp
 *  Plugins that crash, hang and reach for what is not theirs: the host names plugin and rule, goes on, and the next
 * request is served.
 */
#include "host/isolate/isolated_plugin.hpp"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "host/base/log.hpp"
#include "host/compute/device.hpp"
#include "host/pipeline/stages.hpp"
#include "tests/host/isolate/isolate_fixture.hpp"

namespace vlm::isolate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using namespace std::chrono_literals;

class IsolatedPost : public Isolate {
  protected:
    /** What the post-processor makes of one prompt; "CODE message" when it fails. */
    std::string told(const PostProcessor& post, const std::string& command, const Listeners& listeners = {}) {
        vlm::Run run(device_->compute(), &listeners);
        const vlm_string prompt{command.data(), command.size()};
        auto input = abi_struct<vlm_post_input>();
        input.prompt_count = 1;
        input.prompts = &prompt;
        try {
            return post.process(run, input);
        } catch (const Error& error) {
            return std::string(status_name(error.code())) + " " + error.what();
        }
    }
    static constexpr const char* kSound = "{\"answers\": 0, \"bytes\": 0}";
    std::shared_ptr<Device> device_ = open_device("cpu", {"f32", "f32", 1});
    std::shared_ptr<SharedArena> arena_ = SharedArena::create();
};

struct Deed {
    const char* command;
    const char* status;
    const char* rule;
    const char* what;
};

TEST_F(IsolatedPost, EveryDeedIsNamedAndTheNextRequestIsServed) {
    const size_t before = open_files();
    {
        const PostProcessor post(torture("post_on_command", arena_), {});
        EXPECT_EQ(told(post, ""), kSound);
        const size_t running = open_files();
        for (const Deed& deed : {Deed{"crash", "UNAVAILABLE", "VLM-P-25", "crashed: Segmentation fault"},
                                 Deed{"abort", "UNAVAILABLE", "VLM-P-25", "crashed: Aborted"},
                                 Deed{"exit", "UNAVAILABLE", "VLM-P-12", "exit status 7"},
                                 Deed{"socket", "PERMISSION_DENIED", "VLM-P-26", "'socket'"},
                                 Deed{"open", "PERMISSION_DENIED", "VLM-P-26", "'openat'"},
                                 Deed{"create", "PERMISSION_DENIED", "VLM-P-26", "'openat'"},
                                 Deed{"fork", "PERMISSION_DENIED", "VLM-P-26", "'clone'"},
                                 Deed{"exec", "PERMISSION_DENIED", "VLM-P-26", "'execve'"},
                                 Deed{"signal another", "PERMISSION_DENIED", "VLM-P-26", "'kill'"},
                                 Deed{"slow the host", "PERMISSION_DENIED", "VLM-P-26", "'sched_setaffinity'"},
                                 Deed{"rename", "PERMISSION_DENIED", "VLM-P-26", "'rename'"},
                                 Deed{"own handler", "PERMISSION_DENIED", "VLM-P-26", "'rt_sigaction'"},
                                 Deed{"ignore the clock", "PERMISSION_DENIED", "VLM-P-26", "'rt_sigaction'"},
                                 Deed{"share memory", "PERMISSION_DENIED", "VLM-P-26", "'mmap'"},
                                 Deed{"grow a stack", "PERMISSION_DENIED", "VLM-P-26", "'mmap'"},
                                 Deed{"lift the limit", "PERMISSION_DENIED", "VLM-P-26", "'prlimit64'"},
                                 Deed{"blocked", "PERMISSION_DENIED", "VLM-P-26", "asked the system"},
                                 Deed{"close", "UNAVAILABLE", "VLM-P-25", "closed its connection"},
                                 Deed{"babble", "INTERNAL", "org.vlmhost.torture", "is no message"}}) {
            const std::string answer = told(post, deed.command);
            EXPECT_THAT(answer, AllOf(testing::StartsWith(deed.status), HasSubstr("org.vlmhost.torture"),
                                      HasSubstr(deed.rule), HasSubstr(deed.what)))
                << deed.command;
            EXPECT_FALSE(has_children()) << deed.command << " left a process behind";
            EXPECT_EQ(told(post, ""), kSound) << "after " << deed.command;
            EXPECT_EQ(open_files(), running) << "after " << deed.command;
        }
    }
    EXPECT_EQ(open_files(), before);
    EXPECT_FALSE(has_children());
    EXPECT_FALSE(std::filesystem::exists("created-by-torture"));
}

TEST_F(IsolatedPost, EndlessLoopsAreEndedByTheTimeLimit) {
    const PostProcessor post(torture("post_on_command", arena_, 300ms), {});
    // One is silent, the other never stops reporting.
    for (const char* command : {"loop", "flood"}) {
        EXPECT_THAT(told(post, command), AllOf(testing::StartsWith("DEADLINE_EXCEEDED"), HasSubstr("VLM-P-25"),
                                               HasSubstr("time limit of 300 ms"), HasSubstr("org.vlmhost.torture")));
        EXPECT_FALSE(has_children());
        EXPECT_EQ(told(post, ""), kSound);
    }
}

TEST_F(IsolatedPost, ComputingBetweenCallsEndsTheProcess) {
    IsolateOptions options;
    options.arena = arena_;
    options.device = {"f32", "f32", 1};
    options.idle_limit = 1s;
    const PostProcessor post(IsolatedPlugin::open(VLM_BINARY_DIR "/torture/post_on_command.so", options), {});
    // Nobody calls meanwhile, and all signals are blocked in the thread that computes.
    EXPECT_EQ(told(post, "go on"), kSound);
    for (int tenths = 0; tenths < 300 && has_running_children(); ++tenths) std::this_thread::sleep_for(100ms);
    EXPECT_FALSE(has_running_children());
    EXPECT_THAT(told(post, ""), AllOf(testing::StartsWith("UNAVAILABLE"), HasSubstr("org.vlmhost.torture"),
                                      HasSubstr("after its last call had returned"), HasSubstr("VLM-P-21")));
    EXPECT_EQ(told(post, ""), kSound);
    // Time within calls does not count.
    EXPECT_EQ(told(post, "work"), kSound);
    EXPECT_EQ(told(post, ""), kSound);
}

TEST_F(IsolatedPost, MoreMemoryThanTheLimitIsRefusedAndSaidSo) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "AddressSanitizer ends a process that gets no memory";
#endif
    const PostProcessor post(torture("post_on_command", arena_, 60s, 64'000'000), {});
    EXPECT_EQ(told(post, ""), kSound);
    constexpr const char* kLimit = "asked for more memory than the 64 MB that its process may take";
    // Whoever minds what malloc says goes on; whoever does not crashes, and the next call starts anew.
    for (const auto& [command, status] : {std::pair{"eat", "INTERNAL"}, {"eat and crash", "RESOURCE_EXHAUSTED"}}) {
        EXPECT_THAT(told(post, command), AllOf(testing::StartsWith(status), HasSubstr("org.vlmhost.torture"),
                                               HasSubstr(kLimit), HasSubstr("memory_mb")));
        EXPECT_EQ(told(post, "fail"), "OUT_OF_RANGE org.vlmhost.torture: process: was told to fail (OUT_OF_RANGE)");
    }
    EXPECT_THAT(told(post, "crash"), AllOf(testing::StartsWith("UNAVAILABLE"), Not(HasSubstr(kLimit))));
}

TEST_F(IsolatedPost, CallsOfAnotherArchitectureEndTheProcess) {
    const PostProcessor post(torture("post_on_command", arena_), {});
    // A kernel without 32-bit programs makes a crash of it.
    EXPECT_THAT(told(post, "call otherwise"), AllOf(HasSubstr("org.vlmhost.torture"), HasSubstr("VLM-P-2")));
    EXPECT_EQ(told(post, ""), kSound);
}

TEST_F(IsolatedPost, AProcessThatUnderminedItsSecondFilterOpensNothingAllTheSame) {
    const PostProcessor post(torture("post_undermines", arena_), {});
    EXPECT_EQ(told(post, ""), kSound);
}

TEST_F(IsolatedPost, TheMemoryOfTheHostIsClosedToIt) {
    if (syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
        GTEST_SKIP() << "this kernel has no Landlock";
    EXPECT_NO_THROW(PostProcessor(torture("post_peeks", arena_), {}));
}

TEST_F(IsolatedPost, CancellationReachesThePluginAndEndsOneThatDoesNotListen) {
    const PostProcessor post(torture("post_on_command", arena_), {});
    for (const char* command : {"wait", "loop"}) {
        std::atomic<bool> cancelled{false};
        Listeners listeners;
        listeners.cancelled = &cancelled;
        std::jthread later([&] {
            std::this_thread::sleep_for(50ms);
            cancelled = true;
        });
        const std::string answer = told(post, command, listeners);
        EXPECT_THAT(answer, testing::StartsWith("CANCELLED")) << command;
        EXPECT_EQ(answer.find("VLM-P-10") != std::string::npos, command == std::string("loop")) << answer;
        EXPECT_EQ(told(post, ""), kSound) << "after " << command;
    }
}

TEST_F(IsolatedPost, ErrorsLogAndProgressComeAcross) {
    const PostProcessor post(torture("post_on_command", arena_), {});
    EXPECT_EQ(told(post, "fail"), "OUT_OF_RANGE org.vlmhost.torture: process: was told to fail (OUT_OF_RANGE)");
    std::string log, progress;
    set_log_sink([&](int, std::string_view, std::string_view text) { log += text; });
    Listeners listeners;
    listeners.progress = [&](uint64_t done, uint64_t total) {
        progress += std::to_string(done) + "/" + std::to_string(total);
    };
    EXPECT_EQ(told(post, "report", listeners), kSound);
    set_log_sink({});
    EXPECT_EQ(log, "about to finish");
    EXPECT_EQ(progress, "3/4");
}

TEST_F(IsolatedPost, WhatAPluginPrintsDoesNotReachStandardOutput) {
    const PostProcessor post(torture("post_on_command", arena_), {});
    testing::internal::CaptureStdout();
    EXPECT_EQ(told(post, "print"), kSound);
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST_F(IsolatedPost, ReasonsOfCreateComeAcross) {
    ComponentConfig config;
    config.config = "{\"unknown\": 1}";
    try {
        const PostProcessor post(torture("post_on_command", arena_), config);
        ADD_FAILURE() << "created with an unknown option";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_THAT(error.what(), HasSubstr("org.vlmhost.torture: cannot be configured: takes no options"));
    }
    EXPECT_FALSE(has_children());
}

TEST_F(IsolatedPost, LibrariesThatBreakWhileTheyAreOpenedBreakTheirProcess) {
    for (const Deed& deed : {Deed{"constructor_crashes", "UNAVAILABLE", "VLM-P-25", "constructor_crashes.so"},
                             Deed{"not_a_plugin", "INVALID_ARGUMENT", "", "is a shared library but no plugin"},
                             Deed{"refuses", "UNIMPLEMENTED", "", "refused this host"}}) {
        try {
            torture(deed.command, arena_);
            ADD_FAILURE() << deed.command << " was opened";
        } catch (const Error& error) {
            EXPECT_STREQ(status_name(error.code()), deed.status);
            EXPECT_THAT(error.what(), AllOf(HasSubstr(deed.rule), HasSubstr(deed.what)));
        }
    }
    EXPECT_FALSE(has_children());
}

TEST_F(IsolatedPost, WritingBeyondATensorIsFoundOutAndTheNextRequestIsServed) {
    const Listeners quiet;
    vlm::Run run(device_->compute(), &quiet);
    const auto fault = [](const auto& call) -> std::string {
        try {
            call();
            return "not noticed";
        } catch (const Error& error) {
            return std::string(status_name(error.code())) + " " + error.what();
        }
    };
    const auto is_named = AllOf(testing::StartsWith("INTERNAL org.vlmhost.torture: "),
                                HasSubstr("wrote outside its tensors"), HasSubstr("VLM-P-13"));
    const Image page = make_image(32, 16, 3);
    const auto encode = [&](const VisionEncoder& encoder) {
        const auto plan = encoder.plan(page.width, page.height);
        const Tensor pixels = encoder.preprocess(run, page, "page", plan);
        return encoder.encode(run, {&pixels, 1}, {&plan, 1}, arena_->allocator()).at(0);
    };
    const VisionEncoder sound(torture("sound_encoder", arena_), {});
    const VisionEncoder faulty(torture("encoder_overruns", arena_), {});
    for (int attempt = 0; attempt < 2; ++attempt) {
        EXPECT_THAT(fault([&] { encode(faulty); }), is_named);
        EXPECT_GT(encode(sound).rows.dim(0), 0) << "in the same memory";
    }

    Tensor groups(VLM_DTYPE_I32, {6});
    auto map = abi_struct<vlm_token_map>();
    map.groups = groups.abi();
    auto view = abi_struct<vlm_token_view>();
    view.site = VLM_SITE_ENCODER_OUTPUT;
    view.layer = -1;
    view.tokens = 6;
    const TokenReducer sound_reducer(torture("sound_plugin", arena_), {});
    const TokenReducer faulty_reducer(torture("reduce_overruns", arena_), {});
    EXPECT_THAT(fault([&] { faulty_reducer.reduce(run, view, map); }), is_named);
    EXPECT_TRUE(sound_reducer.reduce(run, view, map));
    EXPECT_EQ(map.group_count, 3);
    EXPECT_EQ(groups.span<int32_t>()[4], 2);
    EXPECT_EQ(groups.span<int32_t>()[5], -1);
}

TEST_F(IsolatedPost, TheSealedCopyIsWhatTheProcessLoads) {
    // Unsigned, under a policy that warns: the library is hashed, copied and sealed, and the copy is handed over.
    const auto library = std::filesystem::temp_directory_path() / ("isolated-" + std::to_string(getpid()) + ".so");
    std::filesystem::copy_file(std::string(VLM_BINARY_DIR) + "/torture/post_on_command.so", library,
                               std::filesystem::copy_options::overwrite_existing);
    IsolateOptions options;
    options.arena = arena_;
    options.device = {"f32", "f32", 1};
    TrustPolicy policy;
    policy.mode = TrustMode::require;
    EXPECT_THROW(IsolatedPlugin::open(library, options, policy), Error);
    policy.mode = TrustMode::warn;
    set_log_sink([](int, std::string_view, std::string_view) {});
    const PostProcessor post(IsolatedPlugin::open(library, options, policy), {});
    set_log_sink({});
    std::ofstream(library, std::ios::binary | std::ios::trunc) << "another file by now";
    EXPECT_THAT(told(post, "crash"), HasSubstr("VLM-P-25"));
    EXPECT_EQ(told(post, ""), kSound) << "started again from the sealed copy, not from the file";
    std::filesystem::remove(library);
}

TEST_F(IsolatedPost, AMissingProgramIsNamed) {
    setenv("VLM_PLUGIN_HOST", "/nowhere/vlm-plugin-host", 1);
    try {
        const auto program = plugin_host_program();
        GTEST_SKIP() << program << " is installed on this system";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
        EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/vlm-plugin-host"), HasSubstr("VLM_PLUGIN_HOST")));
    }
}

TEST_F(IsolatedPost, SeveralThreadsTakeTurns) {
    const PostProcessor post(torture("post_on_command", arena_), {});
    std::atomic<int> sound{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 50; ++n) sound += told(post, "") == kSound ? 1 : 0;
            });
    }
    EXPECT_EQ(sound, 200);
}

TEST_F(IsolatedPost, EncodersAndConnectorsAnswerAsInThisProcess) {
    const auto library = [](const char* name) { return std::string(VLM_BINARY_DIR) + "/torture/" + name + ".so"; };
    const Listeners quiet;
    vlm::Run run(device_->compute(), &quiet);
    Image page = make_image(32, 16, 3);
    for (size_t i = 0; i < page.pixels.size(); ++i) page.pixels[i] = static_cast<uint8_t>(i * 37);
    const auto features = [&](const VisionEncoder& encoder, const Allocator& memory) {
        const auto plan = encoder.plan(page.width, page.height);
        const Tensor pixels = encoder.preprocess(run, page, "page", plan);
        return encoder.encode(run, {&pixels, 1}, {&plan, 1}, memory).at(0);
    };
    const VisionEncoder here(Plugin::open(library("sound_encoder")), {});
    const VisionEncoder there(torture("sound_encoder", arena_), {});
    const Features expected = features(here, Allocator::cpu());
    arena_->counters().copied_bytes = 0;
    const Features found = features(there, arena_->allocator());
    const auto rows = static_cast<size_t>(found.rows.dim(0));
    EXPECT_EQ(arena_->counters().copied_bytes, page.pixels.size() + 2 * sizeof(int32_t) * rows)
        << "the decoded picture, row numbers there and back, and no tensor";
    ASSERT_EQ(found.rows.shape(), expected.rows.shape());
    EXPECT_TRUE(std::ranges::equal(found.rows.span<float>(), expected.rows.span<float>()));
    EXPECT_THROW(there.plan(1, 1), Error);

    const Connector connector_here(Plugin::open(library("sound_connector")), {});
    const Connector connector_there(torture("sound_connector", arena_), {});
    const auto tokens = connector_here.connect(run, expected, "", Allocator::cpu());
    arena_->counters().copied_bytes = 0;
    const auto shared = connector_there.connect(run, found, "", arena_->allocator());
    EXPECT_EQ(arena_->counters().copied_bytes, 0u);
    const auto staged = connector_there.connect(run, expected, "", Allocator::cpu());
    EXPECT_GT(arena_->counters().copied_bytes, 0u) << "memory of the host alone has to be copied";
    for (const auto* made : {&shared, &staged})
        EXPECT_TRUE(std::ranges::equal(made->rows.span<float>(), tokens.rows.span<float>()));
}

TEST_F(IsolatedPost, PlansThatAreBrokenAreNamedAsInThisProcess) {
    const Listeners quiet;
    vlm::Run run(device_->compute(), &quiet);
    const VisionEncoder layout(torture("encoder_bad_layout", arena_), {});
    try {
        layout.plan(32, 16);
        ADD_FAILURE() << "the host did not notice";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("VLM-P-18"));
    }
}

}  // namespace
}  // namespace vlm::isolate
