/** @file log.cpp
 *  See log.hpp.
 */
#include "host/base/log.hpp"

#include <cstdio>
#include <mutex>

namespace vlm {
namespace {

struct State {
    std::mutex mutex;
    LogSink sink;
};

/** Never destroyed: plugins may log while the process ends. */
State& state() {
    static auto* const instance = new State();
    return *instance;
}

thread_local ErrorCapture* capture = nullptr;  ///< The innermost of this thread.

void to_standard_error(int level, std::string_view source, std::string_view text) {
    if (level < VLM_LOG_WARNING) return;
    std::fprintf(stderr, "%s: %.*s: %.*s\n", level >= VLM_LOG_ERROR ? "error" : "warning",
                 static_cast<int>(source.size()), source.data(), static_cast<int>(text.size()), text.data());
}

}  // namespace

void set_log_sink(LogSink sink) {
    const std::scoped_lock lock(state().mutex);
    state().sink = std::move(sink);
}

ErrorCapture::ErrorCapture() noexcept : outer_(capture) {
    capture = this;
}

ErrorCapture::~ErrorCapture() {
    capture = outer_;
}

void log_message(int level, std::string_view source, std::string_view text) noexcept {
    try {
        if (level >= VLM_LOG_ERROR && capture != nullptr) {
            capture->text_ = text;
            return;
        }
        const std::scoped_lock lock(state().mutex);
        if (state().sink)
            state().sink(level, source, text);
        else
            to_standard_error(level, source, text);
    } catch (...) {
        // A log line is not worth an exception through a plugin's frames.
    }
}

}  // namespace vlm
