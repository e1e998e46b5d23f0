/** @file steps.cpp
 *  See steps.hpp.
 */
#include "host/compute/cuda/steps.hpp"

#include <algorithm>
#include <cstring>

#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

namespace {

/** For ids, positions and lists of calls of one step; masks of long contexts are larger. */
constexpr int64_t kPinnedBytes = int64_t{4} << 20;
/** Places in the arena lie otherwise than those of the pool, so that gaps between them are lost. */
constexpr int64_t kSlack = 2, kLeastArena = int64_t{1} << 20;
/** Steps that run as always after one that had to be left: such a model or option has to wait inside its steps. */
constexpr int64_t kPause = 63;
/** Operations of the first graph of a step, and of its longest; those between double. A layer has about seven. */
constexpr int64_t kFirstOperations = 6, kMostOperations = 48;
/** Numbers of rows that are remembered. */
constexpr size_t kMostShapes = 32;

}  // namespace

Steps::Steps(State& state) : state_(state), stream_(state.runtime().step_stream()) {}

Steps::~Steps() {
    forget();
}

void Steps::forget() noexcept {
    forget_shapes();
    if (!arena_.idle()) return;  // the pool takes it with everything else
    free_arena();
    arena_wanted_ = 0;
}

void Steps::free_arena() noexcept {
    if (block_ != nullptr) state_.runtime().release(block_, state_.runtime().stream());
    state_.hold_scratch(-arena_.bytes());
    block_ = nullptr;
    arena_ = Arena();
}

void Steps::forget_shapes() noexcept {
    for (auto& [rows, shape] : shapes_)
        for (void* executable : shape.executables) state_.runtime().free_executable(executable);
    shapes_.clear();
}

void Steps::use() {
    if (pinned_ == nullptr) pinned_ = static_cast<char*>(state_.runtime().pinned(kPinnedBytes));
    used_ = true;
}

void Steps::turn_off(const std::string& why_not) noexcept {
    if (!used_.exchange(false)) return;
    try {
        const std::string text = "steps of decoding are not launched as CUDA graphs from now on: " + why_not +
                                 "; operations are launched one by one, which is slower";
        state_.log(VLM_LOG_WARNING, text.c_str());
    } catch (...) {
        return;  // Without memory for the message nothing is said.
    }
}

void* Steps::begin(int64_t rows) {
    if (!used_ || owner_.load() == std::this_thread::get_id() || !busy_.try_lock()) return nullptr;
    owner_ = std::this_thread::get_id();
    rows_ = rows;
    lost_.clear();
    launched_now_ = failed_ = false;
    try {
        if (!prepare()) return nullptr;
    } catch (...) {
        release_owner();
        throw;
    }
    {
        const std::scoped_lock lock(memory_mutex_);
        active_ = true;
    }
    recording_ = true;
    return stream_;
}

void Steps::release_owner() noexcept {
    measuring_ = false;
    owner_ = std::thread::id();
    busy_.unlock();
}

bool Steps::prepare() {
    // Pinned memory and executables may still be in use by a step that nobody has waited for.
    if (waited_ < launched_) return false;
    if (shapes_.size() > kMostShapes) forget_shapes();
    if (!shapes_[rows_].known) {
        scratch_before_ = scratch_peak_ = state_.bytes(Purpose::scratch);
        measuring_ = true;
        return false;
    }
    if (pause_ > 0) {
        --pause_;
        return false;
    }
    if (!ensure_arena()) return false;
    pinned_used_ = operations_ = 0;
    graphs_ = 0;
    wanted_operations_ = kFirstOperations;
    behind_usual_ = true;
    state_.runtime().bind();
    state_.pending.flush(state_);
    if (state_.runtime().begin_capture(stream_)) return true;
    turn_off("the driver does not record them");
    return false;
}

bool Steps::ensure_arena() {
    const std::scoped_lock lock(memory_mutex_);
    const int64_t wanted = std::max(kLeastArena, kSlack * arena_wanted_);
    if (arena_.bytes() >= wanted) return true;
    if (!arena_.idle()) return arena_.bytes() > 0;  // a tensor that a run has left there until it ends
    Runtime& runtime = state_.runtime();
    void* block = runtime.allocate(wanted, runtime.stream());
    if (block == nullptr) return false;
    free_arena();
    block_ = static_cast<char*>(block);
    arena_ = Arena(wanted);
    state_.hold_scratch(wanted);
    return true;
}

void Steps::leave() {
    if (!recording_) return;
    pause_ = kPause;
    if (!launch_recorded()) throw lost_step();
}

void Steps::leave_mine() noexcept {
    if (owner_.load() != std::this_thread::get_id() || !recording_) return;
    pause_ = kPause;
    flush_pending();
    if (recording_) launch_recorded();
}

void Steps::flush_pending() noexcept {
    try {
        pending.flush(state_);
    } catch (const std::exception& error) {
        lost_ = error.what();
    }
}

void Steps::advance(const void* stream) {
    if (!recording(stream) || ++operations_ <= wanted_operations_) return;
    if (!launch_recorded()) throw lost_step();
    operations_ = 1;
    wanted_operations_ = std::min(2 * wanted_operations_, kMostOperations);
    // Where no other recording begins the rest is done as always.
    recording_ = state_.runtime().begin_capture(stream_);
}

Error Steps::lost_step() const {
    return Error(VLM_STATUS_INTERNAL, "the step cannot be launched as a CUDA graph: " + lost_);
}

void* Steps::make_executable(void* graph) noexcept {
    Runtime& runtime = state_.runtime();
    std::vector<void*>& executables = shapes_[rows_].executables;
    const bool again = graphs_ < executables.size();
    if (again && runtime.update(executables[graphs_], graph)) return executables[graphs_];
    void* fresh = runtime.instantiate(graph);
    if (fresh == nullptr) return nullptr;
    ++graph_builds_;
    if (again) {
        runtime.free_executable(executables[graphs_]);
        executables[graphs_] = fresh;
        return fresh;
    }
    try {
        executables.push_back(fresh);
        return fresh;
    } catch (...) {
        runtime.free_executable(fresh);
        return nullptr;
    }
}

bool Steps::launch_recorded() noexcept {
    recording_ = false;
    Runtime& runtime = state_.runtime();
    void* graph = runtime.end_capture(stream_);
    const char* reason = nullptr;
    void* executable = nullptr;
    if (failed_) {
        reason = "an operation failed while it was recorded";
    } else if (graph == nullptr) {
        reason = "an operation cannot be recorded";
    } else if ((executable = make_executable(graph)) == nullptr) {
        reason = "the driver makes no executable graph of what was recorded";
    } else if ((behind_usual_ && !runtime.order(runtime.stream(), stream_)) || !runtime.launch(executable, stream_)) {
        reason = "the driver does not launch the graph";
    }
    if (graph != nullptr) runtime.free_graph(graph);
    if (reason != nullptr) {
        lost_ = reason;
        return false;
    }
    behind_usual_ = false;
    ++graphs_;
    if (!launched_now_) ++graph_launches_;
    launched_now_ = true;
    return true;
}

bool Steps::end() noexcept {
    if (owner_.load() != std::this_thread::get_id()) return true;
    Runtime& runtime = state_.runtime();
    if (measuring_.exchange(false)) {
        arena_wanted_ = std::max(arena_wanted_.load(), scratch_peak_ - scratch_before_);
        shapes_[rows_].known = true;
    }
    bool under_way = false;
    {
        const std::scoped_lock lock(memory_mutex_);
        under_way = active_;
    }
    if (under_way) {
        flush_pending();
        if (recording_) launch_recorded();
        // Also behind a step that is lost or has failed: something may have been enqueued after the recording.
        if (!runtime.order(stream_, runtime.stream())) lost_ = "the driver does not order its streams";
        if (launched_now_) ++launched_;
        const std::scoped_lock lock(memory_mutex_);
        active_ = false;
        for (void* memory : returned_) runtime.release(memory, runtime.stream());
        returned_.clear();
    }
    const bool kept = lost_.empty();
    if (!kept) turn_off(lost_ + "; the step is run again");
    release_owner();
    return kept;
}

void* Steps::take(int64_t bytes) {
    const std::scoped_lock lock(memory_mutex_);
    const auto offset = arena_.take(bytes);
    if (offset) return block_ + *offset;
    // The next steps will have it.
    arena_wanted_ = std::max(arena_wanted_.load(), arena_.bytes() + bytes);
    return nullptr;
}

bool Steps::give_back(void* memory) noexcept {
    const std::scoped_lock lock(memory_mutex_);
    const char* place = static_cast<const char*>(memory);
    if (block_ != nullptr && place >= block_ && place < block_ + arena_.bytes())
        return arena_.give_back(place - block_);
    if (!active_) return false;
    try {
        returned_.push_back(memory);
        return true;
    } catch (...) {
        // No memory to remember it by: it stays taken until the device is closed, which is better than too early.
        return true;
    }
}

bool Steps::upload(const void* source, void* target, int64_t bytes) {
    constexpr int64_t kAlignment = 256;
    if (bytes > kPinnedBytes - pinned_used_) return false;
    char* place = pinned_ + pinned_used_;
    std::memcpy(place, source, static_cast<size_t>(bytes));
    pinned_used_ = std::min(kPinnedBytes, (pinned_used_ + bytes + kAlignment - 1) / kAlignment * kAlignment);
    state_.runtime().upload_pinned(place, target, bytes, stream_);
    return true;
}

void Steps::measure(int64_t scratch_bytes) {
    if (!measuring_) return;
    int64_t peak = scratch_peak_.load();
    while (scratch_bytes > peak && !scratch_peak_.compare_exchange_weak(peak, scratch_bytes)) continue;
}

void Steps::waited(uint64_t launched) {
    uint64_t before = waited_.load();
    while (launched > before && !waited_.compare_exchange_weak(before, launched)) continue;
}

}  // namespace vlm::cuda
