/** @file log.hpp
 *  The host's log: one sink for the host and all plugins, so that an application can take it over.
 */
#pragma once
#include <vlm/context.h>

#include <functional>
#include <string>
#include <string_view>

namespace vlm {

/** Receives messages: level (VLM_LOG_*), source (plugin id or part of the host), text. Called from any thread, one at a
 * time. */
using LogSink = std::function<void(int level, std::string_view source, std::string_view text)>;

/** Replaces the sink; an empty one restores the default: warnings and errors to standard error. */
void set_log_sink(LogSink sink);

/** Sends a message to the sink. Never throws. */
void log_message(int level, std::string_view source, std::string_view text) noexcept;

/** While it lives, the errors that this thread logs are kept instead of sent to the sink: a function of the ABI that
 * has no run context can say only there why it refuses, and the caller's message should be one. */
class ErrorCapture {
  public:
    ErrorCapture() noexcept;
    ~ErrorCapture();
    ErrorCapture(const ErrorCapture&) = delete;
    ErrorCapture& operator=(const ErrorCapture&) = delete;
    /** The last error, or "". */
    const std::string& text() const { return text_; }

  private:
    friend void log_message(int level, std::string_view source, std::string_view text) noexcept;
    std::string text_;
    ErrorCapture* outer_;
};

}  // namespace vlm
