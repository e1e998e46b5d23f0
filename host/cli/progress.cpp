/** @file progress.cpp
 *  See progress.hpp.
 */
#include "host/cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace vlm::cli {
namespace {

using namespace std::chrono_literals;
constexpr int kWidth = 30;

}  // namespace

ProgressBar::ProgressBar(std::string label, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) == 1),
      begin_(std::chrono::steady_clock::now()) {}

ProgressBar::~ProgressBar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::update(uint64_t done, uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || total == 0 || (drawn_ && now - last_draw_ < 100ms && done < total)) return;
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    const int filled = static_cast<int>(share * kWidth);
    std::fprintf(stderr, "\r\033[K%s [%.*s%*s] %3.0f %%", label_.c_str(), filled, "##############################",
                 kWidth - filled, "", share * 100);
    if (!unit_.empty() && done > 0 && seconds > 0)
        std::fprintf(stderr, "  %llu/%llu %s, %.1f/s, %.0f s left", static_cast<unsigned long long>(done),
                     static_cast<unsigned long long>(total), unit_.c_str(), static_cast<double>(done) / seconds,
                     seconds / share * (1 - share));
    std::fflush(stderr);
    drawn_ = true;
    last_draw_ = now;
}

}  // namespace vlm::cli
