/** @file child.hpp
 *  Runs one check in a child process, so that a plugin that crashes, hangs or exits costs one check and not the
 * checker.
 */
#pragma once
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

namespace vlm {

/** The plugin broke the rule that is being checked; the message says how. */
class RuleBroken : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/** The rule cannot be checked on this plugin; the message says why. */
class NotCheckable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/** What became of one check. */
struct Verdict {
    enum class Status { pass, fail, skip };
    Status status = Status::pass;
    std::string message;  ///< Why it failed or was left out; of a pass, what it rests on, or nothing.
    std::string output;   ///< What the child wrote to standard output and error (the first 4 KB).
    double milliseconds = 0;
};

/** Inside a check: says what a pass rests on, as the message of the verdict. */
void note_pass(const std::string& note);

/** Forks, runs `check` in the child and waits at most `limit`. A normal return is a pass; RuleBroken and any other
 * exception, a signal, an early exit and running out of time are failures. The child's standard output and error are
 * caught. Call it while this process has one thread. Throws INTERNAL when no child can be made. */
Verdict run_in_child(const std::function<void()>& check, std::chrono::milliseconds limit);

}  // namespace vlm
