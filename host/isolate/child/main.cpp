/** @file main.cpp
 *  `vlm-plugin-host`: the process that one isolated plugin runs in. Started by the host and by nobody else.
 */
#include <fcntl.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "host/base/error.hpp"
#include "host/isolate/child/server.hpp"

namespace {

/** A plugin that computes without end does not see that its host is gone; this thread does. By epoll: `poll` is refused
 * to a process that may open no files. */
void leave_with_host(int watch) {
    epoll_event event{};
    int ready = 0;
    while ((ready = epoll_wait(watch, &event, 1, -1)) < 0 && errno == EINTR) {
    }
    // A plugin that closes what it does not own has closed this too, perhaps before this thread had begun to wait: the
    // host then hears of a lost connection, and not of an orderly end.
    if (ready < 0) raise(SIGKILL);
    _exit(0);
}

}  // namespace

int main() {
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(vlm::isolate::kSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
        std::fputs("vlm-plugin-host runs one isolated plugin for vlmhost, which starts it; see docs/isolation.md\n",
                   stderr);
        return 2;
    }
    fcntl(vlm::isolate::kSocket, F_SETFD, FD_CLOEXEC);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // A further arena of glibc reads /proc/sys/vm/overcommit_memory when it gives memory back, and the process that may
    // open no files would end for it.
    mallopt(M_ARENA_MAX, 1);
    try {
        vlm::isolate::separate_from_other_processes();
        vlm::isolate::Server server{vlm::isolate::Descriptor(vlm::isolate::kSocket)};
        const int watch = epoll_create1(EPOLL_CLOEXEC);
        epoll_event end{};
        end.events = EPOLLRDHUP;
        if (watch < 0 || epoll_ctl(watch, EPOLL_CTL_ADD, vlm::isolate::kSocket, &end) != 0)
            throw vlm::Error(VLM_STATUS_UNAVAILABLE,
                             std::string("the host cannot be watched: ") + std::strerror(errno));
        std::thread(leave_with_host, watch).detach();
        server.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "vlm-plugin-host: %s\n", error.what());
        _exit(1);
    }
    _exit(0);  // no destructors: the plugin's threads may still run
}
