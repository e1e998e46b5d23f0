/** @file process.hpp
 *  The process that one isolated plugin runs in, seen from the host: started, called, watched and ended.
 */
#pragma once
#include <sys/resource.h>
#include <vlm/context.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/base/error.hpp"
#include "host/compute/device.hpp"
#include "host/isolate/arena.hpp"
#include "host/isolate/channel.hpp"
#include "host/isolate/filter.hpp"
#include "host/isolate/hook_messages.hpp"
#include "host/trust/sealed_file.hpp"

namespace vlm::isolate {

/** Everything that a process is started from; kept to start it again. */
struct LaunchSpec {
    std::filesystem::path library;                  ///< For messages, and to load when there is no sealed copy.
    std::shared_ptr<const SealedFile> sealed;       ///< The bytes that the trust policy checked: load these.
    std::shared_ptr<SharedArena> arena;             ///< The pipeline's tensors.
    DeviceOptions device;                           ///< As the pipeline's own device on the CPU.
    std::string stage;                              ///< For rules about weights: "backbone".
    std::chrono::milliseconds time_limit{300'000};  ///< Of one call.
    uint64_t memory_limit = 0;                      ///< Private bytes beyond those of an empty process; 0: any number.
    std::chrono::seconds idle_limit{10};            ///< Processor time between two calls: threads may wind down.
};

/** What the library said about itself, in its process. */
struct RemoteIdentity {
    std::string id, name, vendor, version, license, url, capabilities;
    uint32_t abi_version = 0;
    uint32_t activation_dtype = 0;                           ///< Of the process's device.
    std::vector<std::pair<std::string, std::string>> kinds;  ///< Interface id, and what is wrong with its table or "".
};

/** The process is no more; the message says why, with the rule. */
class ProcessLost : public Error {
  public:
    using Error::Error;
};

/** The end of a call. */
struct Answer {
    vlm_status status = VLM_STATUS_OK;
    vlm_status error_code = VLM_STATUS_OK;  ///< What the plugin wrote into the error sink, if anything.
    std::string error_text;
    std::string body;
};

/** Where `vlm-plugin-host` is: $VLM_PLUGIN_HOST (ignored with raised privileges), beside the program, beside the
 * library, or in `libexec/vlm` of the installation. @throws Error NOT_FOUND that lists these places. */
std::filesystem::path plugin_host_program();

/** One process. Not thread-safe. */
class Process {
  public:
    /** Starts it and lets it load the library; no code of the library runs here. @throws Error what the library or the
     * start went wrong with, ProcessLost when it died over it. */
    explicit Process(const LaunchSpec& spec);
    /** Ends the process and waits for it. */
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    const RemoteIdentity& identity() const { return identity_; }
    int pid() const { return pid_; }

    /** One round trip. Progress, log lines and taps reach `run`, which may be NULL. @throws ProcessLost when the
     * process crashed, broke a rule, did not answer in time or did not heed a cancellation; the object is then good
     * for nothing but being destroyed. */
    Answer call(Op op, std::string body, const vlm_run_context* run = nullptr);

  private:
    class Watch;
    void spawn(Descriptor socket);
    void say_hello(const LaunchSpec& spec);
    void hear(Op op, const Message& message, const vlm_run_context* run, const Channel::Patience& patience);
    /** Takes the right to open files from the process, for good. @throws ProcessLost where that is not possible. */
    void confine();
    /** From the end of a call on, the kernel ends the process when it takes more processor time than `idle_limit`. */
    void limit_idle_time() const;
    /** Why the process is gone. */
    ProcessLost lost();
    /** Says that the plugin has asked for more memory than it may take since the call began; empty if it has not. */
    std::string shortage() const;
    /** Kills it and waits. Returns the status of waitpid, or -1 when somebody else has taken it. */
    int end();

    std::string name_;
    std::chrono::milliseconds time_limit_;
    uint64_t memory_limit_;
    std::chrono::seconds idle_limit_;
    rlimit time_limits_{};  ///< Of processor time, as the process was started with.
    clockid_t clock_{};     ///< Of the processor time that the process has taken.
    SharedMapping status_;
    HookRoom hook_room_;
    std::unique_ptr<Channel> channel_;
    RemoteIdentity identity_;
    int pid_ = -1;
    Descriptor handle_;      ///< Of the process; -1 on systems without pidfd.
    bool confined_ = false;  ///< It can open no more files.
};

}  // namespace vlm::isolate
