/** @file isolated_hooks_test.cpp
 *  An isolated encoder that asks the token reducers in its layers: they see what it shows, copied once into shared
 * memory, and what they answer comes back.
 */
#include <vlm/hooks.h>

#include <vector>

#include "host/compute/device.hpp"
#include "host/pipeline/plugin_table.hpp"
#include "host/pipeline/stages.hpp"
#include "tests/host/isolate/isolate_fixture.hpp"

namespace vlm::isolate {
namespace {

constexpr int64_t kSide = 32;  // pixels: 4 x 4 patches
constexpr int64_t kTokens = 16;
constexpr int64_t kHidden = 1024;
constexpr int64_t kKeys = 64;
constexpr int32_t kLayers = 16;

/** Keys in every layer, features too in every second one, scores in every third, nothing in layer 5. */
uint32_t needed(int32_t layer) {
    if (layer == 5) return 0;
    return VLM_NEED_KEYS | (layer % 2 == 1 ? VLM_NEED_HIDDEN : 0) | (layer % 3 == 0 ? VLM_NEED_SCORES : 0);
}

/** Reducers that write down what they see, and fail in one layer if they are told to. */
class Recorder {
  public:
    explicit Recorder(const SharedArena& arena) : arena_(arena) {
        abi.host = this;
        abi.needs = [](void*, uint32_t, int32_t layer, int32_t) { return needed(layer); };
        abi.reduce = [](void* host, const vlm_run_context* run, const vlm_token_view* view,
                        const vlm_token_map** map) -> vlm_status {
            return static_cast<Recorder*>(host)->reduce(*run, *view, map);
        };
    }
    vlm_hooks abi = abi_struct<vlm_hooks>();
    std::vector<int32_t> layers;
    int32_t fails_at = -1;
    uint64_t shown_bytes = 0;

  private:
    vlm_status reduce(const vlm_run_context& run, const vlm_token_view& view, const vlm_token_map** map) {
        *map = nullptr;
        layers.push_back(view.layer);
        EXPECT_EQ(view.tokens, kTokens);
        EXPECT_EQ(view.protected_tokens, 1);
        const uint32_t needs = needed(view.layer);
        look(view.layer, view.hidden, (needs & VLM_NEED_HIDDEN) != 0, {kTokens, kHidden});
        look(view.layer, view.keys, (needs & VLM_NEED_KEYS) != 0, {kTokens, kKeys});
        look(view.layer, view.scores, (needs & VLM_NEED_SCORES) != 0, {kTokens});
        if (view.layer != fails_at) return VLM_STATUS_OK;
        run.error(run.host, VLM_STATUS_OUT_OF_RANGE, "too many tokens for my taste");
        return VLM_STATUS_OUT_OF_RANGE;
    }
    void look(int32_t layer, const vlm_tensor* tensor, bool asked, const std::vector<int64_t>& shape) {
        ASSERT_EQ(tensor != nullptr, asked) << "layer " << layer;
        if (tensor == nullptr) return;
        const auto& view = tensor->view;
        ASSERT_EQ(std::vector<int64_t>(view.shape, view.shape + view.ndim), shape);
        const auto* const data = reinterpret_cast<const float*>(static_cast<const char*>(view.data) + view.byte_offset);
        EXPECT_EQ(data[0], static_cast<float>(layer + 1));
        const auto bytes = static_cast<uint64_t>(element_count(shape)) * sizeof(float);
        // What reducers index by must not change under their hands, so that is copied once more.
        EXPECT_EQ(arena_.place_of(data, bytes).has_value(), shape.size() == 2);
        shown_bytes += shape.size() == 2 ? bytes : 2 * bytes;
    }
    const SharedArena& arena_;
};

class IsolatedHooks : public Isolate {
  protected:
    void encode(Recorder& recorder) {
        const Listeners quiet;
        vlm::Run run(device_->compute(), &quiet, &recorder.abi);
        const auto plan = encoder_.plan(kSide, kSide);
        const Tensor pixels(VLM_DTYPE_F32, {1, 3, kSide, kSide}, arena_->allocator());
        encoder_.encode(run, {&pixels, 1}, {&plan, 1}, arena_->allocator());
    }
    std::shared_ptr<SharedArena> arena_ = SharedArena::create();
    std::shared_ptr<Device> device_ = open_device("cpu", {"f32", "f32", 1});
    VisionEncoder encoder_{torture("asking_encoder", arena_), {}};
};

TEST_F(IsolatedHooks, ReducersSeeWhatIsShownAndItIsCopiedOnce) {
    Recorder nobody(*arena_);
    nobody.abi.needs = [](void*, uint32_t, int32_t, int32_t) { return uint32_t{0}; };
    arena_->counters().copied_bytes = 0;
    encode(nobody);
    const uint64_t without = arena_->counters().copied_bytes;
    for (int turn = 0; turn < 2; ++turn) {  // the second finds the room of the first
        Recorder recorder(*arena_);
        arena_->counters().copied_bytes = 0;
        encode(recorder);
        EXPECT_EQ(recorder.layers, (std::vector<int32_t>{0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
        EXPECT_EQ(arena_->counters().copied_bytes, without + recorder.shown_bytes);
    }
}

TEST_F(IsolatedHooks, AReducerThatFailsEndsTheCallWithItsOwnWords) {
    Recorder recorder(*arena_);
    recorder.fails_at = 2;
    try {
        encode(recorder);
        ADD_FAILURE() << "nobody noticed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_OUT_OF_RANGE);
        EXPECT_THAT(error.what(), testing::HasSubstr("too many tokens for my taste"));
    }
    EXPECT_EQ(recorder.layers.size(), 3u);
    Recorder again(*arena_);
    encode(again);
    EXPECT_EQ(again.layers.size(), static_cast<size_t>(kLayers - 1));
}

}  // namespace
}  // namespace vlm::isolate
