/** @file graphs_test.cpp
 *  Steps of decoding as graphs on the emulated GPU: the answers, to the bit, of steps that are not, whatever the driver
 * refuses.
 */
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "host/base/log.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/image/image.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/services/device_run.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/** Environment of the emulation while it lives. */
class Setting {
  public:
    Setting(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
    ~Setting() { unsetenv(name_); }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;

  private:
    const char* name_;
};

/** What a pipeline answered, and how. */
struct Answered {
    std::vector<TokenPiece> tokens;
    int64_t waits = 0, launches = 0, builds = 0;
    std::string warnings;
};

struct How {
    std::string use = "auto";  ///< VLM_CUDA_GRAPHS.
    std::string driver;        ///< VLM_EMULATED_GRAPHS.
    std::string order = "late", dtype = "bf16";
    int64_t new_tokens = 9;
    std::vector<size_t> batches = {1};  ///< Questions asked together, batch after batch.
    std::function<void(Manifest&)> set = {};
};

/** Graphs of a step of that model: it has two layers. */
constexpr int kGraphs = 3;

/** A model with random weights, made once; pictures of a real one take the emulation too long. */
const std::filesystem::path& model() {
    static const struct Made {
        std::filesystem::path folder =
            std::filesystem::path(testing::TempDir()) / ("vlm_graphs_" + std::to_string(getpid()));
        std::filesystem::path model = bench::ensure_checkpoint(bench::model_shape("tiny"), folder);
        ~Made() { std::filesystem::remove_all(folder); }
    } made;
    return made.model;
}

Answered answer(const How& how) {
    const Setting use("VLM_CUDA_GRAPHS", how.use), driver("VLM_EMULATED_GRAPHS", how.driver);
    const Setting order("VLM_EMULATED_ORDER", how.order), library("VLM_CUDA_LIBRARY", VLM_EMULATED_CUDA);
    Answered answered;
    set_log_sink([&](int level, std::string_view, std::string_view text) {
        if (level >= VLM_LOG_WARNING) answered.warnings += text;
    });
    Manifest manifest = Manifest::for_model(model());
    manifest.device = "cuda";
    manifest.dtype = how.dtype;
    manifest.use_template = false;
    manifest.batch = 4;
    if (how.set) how.set(manifest);
    OpenOptions open;
    open.plugin_folders = {VLM_PLUGIN_DIR};
    const auto pipeline = Pipeline::open(std::move(manifest), open);
    auto& device = dynamic_cast<DecodingDevice&>(pipeline->device());
    const DecodingCounters before = device.decoding_counters();
    const int64_t waits = device.counters().synchronizations;
    GenerationOptions options;
    options.max_new_tokens = how.new_tokens;
    options.ignore_eos = true;
    for (const size_t batch : how.batches) {
        std::vector<Request> requests(batch);
        for (size_t i = 0; i < batch; ++i) {
            requests[i].prompt = std::string(3 * i, 'a') + "what is it";
            requests[i].images.push_back({"page", make_image(60, 40, 3, 128)});
        }
        for (const Result& result : pipeline->answer(requests, options))
            answered.tokens.insert(answered.tokens.end(), result.answers[0].tokens.begin(),
                                   result.answers[0].tokens.end());
    }
    answered.waits = device.counters().synchronizations - waits;
    answered.launches = device.decoding_counters().graph_launches - before.graph_launches;
    answered.builds = device.decoding_counters().graph_builds - before.graph_builds;
    set_log_sink({});
    return answered;
}

void expect_same(const Answered& found, const Answered& expected) {
    ASSERT_EQ(found.tokens.size(), expected.tokens.size());
    for (size_t i = 0; i < found.tokens.size(); ++i) {
        EXPECT_EQ(found.tokens[i].id, expected.tokens[i].id) << "token " << i;
        EXPECT_EQ(found.tokens[i].log_probability, expected.tokens[i].log_probability) << "token " << i;
    }
}

TEST(Graphs, AnswersAndWaitsAreThoseOfSingleLaunches) {
    for (const char* dtype : {"f32", "bf16"})
        for (const char* order : {"late", "serial"}) {
            SCOPED_TRACE(std::string(dtype) + " " + order);
            How how;
            how.dtype = dtype;
            how.order = order;
            how.batches = {1, 3, 1};
            const Answered with = answer(how);
            how.use = "off";
            const Answered without = answer(how);
            expect_same(with, without);
            EXPECT_EQ(with.waits, without.waits);
            EXPECT_EQ(without.launches, 0);
            // Eight steps each; the first of one and of three rows are not recorded.
            EXPECT_EQ(with.launches, 7 + 7 + 8);
            EXPECT_EQ(with.builds, 2 * kGraphs) << "executables per number of rows, changed from step to step";
            EXPECT_EQ(with.warnings, without.warnings);
        }
}

TEST(Graphs, PagesOfKeysAreTakenWhileAStepIsRecorded) {
    How how;
    how.new_tokens = 140;  // every sequence begins two or three new pages
    how.batches = {2};
    how.order = "serial";
    const Answered with = answer(how);
    how.use = "off";
    expect_same(with, answer(how));
    EXPECT_EQ(with.launches, 138);
    EXPECT_LE(with.builds, 2 * kGraphs);  // more keys may take more kernels
}

TEST(Graphs, ADriverThatTakesNoUpdatesGetsNewGraphs) {
    How how;
    how.driver = "rigid";
    const Answered with = answer(how);
    how.use = "off";
    expect_same(with, answer(how));
    EXPECT_EQ(with.launches, 7);
    EXPECT_EQ(with.builds, 7 * kGraphs);
}

TEST(Graphs, ALostStepIsRunAgainAndTheRestIsNotRecorded) {
    How how;
    how.batches = {3, 3};
    how.use = "off";
    const Answered without = answer(how);
    how.use = "auto";
    // Opening records two steps of two graphs. A step may be lost after its first graphs have been launched.
    for (const int recorded : {0, 1, 2, 3 * kGraphs, 4 * kGraphs - 1}) {
        SCOPED_TRACE(recorded);
        how.driver = "invalid " + std::to_string(2 * 2 + recorded);
        const Answered with = answer(how);
        expect_same(with, without);
        EXPECT_EQ(with.launches, (recorded + kGraphs - 1) / kGraphs);
        EXPECT_THAT(with.warnings, HasSubstr("an operation cannot be recorded; the step is run again"));
    }
}

TEST(Graphs, AnOperationThatOnlyFailsWhileItIsRecordedFailsNoAnswer) {
    How how;
    how.batches = {2};
    how.use = "off";
    const Answered without = answer(how);
    how.use = "auto";
    how.driver = "fails 100";  // opening records a few
    const Answered with = answer(how);
    expect_same(with, without);
    EXPECT_LT(with.launches, 7);
    EXPECT_THAT(with.warnings, HasSubstr("an operation failed while it was recorded; the step is run again"));
}

TEST(Graphs, WhatDoesNotWorkIsFoundWhenTheDeviceIsOpened) {
    How how;
    how.use = "off";
    how.new_tokens = 4;
    const Answered without = answer(how);
    EXPECT_THAT(without.warnings, Not(HasSubstr("graphs")));
    for (const char* driver : {"refused", "invalid 0", "invalid 1", "no executables", "stale", "no launches"}) {
        SCOPED_TRACE(driver);
        how.driver = driver;
        how.use = "auto";
        const Answered with = answer(how);
        expect_same(with, without);
        EXPECT_EQ(with.launches, 0);
        EXPECT_THAT(with.warnings, HasSubstr("are not launched as CUDA graphs"));
        how.use = "on";
        EXPECT_THROW(answer(how), Error);
        set_log_sink({});
    }
    how.driver = "";
    EXPECT_EQ(answer(how).launches, 2);
    how.use = "yes";
    EXPECT_THROW(answer(how), Error);
    set_log_sink({});
}

/** A compact cache of merged keys turns all of them anew in every step. */
TEST(Graphs, StepsOverACompactCacheAreRecorded) {
    How how;
    how.set = [](Manifest& manifest) {
        manifest.backbone.options = R"({"unmerge": "compact"})";
        StageManifest dymu;
        dymu.plugin = "org.vlmhost.dymu";
        dymu.options = R"({"tokens": 4})";
        manifest.token_reducers = {dymu};
    };
    const Answered with = answer(how);
    how.use = "off";
    const Answered without = answer(how);
    expect_same(with, without);
    EXPECT_EQ(with.waits, without.waits);
    EXPECT_EQ(with.launches, 7);
    EXPECT_EQ(with.warnings, without.warnings);
}

/** One row through a cache and a sum, as a step or not. */
class Decoding {
  public:
    Decoding(const std::shared_ptr<Device>& device, uint32_t seed)
        : device_(device), decoding_(dynamic_cast<DecodingDevice&>(*device)), run_(*device, nullptr), seed_(seed) {
        vlm_kv_spec spec{sizeof(spec), VLM_ABI_VERSION, 1, 1, kDim, 0, 1024};
        EXPECT_EQ(table()->kv_create(table(), &spec, &cache_), VLM_STATUS_OK);
        sum_ = on_device(floats({1, 1, kDim}, seed));
        out_ = Tensor(table()->activation_dtype, {1, 1, kDim}, device->allocator());
    }
    ~Decoding() { table()->kv_destroy(table(), cache_); }
    Decoding(const Decoding&) = delete;
    Decoding& operator=(const Decoding&) = delete;

    /** Whether it was recorded. `waits`: the host looks at the sum in its middle. */
    bool step(bool as_step, bool waits = false) {
        void* stream = as_step ? decoding_.begin_step(1) : nullptr;
        void* usual = run_.stream();
        if (stream != nullptr) run_.set_stream(stream);
        const Tensor k = on_device(floats({1, 1, kDim}, seed_ + 100 + static_cast<uint32_t>(steps_++)));
        vlm_attention a{};
        a.struct_size = sizeof(a);
        a.abi_version = VLM_ABI_VERSION;
        a.q = sum_.abi();
        a.k = a.v = k.abi();
        a.out = out_.abi();
        a.scale = 0.1f;
        a.mask_rule = VLM_MASK_CAUSAL;
        a.cache = cache_;
        EXPECT_EQ(table()->attention(table(), context(), &a), VLM_STATUS_OK);
        add();
        if (waits) seen_.push_back(sum());
        add();
        run_.set_stream(usual);
        if (as_step) {
            EXPECT_TRUE(decoding_.end_step());
        }
        return stream != nullptr;
    }
    /** What was seen in the middle of steps. */
    const std::vector<std::vector<float>>& seen() const { return seen_; }
    std::vector<float> sum() {
        Tensor host(VLM_DTYPE_F32, {1, 1, kDim});
        EXPECT_EQ(table()->copy(table(), context(), sum_.abi(), host.abi()), VLM_STATUS_OK);
        return {host.span<float>().begin(), host.span<float>().end()};
    }

  private:
    static constexpr int64_t kDim = 64;
    const vlm_compute* table() const { return device_->compute(); }
    const vlm_run_context* context() { return run_.context(VLM_ABI_VERSION); }
    void add() {
        EXPECT_EQ(table()->add(table(), context(), sum_.abi(), out_.abi(), 0.25f, sum_.abi()), VLM_STATUS_OK);
    }
    Tensor on_device(const Tensor& host) {
        Tensor tensor(table()->activation_dtype, host.shape(), device_->allocator());
        EXPECT_EQ(table()->copy(table(), context(), host.abi(), tensor.abi()), VLM_STATUS_OK);
        return tensor;
    }

    std::shared_ptr<Device> device_;
    DecodingDevice& decoding_;
    DeviceRun run_;
    uint32_t seed_;
    int steps_ = 0;
    vlm_kv_cache* cache_ = nullptr;
    Tensor sum_, out_;
    std::vector<std::vector<float>> seen_;
};

TEST(Graphs, StepsOfSeveralThreadsDoNotMeet) {
    constexpr int kThreads = 4, kSteps = 40;
    const auto device = open_target({"graphs", "serial", "bf16"});
    std::vector<std::vector<float>> alone(kThreads), together(kThreads);
    for (uint32_t t = 0; t < kThreads; ++t) {
        Decoding decoding(device, t);
        for (int step = 0; step < kSteps; ++step) decoding.step(false);
        alone[t] = decoding.sum();
    }
    std::atomic<int> recorded{0};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            Decoding decoding(device, t);
            for (int step = 0; step < kSteps; ++step) {
                if (decoding.step(true)) ++recorded;
                if (step % 3 == 2) decoding.sum();  // waits, as the end of a step does
            }
            together[t] = decoding.sum();
        });
    for (std::thread& thread : threads) thread.join();
    for (size_t t = 0; t < kThreads; ++t) EXPECT_EQ(together[t], alone[t]) << "thread " << t;
    EXPECT_GT(recorded, 0);
}

TEST(Graphs, AStepThatHasToWaitInsideIsLaunchedInPieces) {
    const auto device = open_target({"graphs", "late", "bf16"});
    auto& decoding = dynamic_cast<DecodingDevice&>(*device);
    Decoding steps(device, 1), plain(device, 1);
    const int64_t before = decoding.decoding_counters().graph_launches;
    EXPECT_FALSE(steps.step(true)) << "the first is not recorded";
    EXPECT_EQ(steps.sum().size(), 64u);
    EXPECT_TRUE(steps.step(true, true));
    EXPECT_EQ(steps.sum().size(), 64u);
    EXPECT_FALSE(steps.step(true, true)) << "after one such step the next ones are not recorded";
    EXPECT_EQ(decoding.decoding_counters().graph_launches - before, 1);
    for (const bool waits : {false, true, true}) plain.step(false, waits);
    EXPECT_EQ(steps.seen(), plain.seen());
    EXPECT_EQ(steps.sum(), plain.sum());
}

TEST(Graphs, NothingIsRecordedBehindAStepThatNobodyHasWaitedFor) {
    const auto device = open_target({"graphs", "late", "bf16"});
    Decoding steps(device, 1), plain(device, 1);
    EXPECT_FALSE(steps.step(true)) << "the first is not recorded";
    EXPECT_TRUE(steps.step(true));
    EXPECT_FALSE(steps.step(true)) << "its uploads may still be under way";
    for (int i = 0; i < 3; ++i) plain.step(false);
    EXPECT_EQ(steps.sum(), plain.sum());
    EXPECT_TRUE(steps.step(true));
    plain.step(false);
    EXPECT_EQ(steps.sum(), plain.sum());
}

}  // namespace
}  // namespace vlm::test
