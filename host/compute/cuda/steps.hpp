/** @file steps.hpp
 *  Steps of decoding as CUDA graphs.
 *
 *  A step is hundreds of small kernels, and launching them one by one can take longer than the GPU needs for them. So
 * the operations of a step are recorded from a stream of their own, and what has been recorded is launched at once:
 * with the executable graph of an earlier step of as many rows where the driver can change it, else with a new one.
 * Recording takes time too, and a GPU that waits until all of a step is recorded idles all the while: so a step is
 * several graphs, a short one first, and the GPU works on one while the next is recorded.
 *
 *  What is recorded happens later than what is not, and that decides everything here. Memory: scratch comes from an
 * arena that belongs to steps, and nothing that anybody gives back meanwhile is really given back before the step is
 * over. Uploads: they are copied to pinned memory that stays as it is until the graph has run. What lives longer than a
 * step (pages of keys) is taken and written on the usual stream, which the graph waits for. And whoever has to wait
 * inside a step ends the recording: what there is is launched, and the rest of the step runs as always, on the step's
 * stream.
 *
 *  One step at a time is recorded; others run as always meanwhile. The first step of every number of rows does so too:
 * it loads kernels, and shows how much memory is needed. When the driver refuses anything, graphs are not used again.
 */
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/base/error.hpp"
#include "host/compute/cuda/arena.hpp"
#include "host/compute/cuda/pending_decodes.hpp"
#include "host/compute/cuda/queue.hpp"

namespace vlm::cuda {

class State;

/** The steps of one GPU. What is not said to be for the step's thread alone is thread-safe. */
class Steps {
  public:
    explicit Steps(State& state);
    ~Steps();
    Steps(const Steps&) = delete;
    Steps& operator=(const Steps&) = delete;

    /** From now on graphs are used. */
    void use();
    /** From now on they are not, which a warning says once. */
    void turn_off(const std::string& why_not) noexcept;

    /** Gives back all that steps have taken so far; none is under way. */
    void forget() noexcept;

    /** See DecodingDevice. @throws Error what has failed before the step. */
    void* begin(int64_t rows);
    bool end() noexcept;

    /** Whether what is enqueued in `stream` is recorded now. */
    bool recording(const void* stream) const { return recording_ && stream == stream_; }
    bool is_step_stream(const void* stream) const { return stream == stream_; }
    /** Hears that an operation on `stream` has failed. While it was recorded that says little of the operation, so the
     * step counts as lost. */
    void failed(const void* stream) noexcept {
        if (recording(stream)) failed_ = true;  // only the step's thread has this stream
    }
    /** Ends the recording and launches what there is, for the step's thread: what it enqueues from now on is done as
     * always. @throws Error INTERNAL when what was recorded is lost. */
    void leave();
    /** The same when the calling thread is the step's, for what concerns its caches from outside of any stream; what is
     * lost shows at end(). */
    void leave_mine() noexcept;

    /** Hears that an operation begins on `stream`. When enough of them are recorded they are launched as a graph, and a
     * new one is begun. @throws Error INTERNAL when what was recorded is lost. */
    void advance(const void* stream);
    /** Hears that something was enqueued on the usual stream that the recorded work needs. */
    void ahead() { behind_usual_ = true; }

    /** Scratch for recorded work; NULL when the arena has no room. */
    void* take(int64_t bytes);
    /** Takes memory back when it is the arena's, or when it has to live until the step is over; else false. */
    bool give_back(void* memory) noexcept;
    /** Records an upload; false when it is too large. */
    bool upload(const void* source, void* target, int64_t bytes);
    /** Hears of scratch memory in use, which the first steps measure. */
    void measure(int64_t scratch_bytes);

    /** Steps that have been launched so far, for waited(). */
    uint64_t launched() const { return launched_; }
    /** The host has waited for the usual stream since launched() was `launched`. */
    void waited(uint64_t launched);

    int64_t graph_launches() const { return graph_launches_; }
    int64_t graph_builds() const { return graph_builds_; }

    /** Attention of the step that has not been launched yet. */
    PendingDecodes pending;

  private:
    /** What is kept per number of rows. */
    struct Shape {
        bool known = false;              ///< A step of so many rows has run.
        std::vector<void*> executables;  ///< Of the graphs of a step, in their order.
    };
    /** Whether this step is to be recorded, and everything for it is ready. */
    bool prepare();
    void forget_shapes() noexcept;
    void free_arena() noexcept;
    void release_owner() noexcept;
    /** What waits and cannot be launched makes the step a lost one. */
    void flush_pending() noexcept;
    bool ensure_arena();
    /** Ends the recording and launches; false, with a reason in `lost_`, when what was recorded is lost. */
    bool launch_recorded() noexcept;
    Error lost_step() const;
    /** The executable graph that does what `graph` does, or NULL. */
    void* make_executable(void* graph) noexcept;

    State& state_;
    void* const stream_;
    std::atomic<bool> used_{false};

    // Of the step under way; its thread holds busy_.
    std::mutex busy_;
    std::atomic<std::thread::id> owner_{};
    std::atomic<bool> recording_{false}, measuring_{false};
    bool launched_now_ = false, failed_ = false;
    std::string lost_;
    int64_t rows_ = 0;
    int64_t operations_ = 0, wanted_operations_ = 0;  ///< In the graph being recorded.
    size_t graphs_ = 0;                               ///< Of this step so far.
    bool behind_usual_ = false;                       ///< The next graph has to wait for what the usual stream has now.
    std::map<int64_t, Shape> shapes_;
    int64_t pause_ = 0;  ///< Steps that are not recorded, after one that had to be left.
    char* pinned_ = nullptr;
    int64_t pinned_used_ = 0;

    std::mutex memory_mutex_;
    bool active_ = false;  ///< A step is under way that was recorded, at least at first.
    Arena arena_;
    char* block_ = nullptr;
    std::vector<void*> returned_;  ///< Given back while a step was under way.

    std::atomic<int64_t> scratch_before_{0}, scratch_peak_{0}, arena_wanted_{0};
    std::atomic<uint64_t> launched_{0}, waited_{0};
    std::atomic<int64_t> graph_launches_{0}, graph_builds_{0};
};

}  // namespace vlm::cuda
