/** @file thread_pool.cpp
 *  The whole protocol is one 64-bit word: epoch | open | participants | workers inside. A caller publishes a loop by
 * storing a new epoch with the open flag; a worker enters by a compare-and-swap that counts it in, which succeeds only
 * while the loop is open; the caller closes the loop when no chunk is left and then waits only for workers that are
 * inside. So a worker that is asleep or has lost its core costs nothing, and no worker can touch a loop that has ended.
 *
 *  Sleeping uses futexes directly: std::condition_variable can block in *notify* after a fork (its waiters are gone but
 * counted), and std::atomic::wait has its own spinning on top of ours.
 */
#include "host/base/thread_pool.hpp"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <system_error>
#include <utility>

#include "host/base/cpu_features.hpp"
#include "host/base/error.hpp"

namespace vlm {
namespace {

constexpr int kCountBits = 12;
constexpr uint64_t kInsideMask = (uint64_t{1} << kCountBits) - 1;
constexpr int kParticipantsShift = kCountBits;
constexpr uint64_t kOpen = uint64_t{1} << (2 * kCountBits);
constexpr int kEpochShift = 2 * kCountBits + 1;
static_assert(ThreadPool::kMaxThreads < (1 << kCountBits));

constexpr uint64_t epoch_of(uint64_t state) {
    return state >> kEpochShift;
}
constexpr int participants_of(uint64_t state) {
    return static_cast<int>((state >> kParticipantsShift) & kInsideMask);
}

/** Long enough to bridge the serial code between two operations of a decoding step, short enough not to be seen in
 * `top`. */
constexpr int64_t kSpinNs = 50'000;
constexpr int64_t kNoError = std::numeric_limits<int64_t>::max();

thread_local bool t_in_parallel = false;

/** Marks the calling thread as inside a loop, so that nested loops run inline. */
class RegionMark {
  public:
    RegionMark() noexcept { t_in_parallel = true; }
    ~RegionMark() { t_in_parallel = false; }
    RegionMark(const RegionMark&) = delete;
    RegionMark& operator=(const RegionMark&) = delete;
};

void cpu_relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** Polls `ready` for up to `limit_ns`; true as soon as it is. The clock is read only every few polls, as it costs as
 * much. */
template <class Ready>
bool spin_until(int64_t limit_ns, Ready&& ready) {
    if (ready()) return true;
    if (limit_ns <= 0) return false;
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::nanoseconds(limit_ns);
    do {
        for (int i = 0; i < 16; ++i) {
            cpu_relax();
            if (ready()) return true;
        }
    } while (Clock::now() < deadline);
    return false;
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t expected) noexcept {
    static_assert(sizeof(word) == sizeof(uint32_t));
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futex_wake_all(std::atomic<uint32_t>& word) noexcept {
    word.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, std::numeric_limits<int>::max(), nullptr,
            nullptr, 0);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    start(threads);
}

ThreadPool::~ThreadPool() {
    stop();
}

ThreadPool& ThreadPool::global() {
    // Never destroyed: threads of the application may still be in a loop while static objects are being torn down.
    static ThreadPool* const pool = new ThreadPool();
    return *pool;
}

bool ThreadPool::in_parallel_region() noexcept {
    return t_in_parallel;
}

void ThreadPool::set_threads(int threads) {
    if (t_in_parallel) throw failed_precondition("thread pool: the number of threads cannot change from inside a loop");
    const std::lock_guard lock(turn_);
    if (threads != 0 && threads == threads_.load(std::memory_order_relaxed)) return;
    if (threads >= 0 && threads <= kMaxThreads) stop();
    start(threads);
}

void ThreadPool::start(int threads) {
    if (threads < 0 || threads > kMaxThreads) {
        throw invalid_argument("thread pool: " + std::to_string(threads) + " threads asked for; expected 1 to " +
                               std::to_string(kMaxThreads) + ", or 0 for one per processor");
    }
    const int cpus = available_cpus();
    const int count = threads == 0 ? std::min(cpus, kMaxThreads) : threads;
    // Spinning threads that outnumber the processors would only keep each other from working.
    spin_ns_ = count <= cpus ? kSpinNs : 0;
    owner_pid_ = static_cast<int>(getpid());
    stopping_.store(false, std::memory_order_relaxed);
    shares_ = std::make_unique<Share[]>(static_cast<size_t>(count));
    workers_ = std::make_unique<std::vector<std::thread>>();
    workers_->reserve(static_cast<size_t>(count - 1));
    // Workers inherit a mask that blocks all signals: Ctrl-C belongs to the application's own threads.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const uint64_t seen = epoch_of(state_.load(std::memory_order_relaxed));
    std::string failure;
    try {
        for (int i = 1; i < count; ++i) workers_->emplace_back([this, i, seen] { worker_main(i, seen); });
    } catch (const std::system_error& error) {
        failure = error.what();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!failure.empty()) {
        const size_t running = workers_->size() + 1;
        stop();
        throw resource_exhausted("thread pool: the system refused thread " + std::to_string(running + 1) + " of " +
                                 std::to_string(count) + " (" + failure + "); ask for fewer threads");
    }
    threads_.store(count, std::memory_order_relaxed);
}

void ThreadPool::stop() noexcept {
    threads_.store(1, std::memory_order_relaxed);
    if (owner_pid_ != static_cast<int>(getpid())) {
        // After a fork the workers exist only in the parent: joining would wait for ever, so their handles are left
        // alone.
        [[maybe_unused]] const auto* abandoned = workers_.release();
        sleepers_.store(0, std::memory_order_relaxed);
        return;
    }
    stopping_.store(true, std::memory_order_seq_cst);
    futex_wake_all(wake_word_);
    if (workers_ == nullptr) return;
    for (std::thread& worker : *workers_) worker.join();
    workers_.reset();
}

void ThreadPool::run_alone(int64_t begin, int64_t end, int64_t grain, const void* body, Call call) const {
    // By chunks although one call would do: what a chunk is must not depend on the number of threads.
    while (end - begin > grain) {
        call(body, begin, begin + grain);
        begin += grain;
    }
    call(body, begin, end);
}

void ThreadPool::run(int64_t begin, int64_t end, int64_t grain, const void* body, Call call) {
    if (begin >= end) return;
    grain = std::max<int64_t>(grain, 1);
    const int64_t chunks = 1 + (end - begin - 1) / grain;
    if (chunks == 1 || t_in_parallel || threads() == 1) return run_alone(begin, end, grain, body, call);

    take_turn();
    const std::lock_guard turn(turn_, std::adopt_lock);
    const int participants = static_cast<int>(std::min<int64_t>(threads(), chunks));
    if (participants == 1) return run_alone(begin, end, grain, body, call);  // the number of threads has just changed
    for (int64_t p = 0; p < participants; ++p) {
        const int64_t quotient = chunks / participants;
        const int64_t remainder = chunks % participants;
        const auto first = [&](int64_t share) { return share * quotient + std::min(share, remainder); };
        shares_[static_cast<size_t>(p)].next.store(first(p), std::memory_order_relaxed);
        shares_[static_cast<size_t>(p)].end = first(p + 1);
    }
    job_ = {body, call, begin, end, grain, participants};
    error_chunk_.store(kNoError, std::memory_order_relaxed);

    const uint64_t epoch = epoch_of(state_.load(std::memory_order_relaxed)) + 1;
    state_.store((epoch << kEpochShift) | kOpen | (static_cast<uint64_t>(participants) << kParticipantsShift),
                 std::memory_order_seq_cst);
    // A worker counts itself as sleeping before it looks at the state for the last time, so one side always sees the
    // other.
    if (sleepers_.load(std::memory_order_seq_cst) > 0) futex_wake_all(wake_word_);

    {
        const RegionMark mark;
        run_shares(0);
    }
    state_.fetch_and(~kOpen, std::memory_order_seq_cst);
    wait_for_workers();
    if (error_chunk_.load(std::memory_order_relaxed) != kNoError) {
        std::rethrow_exception(std::exchange(error_, nullptr));
    }
}

void ThreadPool::take_turn() {
    if (spin_until(spin_ns_, [this] { return turn_.try_lock(); })) return;
    turn_.lock();
}

void ThreadPool::run_shares(int self) noexcept {
    const int participants = job_.participants;
    for (int offset = 0; offset < participants; ++offset) {
        Share& share = shares_[static_cast<size_t>((self + offset) % participants)];
        while (share.next.load(std::memory_order_relaxed) < share.end) {
            const int64_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
            if (chunk >= share.end) break;
            run_chunk(chunk);
        }
    }
}

void ThreadPool::run_chunk(int64_t chunk) noexcept {
    // Chunks before the lowest failure still run: only so is the reported exception the same for any number of threads.
    if (chunk > error_chunk_.load(std::memory_order_relaxed)) return;
    const int64_t begin = job_.begin + chunk * job_.grain;
    const int64_t end = job_.end - begin > job_.grain ? begin + job_.grain : job_.end;
    try {
        job_.call(job_.body, begin, end);
    } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (chunk < error_chunk_.load(std::memory_order_relaxed)) {
            error_ = std::current_exception();
            error_chunk_.store(chunk, std::memory_order_relaxed);
        }
    }
}

void ThreadPool::wait_for_workers() noexcept {
    const auto all_out = [this] { return (state_.load(std::memory_order_seq_cst) & kInsideMask) == 0; };
    if (spin_until(spin_ns_, all_out)) return;
    caller_sleeps_.store(true, std::memory_order_seq_cst);
    for (;;) {
        const uint32_t word = done_word_.load(std::memory_order_seq_cst);
        if (all_out()) break;
        futex_wait(done_word_, word);
    }
    caller_sleeps_.store(false, std::memory_order_relaxed);
}

uint64_t ThreadPool::wait_for_job(int index, uint64_t seen) {
    uint64_t state = 0;
    const auto ready = [&] {
        state = state_.load(std::memory_order_seq_cst);
        return ((state & kOpen) != 0 && epoch_of(state) != seen && participants_of(state) > index) ||
               stopping_.load(std::memory_order_seq_cst);
    };
    if (spin_until(spin_ns_, ready)) return state;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    for (;;) {
        const uint32_t word = wake_word_.load(std::memory_order_seq_cst);
        if (ready()) break;
        futex_wait(wake_word_, word);
        if (spin_until(spin_ns_, ready)) break;  // woken for a loop that has ended already: the next one is likely near
    }
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    return state;
}

void ThreadPool::worker_main(int index, uint64_t seen) {
    t_in_parallel = true;
    pthread_setname_np(pthread_self(), ("vlm-pool-" + std::to_string(index)).c_str());
    for (;;) {
        uint64_t state = wait_for_job(index, seen);
        if (stopping_.load(std::memory_order_seq_cst)) return;
        seen = epoch_of(state);
        bool entered = false;
        while (!entered && (state & kOpen) != 0 && epoch_of(state) == seen) {
            entered = state_.compare_exchange_weak(state, state + 1, std::memory_order_seq_cst);
        }
        if (!entered) continue;
        run_shares(index);
        const uint64_t before = state_.fetch_sub(1, std::memory_order_seq_cst);
        const bool last_out = (before & kInsideMask) == 1 && (before & kOpen) == 0;
        if (last_out && caller_sleeps_.load(std::memory_order_seq_cst)) futex_wake_all(done_word_);
    }
}

}  // namespace vlm
