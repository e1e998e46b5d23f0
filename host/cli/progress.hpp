/** @file progress.hpp
 *  A progress bar for people: only on a terminal, on standard error, gone when the work is done.
 */
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace vlm::cli {

/** What a bar says: "loading [####    ]  50 %  1.4/2.8 GB, 640.0 MB/s, 2 s left".
 *  @param unit     What is counted, as for ProgressBar.
 *  @param total    More than 0.
 *  @param seconds  Since the begin; without time and work no rate is told. */
std::string progress_text(const std::string& label, const std::string& unit, uint64_t done, uint64_t total,
                          double seconds);

/** One bar with rate and time left. */
class ProgressBar {
  public:
    /** The unit of bytes, told in MB or GB. */
    static constexpr const char* kBytes = "bytes";
    /** `label` stands in front; `unit` names what is counted ("pages"), or "" for a bare percentage. */
    explicit ProgressBar(std::string label, std::string unit = "");
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void update(uint64_t done, uint64_t total);

  private:
    std::string label_;
    std::string unit_;
    bool terminal_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point begin_;
    std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace vlm::cli
