/** @file process.cpp
 *  See process.hpp. Whatever ends the process shows as the end of its socket; the exit status and the status page then
 * say what it was.
 */
#include "host/isolate/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "host/base/log.hpp"
#include "host/isolate/hello.hpp"
#include "host/isolate/wire.hpp"
#include "host/plugin/registry.hpp"

namespace vlm::isolate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

const char* const kProgram = "vlm-plugin-host";
constexpr uint64_t kStatusBytes = 4096;
/** How long a plugin may go on after a cancellation; VLM-P-10 asks for a look every 50 ms or layer. */
constexpr std::chrono::milliseconds kGrace{3000};
/** How long the system may take to report a process whose socket has closed. */
constexpr std::chrono::milliseconds kReport{500};

StatusPage& page(const SharedMapping& status) {
    return *reinterpret_cast<StatusPage*>(status.data());
}

class SpawnActions {
  public:
    SpawnActions() { posix_spawn_file_actions_init(&actions_); }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    posix_spawn_file_actions_t* get() { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
};

std::string seconds_text(std::chrono::milliseconds time) {
    const auto ms = time.count();
    return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

/** What a finished process tells: a status code, and a sentence with the rule. */
std::pair<vlm_status, std::string> ending(int status, uint32_t violation) {
    if (violation != 0)
        return {VLM_STATUS_PERMISSION_DENIED, "asked the system for '" + system_call_name(violation - 1) +
                                                  "', which an isolated plugin may not (VLM-P-26)"};
    if (status < 0) return {VLM_STATUS_UNAVAILABLE, "ended its process; how, was reported to somebody else (VLM-P-25)"};
    if (WIFEXITED(status))
        return {VLM_STATUS_UNAVAILABLE,
                "ended its process with exit status " + std::to_string(WEXITSTATUS(status)) + " (VLM-P-12)"};
    const int signal = WTERMSIG(status);
    if (signal == SIGSYS)
        return {VLM_STATUS_PERMISSION_DENIED,
                "asked the system for something that an isolated plugin may not (VLM-P-26)"};
    if (signal == SIGXCPU)
        return {VLM_STATUS_UNAVAILABLE,
                "went on computing after its last call had returned, and its process was ended (VLM-P-21)"};
    if (signal == SIGKILL)
        return {VLM_STATUS_UNAVAILABLE,
                "lost its process: it was killed from outside, perhaps for want of memory, or it closed its connection "
                "(VLM-P-25)"};
    return {VLM_STATUS_UNAVAILABLE, std::string("crashed: ") + strsignal(signal) + " (VLM-P-25)"};
}

}  // namespace

fs::path plugin_host_program() {
    std::vector<fs::path> places;
    if (const char* given = secure_getenv("VLM_PLUGIN_HOST"); given != nullptr && *given != '\0')
        places.emplace_back(given);
    else
        for (const auto& folder : {executable_folder(), library_folder()})
            for (const auto& place : {folder, folder.parent_path() / "libexec" / "vlm",
                                      folder.parent_path().parent_path() / "libexec" / "vlm"})
                places.push_back(place / kProgram);
    places.push_back(fs::path(VLM_INSTALL_LIBEXEC_DIR) / kProgram);
    std::string list;
    for (const auto& place : places) {
        if (fs::is_regular_file(place) && access(place.c_str(), X_OK) == 0) return place;
        list += (list.empty() ? "" : ", ") + place.string();
    }
    throw not_found(std::string("\"isolate\" needs the program ") + kProgram + ", which is in none of: " + list +
                    "; install it (it belongs to the host) or name it with VLM_PLUGIN_HOST");
}

/** Looks after one call: the time that is left, and whether the caller wants to stop. */
class Process::Watch {
  public:
    Watch(Process& process, const vlm_run_context* run)
        : process_(process), run_(run), deadline_(Clock::now() + process.time_limit_) {}

    void operator()() {
        const auto now = Clock::now();
        if (run_ != nullptr && !cancelled_ && run_->is_cancelled(run_->host) != 0) {
            page(process_.status_).cancelled = 1;
            cancelled_ = now;
        }
        if (cancelled_ && now > *cancelled_ + kGrace)
            give_up(VLM_STATUS_CANCELLED, "did not stop within " + seconds_text(kGrace) +
                                              " of a cancellation, and its process was ended (VLM-P-10)");
        if (now > deadline_)
            give_up(VLM_STATUS_DEADLINE_EXCEEDED, "did not return within its time limit of " +
                                                      seconds_text(process_.time_limit_) +
                                                      ", and its process was ended (VLM-P-25)");
    }

  private:
    [[noreturn]] void give_up(vlm_status code, const std::string& what) {
        process_.end();
        throw ProcessLost(code, what);
    }
    Process& process_;
    const vlm_run_context* run_;
    Clock::time_point deadline_;
    std::optional<Clock::time_point> cancelled_;
};

Process::Process(const LaunchSpec& spec)
    : name_(spec.library.filename().string()),
      time_limit_(spec.time_limit),
      memory_limit_(spec.memory_limit),
      idle_limit_(spec.idle_limit),
      status_(SharedMapping::create("vlm plugin status", kStatusBytes)),
      hook_room_(spec.arena) {
    auto [ours, theirs] = Channel::pair();
    channel_ = std::make_unique<Channel>(std::move(ours));
    spawn(std::move(theirs));
    try {
        say_hello(spec);
    } catch (const ProcessLost& error) {
        throw Error(error.code(),
                    spec.library.string() + ": while it was opened in a process of its own, it " + error.what());
    } catch (...) {
        end();
        throw;
    }
}

Process::~Process() {
    end();
}

void Process::spawn(Descriptor socket) {
    const std::string program = plugin_host_program().string();
    // An application without standard streams has others at their numbers.
    const Descriptor source(fcntl(socket.get(), F_DUPFD_CLOEXEC, kSocket + 1));
    const bool silent = fcntl(STDERR_FILENO, F_GETFD) < 0;
    SpawnActions actions;
    posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (silent) posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    // What a plugin prints (VLM-P-11) must not get among the host's answers.
    posix_spawn_file_actions_adddup2(actions.get(), STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(actions.get(), source.get(), kSocket);
    posix_spawn_file_actions_addclosefrom_np(actions.get(), kSocket + 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);  // a Ctrl-C at the terminal is the host's to answer
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    const std::array<char*, 3> arguments = {const_cast<char*>(kProgram), name_.data(), nullptr};
    const int error = posix_spawn(&pid_, program.c_str(), actions.get(), &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        pid_ = -1;
        throw Error(VLM_STATUS_UNAVAILABLE, program + ": cannot be started: " + std::strerror(error));
    }
    handle_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    if (prlimit(pid_, RLIMIT_CPU, nullptr, &time_limits_) != 0 || clock_getcpuclockid(pid_, &clock_) != 0) {
        const int cause = errno;
        end();
        throw Error(VLM_STATUS_UNAVAILABLE,
                    program + ": its processor time cannot be limited: " + std::strerror(cause));
    }
}

void Process::say_hello(const LaunchSpec& spec) {
    std::vector<int> descriptors = {status_.descriptor(), spec.arena->mapping().descriptor()};
    if (spec.sealed) descriptors.push_back(spec.sealed->descriptor());
    channel_->send_descriptors(descriptors);
    Writer hello;
    write_hello(hello, {kStatusBytes, spec.arena->mapping().size(), spec.memory_limit,
                        fs::absolute(spec.library).string(), spec.stage, spec.device});
    const Answer answer = call(Op::hello, hello.bytes());
    if (answer.status != VLM_STATUS_OK) throw Error(answer.status, answer.error_text);
    Reader reader(answer.body);
    identity_ = read_identity(reader);
}

Answer Process::call(Op op, std::string body, const vlm_run_context* run) {
    if (pid_ < 0) throw ProcessLost(VLM_STATUS_UNAVAILABLE, "its process has ended");
    page(status_).cancelled = 0;
    page(status_).short_of_memory = 0;
    Watch watch(*this, run);
    const Channel::Patience patience = [&] { watch(); };
    if (shows_data(op)) confine();
    prlimit(pid_, RLIMIT_CPU, &time_limits_, nullptr);  // a call has a time limit of its own
    const uint32_t flags = (run != nullptr && run->tap != nullptr ? kTapsWanted : 0) |
                           (run != nullptr && run->hooks != nullptr && hook_site(op) != 0 ? kHooksWanted : 0);
    if (!channel_->send({Kind::call, flags, static_cast<int64_t>(op), std::move(body)}, patience)) throw lost();
    Message message;
    while (true) {
        try {
            if (!channel_->receive(message, patience)) throw lost();
            watch();  // a process that never stops talking leaves nothing to wait for
            if (message.kind == Kind::reply) {
                Reader reader(message.body);
                Answer answer;
                answer.status = static_cast<vlm_status>(message.code);
                answer.error_code = reader.get<vlm_status>();
                answer.error_text = reader.text();
                answer.body = reader.text();
                if (const std::string why = shortage(); !why.empty() && answer.status != VLM_STATUS_OK) {
                    if (answer.error_text.empty()) answer.error_code = answer.status;
                    answer.error_text += (answer.error_text.empty() ? "" : "; it ") + why;
                }
                if (op == Op::load && answer.status == VLM_STATUS_OK) confine();
                limit_idle_time();
                return answer;
            }
            hear(op, message, run, patience);
        } catch (const ProcessLost&) {
            throw;
        } catch (const Error& error) {
            end();
            throw ProcessLost(VLM_STATUS_INTERNAL, error.what());
        }
    }
}

void Process::hear(Op op, const Message& message, const vlm_run_context* run, const Channel::Patience& patience) {
    Reader reader(message.body);
    if (message.kind == Kind::progress) {
        const auto done = reader.get<uint64_t>();
        const auto total = reader.get<uint64_t>();
        if (run != nullptr) run->progress(run->host, done, total);
    } else if (message.kind == Kind::log) {
        const std::string source(reader.text());
        const std::string text(reader.text());
        if (source.empty() && run != nullptr)
            run->log(run->host, static_cast<int32_t>(message.code), text.c_str());
        else
            log_message(static_cast<int>(message.code), source.empty() ? name_ : source, text);
    } else if (message.kind == Kind::tap) {
        const std::string name(reader.text());
        Tensor content = get_content(reader);
        vlm_tensor tensor = *content.abi();
        tensor.name = name.c_str();
        const bool wanted = run != nullptr && run->tap != nullptr;
        const vlm_status status = wanted ? run->tap(run->host, name.c_str(), &tensor) : VLM_STATUS_OK;
        channel_->send({Kind::tap_reply, 0, status, {}}, patience);
    } else if (message.kind == Kind::hook_needs || message.kind == Kind::hook_room ||
               message.kind == Kind::hook_reduce) {
        channel_->send(answer_hook(message, run, hook_site(op), hook_room_), patience);
    } else {
        throw data_loss("its process sent something that is no answer");
    }
}

void Process::confine() {
    if (confined_) return;
    // The process installs its filters itself, and a plugin may have undermined the second one while it was loaded.
    // This limit comes from outside, and only a privileged process could raise it again.
    const rlimit none{0, 0};
    if (prlimit(pid_, RLIMIT_NOFILE, &none, nullptr) != 0) {
        const int error = errno;
        end();
        throw ProcessLost(
            VLM_STATUS_UNAVAILABLE,
            std::string("cannot be kept from opening files, and its process was ended: ") + std::strerror(error));
    }
    confined_ = true;
}

void Process::limit_idle_time() const {
    timespec used{};
    if (clock_gettime(clock_, &used) != 0) return;  // it has just ended, which the next call finds out
    rlimit limits = time_limits_;
    limits.rlim_cur = std::min(limits.rlim_cur, static_cast<rlim_t>(used.tv_sec + 1 + idle_limit_.count()));
    prlimit(pid_, RLIMIT_CPU, &limits, nullptr);
}

ProcessLost Process::lost() {
    const auto limit = Clock::now() + kReport;
    int status = 0;
    pid_t found = 0;
    while ((found = waitpid(pid_, &status, WNOHANG)) == 0 && Clock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (found == 0)
        status = end();
    else if (found < 0)
        status = -1;
    pid_ = -1;
    const auto [code, what] = ending(status, page(status_).violation.load());
    if (const std::string why = shortage(); !why.empty() && status >= 0 && WIFSIGNALED(status))
        return {VLM_STATUS_RESOURCE_EXHAUSTED, why + ", and then " + what};
    return {code, what};
}

std::string Process::shortage() const {
    if (memory_limit_ == 0 || page(status_).short_of_memory == 0) return {};
    constexpr uint64_t kMega = 1'000'000;
    return "asked for more memory than the " + std::to_string(memory_limit_ / kMega) +
           " MB that its process may take (\"memory_mb\" of \"isolate\")";
}

int Process::end() {
    if (pid_ < 0) return -1;
    // By its handle: the number may belong to another process when the application lets the system reap children.
    if (handle_.get() >= 0)
        syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
    else
        kill(pid_, SIGKILL);
    int status = 0;
    pid_t found = 0;
    while ((found = waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return found < 0 ? -1 : status;
}

}  // namespace vlm::isolate
