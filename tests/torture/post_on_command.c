/** @file post_on_command.c
 *  Does to its process what the first prompt says: what isolation has to hold. With any other prompt it is sound.
 */
#define _GNU_SOURCE
#define PROCESS obeying_process
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sound_post.h"

static void forgive(int number) {
    (void)number;
}

/** Lets a refused system call end the process without the host's handler hearing of it. */
static void block_reports(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    socket(AF_INET, SOCK_STREAM, 0);
}

/** Asks as a 32-bit program would, where other numbers are other calls. */
static void call_otherwise(void) {
#if defined(__x86_64__)
    __asm__ volatile("int $0x80" : : "a"(20L) : "memory");
#endif
    abort();
}

/** Takes memory and uses it, until there is no more. Returns the last request's answer: NULL. */
static volatile char* eat(void) {
    enum { kMost = 4096, kPiece = 1 << 20 };
    for (int i = 0; i < kMost; ++i) {
        volatile char* const piece = malloc(kPiece);
        if (piece == NULL) return NULL;
        for (int k = 0; k < kPiece; k += 4096) piece[k] = 1;
    }
    return malloc(1);
}

static void* spin(void* unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (volatile unsigned i = 0;; ++i) {
    }
    return unused;
}

static void obey(const char* command, const vlm_run_context* run) {
    struct sigaction own = {.sa_handler = forgive};
    volatile int* volatile nowhere = NULL;
    if (strcmp(command, "crash") == 0) *nowhere = 1;
    if (strcmp(command, "abort") == 0) abort();
    if (strcmp(command, "eat and crash") == 0) *eat() = 1;
    if (strcmp(command, "share memory") == 0)
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (strcmp(command, "grow a stack") == 0)
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    if (strcmp(command, "lift the limit") == 0) setrlimit(RLIMIT_DATA, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    if (strcmp(command, "exit") == 0) exit(7);
    if (strcmp(command, "socket") == 0) socket(AF_INET, SOCK_STREAM, 0);
    if (strcmp(command, "open") == 0) open("/dev/null", O_RDONLY);
    if (strcmp(command, "create") == 0) open("created-by-torture", O_WRONLY | O_CREAT, 0600);
    if (strcmp(command, "fork") == 0) fork();
    if (strcmp(command, "exec") == 0) execl("/bin/true", "true", (char*)NULL);
    if (strcmp(command, "signal another") == 0) kill(1, 0);
    if (strcmp(command, "rename") == 0) rename("a", "b");
    if (strcmp(command, "own handler") == 0) sigaction(SIGSYS, &own, NULL);
    if (strcmp(command, "ignore the clock") == 0) sigaction(SIGXCPU, &own, NULL);
    if (strcmp(command, "go on") == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, spin, NULL) == 0) pthread_detach(thread);
    }
    if (strcmp(command, "blocked") == 0) block_reports();
    if (strcmp(command, "call otherwise") == 0) call_otherwise();
    if (strcmp(command, "slow the host") == 0) sched_setaffinity(getpid() - 1, 0, NULL);
    while (strcmp(command, "flood") == 0) run->progress(run->host, 1, 2);
    if (strcmp(command, "close") == 0)
        for (int fd = 3; fd < 64; ++fd) close(fd);
    if (strcmp(command, "babble") == 0)
        for (int fd = 3; fd < 64; ++fd)
            if (write(fd, "x", 1) == 1) break;
    // An empty loop without end may be taken away by a compiler.
    for (volatile int on = 1; on != 0 && (strcmp(command, "loop") == 0 || strcmp(command, "close") == 0);) {
    }
    for (const clock_t begin = clock(); strcmp(command, "work") == 0 && clock() < begin + 3 * CLOCKS_PER_SEC;) {
    }
    while (strcmp(command, "wait") == 0 && run->is_cancelled(run->host) == 0) sched_yield();
    if (strcmp(command, "print") == 0) printf("printed by a plugin\n"), fflush(stdout);
    if (strcmp(command, "report") == 0) {
        run->log(run->host, VLM_LOG_WARNING, "about to finish");
        run->progress(run->host, 3, 4);
    }
}

static vlm_status obeying_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                  vlm_emit_json_fn emit, void* sink) {
    if (input->prompt_count > 0) {
        char command[32];
        snprintf(command, sizeof command, "%.*s", (int)input->prompts[0].size, input->prompts[0].data);
        obey(command, run);
        if (strcmp(command, "fail") == 0) {
            run->error(run->host, VLM_STATUS_OUT_OF_RANGE, "was told to fail");
            return VLM_STATUS_OUT_OF_RANGE;
        }
        if (strcmp(command, "eat") == 0 && eat() == NULL) return VLM_STATUS_INTERNAL;
    }
    return sound_process(component, run, input, emit, sink);
}
