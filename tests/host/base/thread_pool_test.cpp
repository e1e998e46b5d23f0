/** @file thread_pool_test.cpp
 *  What kernels rely on: every item once, chunks that do not depend on the number of threads, exceptions that do not
 * either, nested and concurrent callers that neither deadlock nor oversubscribe, and a pool that survives resizing and
 * a fork. Written to be run under ThreadSanitizer too (more threads than processors are used on purpose).
 */
#include "host/base/thread_pool.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/error.hpp"

namespace vlm {
namespace {

using Range = std::pair<int64_t, int64_t>;

std::set<Range> chunks_of(ThreadPool& pool, int64_t begin, int64_t end, int64_t grain) {
    std::mutex mutex;
    std::set<Range> seen;
    pool.parallel_for(begin, end, grain, [&](int64_t b, int64_t e) {
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(seen.emplace(b, e).second) << "chunk called twice: " << b;
    });
    return seen;
}

TEST(ThreadPool, EveryItemOnceForAllShapes) {
    for (const int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        EXPECT_EQ(pool.threads(), threads);
        for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
            for (const int64_t grain : {1, 3, 64, 5000}) {
                std::vector<int> hits(static_cast<size_t>(count), 0);
                pool.parallel_for(-5, count - 5, grain, [&](int64_t b, int64_t e) {
                    ASSERT_LT(b, e);
                    for (int64_t i = b; i < e; ++i) ++hits[static_cast<size_t>(i + 5)];
                });
                EXPECT_EQ(hits, std::vector<int>(static_cast<size_t>(count), 1));
            }
        }
    }
}

TEST(ThreadPool, ChunksDoNotDependOnThreads) {
    ThreadPool one(1);
    ThreadPool many(5);
    for (const int64_t grain : {-4, 0, 1, 7, 100}) {
        EXPECT_EQ(chunks_of(one, 3, 250, grain), chunks_of(many, 3, 250, grain)) << "grain " << grain;
    }
    const std::set<Range> expected = {{0, 4}, {4, 8}, {8, 10}};
    EXPECT_EQ(chunks_of(many, 0, 10, 4), expected);
}

TEST(ThreadPool, RangesAtTheEndOfInt64) {
    ThreadPool pool(3);
    const int64_t top = INT64_MAX;
    const std::set<Range> expected = {{top - 5, top - 2}, {top - 2, top}};
    EXPECT_EQ(chunks_of(pool, top - 5, top, 3), expected);
    const std::set<Range> whole = {{0, top}};
    EXPECT_EQ(chunks_of(pool, 0, top, top), whole);
    const std::set<Range> halves = {{0, top - 1}, {top - 1, top}};
    EXPECT_EQ(chunks_of(pool, 0, top, top - 1), halves);
}

TEST(ThreadPool, EmptyAndReversedRangesDoNothing) {
    ThreadPool pool(2);
    bool called = false;
    pool.parallel_for(5, 5, 1, [&](int64_t, int64_t) { called = true; });
    pool.parallel_for(5, 3, 1, [&](int64_t, int64_t) { called = true; });
    EXPECT_FALSE(called);
}

TEST(ThreadPool, ReallyUsesSeveralThreads) {
    ThreadPool pool(2);
    std::atomic<int> inside{0};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    // Each of the two chunks waits for the other: possible only if two threads run them.
    pool.parallel_for(0, 2, 1, [&](int64_t, int64_t) {
        inside.fetch_add(1);
        while (inside.load() < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    });
    EXPECT_EQ(inside.load(), 2);
    EXPECT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(ThreadPool, WorkOfABusyThreadIsTakenOver) {
    ThreadPool pool(2);
    std::atomic<int> done{0};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    // Chunk 0 ends only when all others are done, so its thread's whole share must be taken by the other one.
    pool.parallel_for(0, 100, 1, [&](int64_t b, int64_t) {
        if (b == 0) {
            while (done.load() < 99 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        }
        done.fetch_add(1);
    });
    EXPECT_EQ(done.load(), 100);
    EXPECT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(ThreadPool, LowestExceptionForAnyNumberOfThreads) {
    for (const int threads : {1, 2, 6}) {
        ThreadPool pool(threads);
        for (int repeat = 0; repeat < 50; ++repeat) {
            std::string message;
            try {
                pool.parallel_for(0, 200, 1, [](int64_t b, int64_t) {
                    if (b % 50 == 37) throw std::runtime_error("chunk " + std::to_string(b));
                });
            } catch (const std::runtime_error& error) {
                message = error.what();
            }
            EXPECT_EQ(message, "chunk 37");
        }
        std::atomic<int64_t> sum{0};
        pool.parallel_for(0, 100, 1, [&](int64_t b, int64_t) { sum += b; });
        EXPECT_EQ(sum.load(), 4950) << "the pool must work after an exception";
    }
}

TEST(ThreadPool, NestedLoopsRunInline) {
    ThreadPool pool(4);
    EXPECT_FALSE(ThreadPool::in_parallel_region());
    std::atomic<int> inner{0};
    pool.parallel_for(0, 16, 1, [&](int64_t, int64_t) {
        EXPECT_TRUE(ThreadPool::in_parallel_region());
        const auto self = std::this_thread::get_id();
        pool.parallel_for(0, 10, 1, [&](int64_t, int64_t) {
            EXPECT_EQ(std::this_thread::get_id(), self);
            ++inner;
        });
    });
    EXPECT_EQ(inner.load(), 160);
    EXPECT_FALSE(ThreadPool::in_parallel_region());
}

TEST(ThreadPool, ConcurrentCallersNeverExceedTheThreads) {
    ThreadPool pool(3);
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    std::atomic<int64_t> total{0};
    std::vector<std::thread> callers;
    for (int c = 0; c < 6; ++c) {
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 200; ++repeat) {
                pool.parallel_for(0, 32, 1, [&](int64_t b, int64_t) {
                    const int now = running.fetch_add(1) + 1;
                    int seen = most.load();
                    while (seen < now && !most.compare_exchange_weak(seen, now)) {
                    }
                    total += b;
                    running.fetch_sub(1);
                });
            }
        });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(total.load(), 6 * 200 * 496);
    EXPECT_LE(most.load(), 3);
}

TEST(ThreadPool, ManyTinyLoopsWithPauses) {
    ThreadPool pool(4);
    // Plain (not atomic) cells: ThreadSanitizer sees any chunk that is not ordered before the caller's return.
    std::vector<int64_t> cells(64, 0);
    for (int repeat = 0; repeat < 5000; ++repeat) {
        if (repeat % 500 == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // lets the workers fall asleep
        pool.parallel_for(0, 64, 4, [&](int64_t b, int64_t e) {
            for (int64_t i = b; i < e; ++i) cells[static_cast<size_t>(i)] += i;
        });
    }
    for (int64_t i = 0; i < 64; ++i) EXPECT_EQ(cells[static_cast<size_t>(i)], 5000 * i);
}

TEST(ThreadPool, ResizesWhileOthersCall) {
    ThreadPool pool(2);
    std::atomic<bool> stop{false};
    std::atomic<int64_t> loops{0};
    std::thread caller([&] {
        while (!stop.load()) {
            std::atomic<int64_t> sum{0};
            pool.parallel_for(0, 50, 1, [&](int64_t b, int64_t) { sum += b; });
            EXPECT_EQ(sum.load(), 1225);
            ++loops;
        }
    });
    for (int repeat = 0; repeat < 30; ++repeat) {
        pool.set_threads(1 + repeat % 4);
        EXPECT_EQ(pool.threads(), 1 + repeat % 4);
    }
    while (loops.load() < 10) std::this_thread::yield();
    stop = true;
    caller.join();
}

TEST(ThreadPool, RefusesAbsurdCounts) {
    EXPECT_THROW(ThreadPool(-1), Error);
    ThreadPool pool(2);
    EXPECT_THROW(pool.set_threads(ThreadPool::kMaxThreads + 1), Error);
    EXPECT_EQ(pool.threads(), 2) << "a refused change leaves the pool as it was";
    pool.parallel_for(0, 2, 1, [&](int64_t, int64_t) { EXPECT_THROW(pool.set_threads(1), Error); });
    pool.set_threads(0);
    EXPECT_GE(pool.threads(), 1);
}

TEST(ThreadPool, WorksInAForkedChild) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer does not follow a fork of a threaded process";
#endif
    ThreadPool pool(3);
    pool.parallel_for(0, 8, 1, [](int64_t, int64_t) {});
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);  // a hang ends as a signal
        std::atomic<int64_t> sum{0};
        pool.parallel_for(0, 100, 1, [&](int64_t b, int64_t) { sum += b; });
        pool.set_threads(2);
        pool.parallel_for(0, 100, 1, [&](int64_t b, int64_t) { sum += b; });
        _exit(sum.load() == 9900 && pool.threads() == 2 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

TEST(ThreadPool, GlobalPoolServesTheFreeFunction) {
    std::atomic<int64_t> sum{0};
    parallel_for(0, 1000, 10, [&](int64_t b, int64_t e) {
        for (int64_t i = b; i < e; ++i) sum += i;
    });
    EXPECT_EQ(sum.load(), 499500);
    EXPECT_GE(ThreadPool::global().threads(), 1);
}

}  // namespace
}  // namespace vlm
