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
constexpr size_t kWidth = 30;

/** "12/40 pages, 3.2/s", "1.4/2.8 GB, 640.0 MB/s". */
std::string counted(const std::string& unit, uint64_t done, uint64_t total, double per_second) {
    char text[96];
    if (unit != ProgressBar::kBytes) {
        std::snprintf(text, sizeof(text), "%llu/%llu %s, %.1f/s", static_cast<unsigned long long>(done),
                      static_cast<unsigned long long>(total), unit.c_str(), per_second);
        return text;
    }
    constexpr double kMega = 1e6, kGiga = 1e9;
    const bool large = static_cast<double>(total) >= kGiga;
    const double scale = large ? kGiga : kMega;
    std::snprintf(text, sizeof(text), "%.1f/%.1f %s, %.1f MB/s", static_cast<double>(done) / scale,
                  static_cast<double>(total) / scale, large ? "GB" : "MB", per_second / kMega);
    return text;
}

}  // namespace

std::string progress_text(const std::string& label, const std::string& unit, uint64_t done, uint64_t total,
                          double seconds) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<size_t>(share * kWidth);
    char percent[16];
    std::snprintf(percent, sizeof(percent), "%3.0f %%", share * 100);
    std::string text = label + " [" + std::string(filled, '#') + std::string(kWidth - filled, ' ') + "] " + percent;
    if (unit.empty() || done == 0 || seconds <= 0) return text;
    char left[32];
    std::snprintf(left, sizeof(left), ", %.0f s left", seconds / share * (1 - share));
    return text + "  " + counted(unit, done, total, static_cast<double>(done) / seconds) + left;
}

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
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    std::fprintf(stderr, "\r\033[K%s", progress_text(label_, unit_, done, total, seconds).c_str());
    std::fflush(stderr);
    drawn_ = true;
    last_draw_ = now;
}

}  // namespace vlm::cli
