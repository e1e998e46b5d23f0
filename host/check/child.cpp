/** @file child.cpp
 *  See child.hpp. The verdict comes back through a pipe as one letter and a text; a child that dies leaves the pipe
 * empty.
 */
#include "host/check/child.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {
namespace {

constexpr size_t kMostOutput = 4096;
std::string pass_note;  ///< Of the one check that runs in this process.
using Clock = std::chrono::steady_clock;

/** A descriptor that closes itself. */
class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {
        if (fd_ < 0)
            throw Error(VLM_STATUS_INTERNAL, std::string("check: no file descriptor: ") + std::strerror(errno));
    }
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

  private:
    int fd_;
};

void send(int fd, char letter, const std::string& text) {
    const std::string message = letter + text;
    size_t sent = 0;
    while (sent < message.size()) {
        const ssize_t n = write(fd, message.data() + sent, message.size() - sent);
        if (n <= 0) return;
        sent += static_cast<size_t>(n);
    }
}

[[noreturn]] void live_as_child(const std::function<void()>& check, int verdict, int output) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGINT}) std::signal(signal, SIG_DFL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    set_log_sink([](int, std::string_view, std::string_view) {});
    try {
        check();
        send(verdict, 'p', pass_note);
    } catch (const NotCheckable& reason) {
        send(verdict, 's', reason.what());
    } catch (const std::exception& error) {
        send(verdict, 'f', error.what());
    } catch (...) {
        send(verdict, 'f', "the plugin let an exception pass through the C ABI");
    }
    std::fflush(nullptr);  // what the plugin printed through stdio must reach the file
    _exit(0);
}

/** Reads the verdict until the pipe closes. False when the time is over. */
bool receive(int fd, Clock::time_point deadline, std::string& message) {
    std::array<char, 1024> buffer;
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd waiting{fd, POLLIN, 0};
        const int ready = poll(&waiting, 1, static_cast<int>(std::max<long long>(0, left)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        const ssize_t n = read(fd, buffer.data(), buffer.size());
        if (n <= 0) return true;
        message.append(buffer.data(), static_cast<size_t>(n));
    }
}

std::string read_output(int fd) {
    std::string text(kMostOutput, '\0');
    const ssize_t n = pread(fd, text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
}

}  // namespace

void note_pass(const std::string& note) {
    pass_note = note;
}

Verdict run_in_child(const std::function<void()>& check, std::chrono::milliseconds limit) {
    int ends[2];
    if (pipe(ends) != 0) throw Error(VLM_STATUS_INTERNAL, "check: cannot make a pipe");
    Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    Descriptor output(memfd_create("plugin output", MFD_CLOEXEC));
    const auto begin = Clock::now();
    std::fflush(nullptr);  // or the child would print again what is still in our buffers
    const pid_t child = fork();
    if (child < 0) throw Error(VLM_STATUS_INTERNAL, std::string("check: cannot fork: ") + std::strerror(errno));
    if (child == 0) live_as_child(check, writing.get(), output.get());
    writing.close();

    Verdict verdict;
    std::string message;
    const bool in_time = receive(reading.get(), begin + limit, message);
    if (!in_time) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    verdict.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    verdict.output = read_output(output.get());
    verdict.status = Verdict::Status::fail;
    if (!in_time)
        verdict.message = "did not end within " + std::to_string(limit.count()) + " ms";
    else if (WIFSIGNALED(status))
        verdict.message = std::string("crashed: ") + strsignal(WTERMSIG(status));
    else if (message.empty())
        verdict.message = "ended the process with status " + std::to_string(WEXITSTATUS(status));
    else {
        verdict.status = message[0] == 'p'   ? Verdict::Status::pass
                         : message[0] == 's' ? Verdict::Status::skip
                                             : Verdict::Status::fail;
        verdict.message = message.substr(1);
    }
    return verdict;
}

}  // namespace vlm
