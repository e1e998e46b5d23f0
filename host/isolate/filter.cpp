/** @file filter.cpp
 *  See filter.hpp.
 */
#include "host/isolate/filter.hpp"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "host/base/error.hpp"
#include "host/isolate/arena.hpp"

namespace vlm::isolate {
namespace {

StatusPage* status_page = nullptr;
constexpr int kStopped = 99;

void on_violation(int, siginfo_t* info, void*) {
    status_page->violation.store(static_cast<uint32_t>(info->si_syscall) + 1);
    syscall(SYS_exit_group, kStopped);
}

class Filter {
  public:
    Filter() : context_(seccomp_init(SCMP_ACT_TRAP), seccomp_release) {
        if (!context_) throw unavailable(ENOMEM);
        check(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1));
        check(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // a tree instead of a list
        // Calls of another architecture (int 0x80): the end of the process and not, as usual, of one thread.
        check(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    }
    template <typename... Conditions>
    void allow(int call, Conditions... conditions) {
        check(seccomp_rule_add(context_.get(), SCMP_ACT_ALLOW, call, sizeof...(conditions), conditions...));
    }
    void refuse(int call, int error) {
        check(seccomp_rule_add(context_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, 0));
    }
    void load() { check(seccomp_load(context_.get())); }

  private:
    static Error unavailable(int error) {
        return {VLM_STATUS_UNAVAILABLE, std::string("this system cannot confine a plugin's process (seccomp: ") +
                                            std::strerror(error) +
                                            "); run the plugin without \"isolate\", or not at all"};
    }
    static void check(int status) {
        if (status != 0) throw unavailable(-status);
    }
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
};

/** A condition on an argument of a call. Not SCMP_A0 and its like: their compound literals are no C++. */
constexpr scmp_arg_cmp argument(unsigned index, scmp_compare how, scmp_datum_t a, scmp_datum_t b = 0) {
    return {index, how, a, b};
}

/** What computing needs: memory, threads, clocks, and reading and writing what is open already. */
void allow_computing(Filter& filter) {
    for (const int call : {SCMP_SYS(read),
                           SCMP_SYS(readv),
                           SCMP_SYS(pread64),
                           SCMP_SYS(write),
                           SCMP_SYS(writev),
                           SCMP_SYS(lseek),
                           SCMP_SYS(close),
                           SCMP_SYS(fstat),
                           SCMP_SYS(sendmsg),
                           SCMP_SYS(recvmsg),
                           SCMP_SYS(poll),
                           SCMP_SYS(ppoll),
                           SCMP_SYS(munmap),
                           SCMP_SYS(mremap),
                           SCMP_SYS(mprotect),
                           SCMP_SYS(madvise),
                           SCMP_SYS(brk),
                           SCMP_SYS(futex),
                           SCMP_SYS(set_robust_list),
                           SCMP_SYS(rseq),
                           SCMP_SYS(membarrier),
                           SCMP_SYS(set_tid_address),
                           SCMP_SYS(clock_gettime),
                           SCMP_SYS(clock_getres),
                           SCMP_SYS(clock_nanosleep),
                           SCMP_SYS(nanosleep),
                           SCMP_SYS(gettimeofday),
                           SCMP_SYS(time),
                           SCMP_SYS(restart_syscall),
                           SCMP_SYS(sched_yield),
                           SCMP_SYS(sched_getaffinity),
                           SCMP_SYS(getcpu),
                           SCMP_SYS(getpid),
                           SCMP_SYS(gettid),
                           SCMP_SYS(getrandom),
                           SCMP_SYS(uname),
                           SCMP_SYS(sysinfo),
                           SCMP_SYS(getrusage),
                           SCMP_SYS(rt_sigprocmask),
                           SCMP_SYS(rt_sigreturn),
                           SCMP_SYS(sigaltstack),
                           SCMP_SYS(exit),
                           SCMP_SYS(exit_group)})
        filter.allow(call);
    // Of memory only what a limit counts (RLIMIT_DATA): anonymous memory that is private, and no stack that grows.
    constexpr scmp_datum_t kKind = MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_SHARED;
    filter.allow(SCMP_SYS(mmap), argument(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_GROWSDOWN, 0));
    filter.allow(SCMP_SYS(mmap), argument(3, SCMP_CMP_MASKED_EQ, kKind, MAP_ANONYMOUS));
    // Not the handler that reports violations, and not the signal by which the kernel ends a process that computes
    // between calls.
    for (int signal = 1; signal <= SIGRTMAX; ++signal)
        if (signal != SIGSYS && signal != SIGXCPU)
            filter.allow(SCMP_SYS(rt_sigaction), argument(0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(signal)));
    // The calling thread's only: no other process is to be slowed down.
    filter.allow(SCMP_SYS(sched_setaffinity), argument(0, SCMP_CMP_EQ, 0));
    // Watching for the end of the host.
    filter.allow(SCMP_SYS(epoll_wait));
    // To itself only: abort() and pthread_kill().
    filter.allow(SCMP_SYS(tgkill), argument(0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid())));
    // Threads, not processes. The flags of clone3 lie in memory, where no filter sees them; glibc then takes clone.
    filter.allow(SCMP_SYS(clone), argument(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    filter.refuse(SCMP_SYS(clone3), ENOSYS);
    // fstat() of newer C libraries; it opens nothing.
    filter.allow(SCMP_SYS(newfstatat), argument(3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    // "Is this a terminal?", asked by stdio before its first line.
    filter.allow(SCMP_SYS(ioctl), argument(1, SCMP_CMP_EQ, TCGETS));
    filter.allow(SCMP_SYS(fcntl), argument(1, SCMP_CMP_EQ, F_GETFL));
    // Limits are read, not set.
    filter.allow(SCMP_SYS(prlimit64), argument(2, SCMP_CMP_EQ, 0));
    filter.allow(SCMP_SYS(prctl), argument(0, SCMP_CMP_EQ, PR_SET_NAME));
    // Asking for the tile registers of AMX.
    filter.allow(SCMP_SYS(arch_prctl));
}

/** What loading needs besides: reading files. */
void allow_loading(Filter& filter) {
    constexpr scmp_datum_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_TMPFILE;
    filter.allow(SCMP_SYS(openat),
                 argument(2, SCMP_CMP_MASKED_EQ, kWriting & ~static_cast<scmp_datum_t>(O_DIRECTORY), 0));
    filter.allow(SCMP_SYS(open),
                 argument(1, SCMP_CMP_MASKED_EQ, kWriting & ~static_cast<scmp_datum_t>(O_DIRECTORY), 0));
    for (const int call : {SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
                           SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
                           SCMP_SYS(getdents64), SCMP_SYS(fadvise64), SCMP_SYS(dup), SCMP_SYS(fstatfs)})
        filter.allow(call);
    filter.allow(SCMP_SYS(newfstatat));
    filter.allow(SCMP_SYS(fcntl), argument(1, SCMP_CMP_EQ, F_SETFD));
    filter.allow(SCMP_SYS(fcntl), argument(1, SCMP_CMP_EQ, F_GETFD));
    filter.allow(SCMP_SYS(fcntl), argument(1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC));
    // The second step.
    filter.allow(SCMP_SYS(seccomp));
    filter.allow(SCMP_SYS(prctl), argument(0, SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
}

}  // namespace

void report_violations_to(StatusPage& page) {
    status_page = &page;
    struct sigaction action {};
    action.sa_sigaction = on_violation;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, nullptr);
}

void separate_from_other_processes() {
    // Any rule at all makes a domain, and no domain sees outside itself; this one repeats what the filter says.
    landlock_ruleset_attr rules{};
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                              LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                              LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                              LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                              LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    const Descriptor ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0)));
    if (ruleset.get() < 0) return;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
        throw Error(VLM_STATUS_UNAVAILABLE,
                    std::string("this system cannot separate a plugin's process: ") + std::strerror(errno));
}

void install_filter(FilterStep step) {
    Filter filter;
    allow_computing(filter);
    if (step == FilterStep::loading) allow_loading(filter);
    filter.load();
}

std::string system_call_name(uint32_t number) {
    const std::unique_ptr<char, void (*)(void*)> name(
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), std::free);
    return name ? name.get() : "number " + std::to_string(number);
}

}  // namespace vlm::isolate
