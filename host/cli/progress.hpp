/** @file progress.hpp
 *  A progress bar for people: only on a terminal, on standard error, gone when the work is done.
 */
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace vlm::cli {

/** One bar with rate and time left. */
class ProgressBar {
  public:
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
