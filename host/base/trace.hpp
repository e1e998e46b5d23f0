/** @file trace.hpp
 *  Where the time of a run went: named spans, added up for results and written as a Chrome trace (chrome://tracing,
 * Perfetto).
 */
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace vlm {

/** Collects spans; thread-safe. */
class Trace {
  public:
    using Clock = std::chrono::steady_clock;

    /** A span that ends when it goes out of scope. */
    class Scope {
      public:
        Scope(Trace& trace, std::string name) : trace_(&trace), name_(std::move(name)), begin_(Clock::now()) {}
        ~Scope() { trace_->add(name_, begin_, Clock::now()); }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

      private:
        Trace* trace_;
        std::string name_;
        Clock::time_point begin_;
    };

    void add(const std::string& name, Clock::time_point begin, Clock::time_point end);
    /** Attaches a counter to the timeline ("tokens.merged"). */
    void count(const std::string& name, double value);
    /** Adds the events of another trace, at their own times. */
    void append(const Trace& other);
    /** Milliseconds per span name. */
    std::map<std::string, double> totals_ms() const;
    /** Writes the Chrome trace event format. Throws INVALID_ARGUMENT when the file cannot be written. */
    void write_chrome(const std::filesystem::path& path) const;

  private:
    struct Event {
        std::string name;
        double begin_us;
        double duration_us;  ///< Negative: a counter with this event's `value`.
        double value;
    };
    mutable std::mutex mutex_;
    Clock::time_point origin_ = Clock::now();
    std::vector<Event> events_;
};

}  // namespace vlm
