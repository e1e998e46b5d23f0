/** @file emulator.hpp
 *  Executes kernels (host/compute/cuda/launch.hpp) on the CPU. Included by the kernels themselves when a C++ compiler
 * compiles them instead of nvcc.
 *
 *  `serial` runs every block as one thread with one lane: fast, and wrong only where a kernel's arithmetic is.
 * Kernels that need warps run as fibers here too. `forward` and `backward` run all threads of a block as fibers, one
 * after another from barrier to barrier, in rising and in falling order: a missing barrier then gives a different
 * result in one of the two, and one that some threads do not reach is reported. `late` is `serial`, but nothing that
 * is enqueued happens before the host waits: whoever reads a result too early, or changes what has been enqueued, gets
 * something else. What none of them shows is the GPU itself: its arithmetic units, memory order between blocks, speed.
 */
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/compute/cuda/element.hpp"
#include "host/compute/cuda/queue.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

enum class EmulationOrder { serial, forward, backward, late };

/** A GPU whose tensor cores exchange two columns: what a wrong idea of register layouts looks like. */
inline bool broken_tensor_cores = false;

/** Name of the kernels that this GPU does not execute; empty: it executes all. */
inline std::string broken_kernel;

/** How kernels of this runtime are executed. */
EmulationOrder emulation_order(const Runtime& runtime);
/** Does `work` now, or, in the order `late`, when the host waits for the stream; or records it where the stream
 * records.
 *  @param kind  What a graph's nodes are told apart by. */
void enqueue(const Queue& queue, const char* kind, std::function<void()> work);

/** One thread that is the whole block. */
class SerialBlock {
  public:
    static constexpr int kLanes = 1;
    SerialBlock(int64_t index, void* shared_memory) : index_(index), shared_(shared_memory) {}
    int64_t index() const { return index_; }
    int thread() const { return 0; }
    int threads() const { return 1; }
    int lane() const { return 0; }
    int warp() const { return 0; }
    int warps() const { return 1; }
    void sync() {}
    float sum(float x) { return x; }
    float max(float x) { return x; }
    float warp_sum(float x) { return x; }
    template <class T>
    T* shared() {
        return static_cast<T*>(shared_);
    }

  private:
    int64_t index_;
    void* shared_;
};

/** Fibers that take turns. They are made once and run every block of a launch; changing between them is a jump, since
 * the usual swapcontext asks the system twice. */
class Fibers {
  public:
    explicit Fibers(int count);
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;
    /** Runs `body(i)` for every fiber. @throws std::logic_error when all wait for something that cannot happen. */
    void run(const std::function<void(int)>& body, bool backward);
    /** Lets the others go on; called by the running fiber. */
    void yield();
    /** Tells the scheduler that somebody can go on. */
    void progress() { ++events_; }

  private:
    static constexpr size_t kStackBytes = 256 * 1024;
    struct Fiber {
        ucontext_t context{};
        jmp_buf place{};
        std::unique_ptr<char[]> stack;
        bool started = false, done = true;
    };
    static void enter(unsigned high, unsigned low);
    void resume(Fiber& fiber);

    std::vector<Fiber> fibers_;
    jmp_buf scheduler_{};
    const std::function<void(int)>* body_ = nullptr;
    int current_ = 0;
    uint64_t events_ = 0;
};

/** Where a number of fibers wait for each other. */
struct Barrier {
    int members = 0, arrived = 0;
    uint64_t generation = 0;

    void wait(Fibers& fibers) {
        const uint64_t mine = generation;
        if (++arrived == members) {
            arrived = 0;
            ++generation;
            fibers.progress();
            return;
        }
        while (generation == mine) fibers.yield();
    }
};

/** What a lane shows the others of its warp. */
struct Post {
    uint32_t words[6] = {};
    const void* place = nullptr;
};

/** What the threads of one block share. */
struct FiberTeam {
    FiberTeam(int threads, int64_t shared_bytes)
        : fibers(threads),
          slots(static_cast<size_t>(threads)),
          posts(static_cast<size_t>(threads)),
          warps(static_cast<size_t>(threads / 32)),
          shared(static_cast<size_t>(shared_bytes) + 16) {
        block.members = threads;
        for (Barrier& warp : warps) warp.members = 32;
    }
    Fibers fibers;
    Barrier block;
    std::vector<float> slots;
    std::vector<Post> posts;
    std::vector<Barrier> warps;
    std::vector<char> shared;
};

/** One thread of a block of fibers. */
class FiberBlock {
  public:
    static constexpr int kLanes = 32;
    FiberBlock(FiberTeam& team, int64_t index, int thread) : team_(team), index_(index), thread_(thread) {}
    int64_t index() const { return index_; }
    int thread() const { return thread_; }
    int threads() const { return team_.block.members; }
    int lane() const { return thread_ % 32; }
    int warp() const { return thread_ / 32; }
    int warps() const { return threads() / 32; }
    void sync() { team_.block.wait(team_.fibers); }
    float sum(float x) {
        return collect(x, team_.block, 0, threads(), [](float a, float b) { return a + b; });
    }
    float max(float x) {
        return collect(x, team_.block, 0, threads(), [](float a, float b) { return fmaxf(a, b); });
    }
    float warp_sum(float x) {
        return collect(x, team_.warps[static_cast<size_t>(warp())], warp() * 32, 32,
                       [](float a, float b) { return a + b; });
    }
    template <int kLanesOfGroup>
    float group_sum(float x) {
        return collect(x, my_warp(), thread_ / kLanesOfGroup * kLanesOfGroup, kLanesOfGroup,
                       [](float a, float b) { return a + b; });
    }
    template <int kLanesOfGroup>
    float group_max(float x) {
        return collect(x, my_warp(), thread_ / kLanesOfGroup * kLanesOfGroup, kLanesOfGroup,
                       [](float a, float b) { return fmaxf(a, b); });
    }
    void multiply(float* c, const uint32_t* a, const uint32_t* b) {
        Post& mine = team_.posts[static_cast<size_t>(thread_)];
        std::copy_n(a, 4, mine.words);
        std::copy_n(b, 2, mine.words + 4);
        my_warp().wait(team_.fibers);
        for (int e = 0; e < 4; ++e) {
            const int row = lane() / 4 + e / 2 * 8;
            const int column = lane() % 4 * 2 + (broken_tensor_cores ? 1 - e % 2 : e % 2);
            for (int k = 0; k < 16; ++k)
                c[e] += posted(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k % 2) *
                        posted(column * 4 + k % 8 / 2, 4 + k / 8, k % 2);
        }
        my_warp().wait(team_.fibers);
    }
    template <bool kTransposed>
    void load_matrices(uint32_t* r, const void* row) {
        expect_aligned(row);
        team_.posts[static_cast<size_t>(thread_)].place = row;
        my_warp().wait(team_.fibers);
        for (int m = 0; m < 4; ++m) {
            uint16_t pair[2];
            for (int i = 0; i < 2; ++i) {
                const int along = lane() % 4 * 2 + i, across = lane() / 4;
                const int line = kTransposed ? along : across, column = kTransposed ? across : along;
                const Post& post = team_.posts[static_cast<size_t>(warp() * 32 + m * 8 + line)];
                pair[i] = static_cast<const uint16_t*>(post.place)[column];
            }
            r[m] = static_cast<uint32_t>(pair[0]) | static_cast<uint32_t>(pair[1]) << 16;
        }
        my_warp().wait(team_.fibers);
    }
    void copy_async(void* to, const void* from, bool present) {
        expect_aligned(to);
        expect_aligned(from);
        std::memset(to, 0xFF, 16);  // until it is waited for
        copies_.push_back({to, present ? from : nullptr});
    }
    void commit_copies() { groups_.push_back(std::exchange(copies_, {})); }
    /** Copies are done at the last moment, as a GPU may do them. */
    template <int kLeft>
    void wait_copies() {
        for (; groups_.size() > size_t{kLeft}; groups_.pop_front())
            for (const auto& [to, from] : groups_.front()) {
                if (from != nullptr) std::memcpy(to, from, 16);
                if (from == nullptr) std::memset(to, 0, 16);
            }
    }
    template <class T>
    T* shared() {
        void* memory = team_.shared.data();
        size_t space = team_.shared.size();
        return static_cast<T*>(std::align(16, 1, memory, space));
    }

  private:
    Barrier& my_warp() { return team_.warps[static_cast<size_t>(warp())]; }
    /** Half `half` of word `word` of a lane of this warp, a bf16. */
    float posted(int lane, int word, int half) const {
        const uint32_t bits = team_.posts[static_cast<size_t>(warp() * 32 + lane)].words[word];
        return float_from_bits(half == 0 ? bits << 16 : bits & 0xFFFF0000u);
    }
    template <class Join>
    float collect(float x, Barrier& barrier, int first, int count, Join join) {
        team_.slots[static_cast<size_t>(thread_)] = x;
        barrier.wait(team_.fibers);
        float result = team_.slots[static_cast<size_t>(first)];
        for (int i = 1; i < count; ++i) result = join(result, team_.slots[static_cast<size_t>(first + i)]);
        barrier.wait(team_.fibers);
        return result;
    }

    using Copies = std::vector<std::pair<void*, const void*>>;
    FiberTeam& team_;
    int64_t index_;
    int thread_;
    Copies copies_;
    std::deque<Copies> groups_;
};

/** Two warps are enough to see what threads do to each other. */
inline constexpr int kMostFibers = 64;

/** Every block as one thread. */
template <class Body>
void run_serially(const Grid& grid, const Body& body) {
    std::vector<uint64_t> shared(static_cast<size_t>(grid.shared_bytes / 8 + 1), 0xFFFFFFFFFFFFFFFFu);
    for (int64_t i = 0; i < grid.blocks; ++i) {
        SerialBlock block(i, shared.data());
        body(block);
    }
}

/** Every block as `threads` fibers. */
template <class Body>
void run_fibers(const Grid& grid, const Body& body, int threads, bool backward) {
    FiberTeam team(threads, grid.shared_bytes);
    for (int64_t i = 0; i < grid.blocks; ++i) {
        std::fill(team.shared.begin(), team.shared.end(), '\xFF');
        team.fibers.run(
            [&](int thread) {
                FiberBlock block(team, i, thread);
                body(block);
            },
            backward);
    }
}

/** Every block, on this processor. */
template <class Body>
void run_blocks(EmulationOrder order, const Grid& grid, const Body& body) {
    constexpr bool independent = requires {
        typename Body::Independent;
    };
    constexpr bool warps = requires {
        typename Body::NeedsWarps;
    };
    if constexpr (!warps) {
        if (order == EmulationOrder::serial || order == EmulationOrder::late || independent) {
            run_serially(grid, body);
            return;
        }
    }
    if constexpr (!independent)
        run_fibers(grid, body, warps ? Body::kThreads : std::min(Body::kThreads, kMostFibers),
                   order == EmulationOrder::backward);
}

/** Executes `body` for every block. @throws std::logic_error for a launch that a GPU would refuse. */
template <class Body>
void launch(const Queue& queue, const char* name, const Grid& grid, const Body& body) {
    static_assert(Body::kThreads % 32 == 0 && Body::kThreads <= 1024, "whole warps, as many as a block may have");
    static_assert(sizeof(Body) <= 4096, "arguments of a launch");
    if (grid.blocks > kMaxBlocks || grid.shared_bytes > kMaxAskedBytes)
        throw std::logic_error(std::string(name) + ": the grid is larger than a GPU takes");
    if (grid.blocks <= 0 || broken_kernel == name) return;
    const EmulationOrder order = emulation_order(queue.runtime);
    enqueue(queue, name, [order, grid, body] { run_blocks(order, grid, body); });
}

}  // namespace vlm::cuda
