/** @file thread_pool.hpp
 *  One persistent pool of threads for the whole process. Decoding one token is several hundred operations of some
 *  microseconds each, so the cost of starting and ending a parallel loop is what decides: workers spin for a short
 * while before they sleep, and starting a loop takes one store when they are awake.
 *
 *  Two properties are promised to the kernels:
 *  - *Determinism.* A range is cut into chunks of `grain` items whatever the number of threads, and the body is called
 * once per chunk. As long as chunks do not read what other chunks write, results do not depend on how many threads run.
 *  - *No waiting for a thread that has not begun.* Every participant begins with its own contiguous share of the chunks
 * (so that the same weights stay in the same core's cache) and then takes chunks from the others' shares. If the system
 * takes a core away, the rest of its share is done elsewhere, and the caller returns without the worker that never
 * came.
 */
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace vlm {

/** Fixed set of worker threads that run parallel loops. The caller of a loop always takes part in it. */
class ThreadPool {
  public:
    /** Upper limit for the number of threads. */
    static constexpr int kMaxThreads = 1024;

    /** A pool of `threads` (caller included); 0 means available_cpus().
     *  @throws Error INVALID_ARGUMENT outside 0..kMaxThreads, RESOURCE_EXHAUSTED when the system refuses a thread. */
    explicit ThreadPool(int threads = 0);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /** The pool of the process, which all kernels use; lives until the process ends. */
    static ThreadPool& global();

    /** Changes the number of threads (caller included; 0 means available_cpus()), after loops that are running have
     * ended.
     *  @throws Error as the constructor; FAILED_PRECONDITION when called from inside a loop. */
    void set_threads(int threads);

    /** Threads that a loop may use, caller included; at least 1. */
    int threads() const noexcept { return threads_.load(std::memory_order_relaxed); }

    /** Calls `fn(int64_t chunk_begin, int64_t chunk_end)` for every chunk of [begin, end), each `grain` items long (the
     * last may be shorter; a grain below 1 counts as 1; end - begin must fit int64_t), on up to threads() threads, and
     * returns when all are done.
     *
     *  Runs on the calling thread alone when there is only one chunk, or when called from inside a loop (nested).
     *  Several threads of the application may call at once: they take turns, so that no more than threads() run. The
     * body must therefore not wait for another thread that itself starts a loop.
     *  @throws what the body threw; of several exceptions the one of the lowest chunk, whatever the number of threads.
     * When the body throws, chunks after that one may or may not have run. */
    template <class Fn>
    void parallel_for(int64_t begin, int64_t end, int64_t grain, Fn&& fn) {
        using Body = std::remove_reference_t<Fn>;
        const auto call = [](const void* body, int64_t b, int64_t e) {
            (*const_cast<Body*>(static_cast<const Body*>(body)))(b, e);
        };
        run(begin, end, grain, std::addressof(fn), call);
    }

    /** True inside the body of a loop of any pool that runs on several threads. */
    static bool in_parallel_region() noexcept;

  private:
    using Call = void (*)(const void* body, int64_t begin, int64_t end);

    /** One participant's share of the chunks; on a cache line of its own. */
    struct alignas(64) Share {
        std::atomic<int64_t> next{0};
        int64_t end = 0;
    };

    /** The loop that is running. Written by the caller that has the turn while no worker is inside. */
    struct Job {
        const void* body = nullptr;
        Call call = nullptr;
        int64_t begin = 0, end = 0, grain = 1;
        int participants = 0;
    };

    void run(int64_t begin, int64_t end, int64_t grain, const void* body, Call call);
    void run_alone(int64_t begin, int64_t end, int64_t grain, const void* body, Call call) const;
    void run_shares(int self) noexcept;
    void run_chunk(int64_t chunk) noexcept;
    void take_turn();
    void wait_for_workers() noexcept;
    void worker_main(int index, uint64_t seen);
    uint64_t wait_for_job(int index, uint64_t seen);
    void start(int threads);
    void stop() noexcept;

    std::mutex turn_;  ///< Held by the caller whose loop runs.
    Job job_;
    std::unique_ptr<Share[]> shares_;
    std::unique_ptr<std::vector<std::thread>> workers_;  ///< By pointer, so that a forked child can let go of them.
    std::atomic<int> threads_{1};
    std::atomic<int64_t> spin_ns_{0};
    int owner_pid_ = 0;

    std::mutex error_mutex_;
    std::exception_ptr error_;
    std::atomic<int64_t> error_chunk_{0};  ///< Lowest chunk that threw; later chunks are skipped.

    alignas(64) std::atomic<uint64_t> state_{
        0};  ///< Epoch, open flag, participants, workers inside: see thread_pool.cpp.
    alignas(64) std::atomic<uint32_t> wake_word_{0};  ///< Futex on which idle workers sleep.
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
    alignas(64) std::atomic<uint32_t> done_word_{
        0};  ///< Futex on which the caller sleeps until the last worker has left.
    std::atomic<bool> caller_sleeps_{false};
};

/** ThreadPool::global().parallel_for: what kernels call. */
template <class Fn>
void parallel_for(int64_t begin, int64_t end, int64_t grain, Fn&& fn) {
    ThreadPool::global().parallel_for(begin, end, grain, std::forward<Fn>(fn));
}

}  // namespace vlm
