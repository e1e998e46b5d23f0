/** @file channel.cpp
 *  See channel.hpp. Long bodies go in several packets of one message, so that neither end needs a buffer of a size that
 * the other chooses.
 */
#include "host/isolate/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "host/base/error.hpp"

namespace vlm::isolate {
namespace {

constexpr size_t kPacket = size_t{32} << 10;
constexpr uint64_t kLargestBody = uint64_t{1} << 30;
constexpr size_t kMostDescriptors = 4;
constexpr int kWaitMs = 10;

struct Header {
    Kind kind;
    uint32_t flags;
    int64_t code;
    uint64_t total;  ///< Bytes of the whole body.
};

}  // namespace

std::pair<Descriptor, Descriptor> Channel::pair() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw resource_exhausted(std::string("no socket for a plugin's process: ") + std::strerror(errno));
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

bool Channel::wait(short events, const Patience& patience) const {
    pollfd waiting{socket_.get(), events, 0};
    const int ready = poll(&waiting, 1, kWaitMs);
    const bool waited = ready >= 0 || errno == EINTR;
    patience();
    return waited;
}

bool Channel::send_packet(const void* header, const char* data, uint64_t size, const Patience& patience) {
    iovec parts[2] = {{const_cast<void*>(header), sizeof(Header)}, {const_cast<char*>(data), size}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    while (true) {
        if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL | (patience ? MSG_DONTWAIT : 0)) >= 0) return true;
        if (errno != EAGAIN && errno != EINTR) return false;
        if (patience && !wait(POLLOUT, patience)) return false;
    }
}

bool Channel::send(const Message& message, const Patience& patience) {
    const std::scoped_lock lock(sending_);
    const Header header{message.kind, message.flags, message.code, message.body.size()};
    uint64_t sent = 0;
    do {
        const uint64_t size = std::min<uint64_t>(kPacket, message.body.size() - sent);
        if (!send_packet(&header, message.body.data() + sent, size, patience)) return false;
        sent += size;
    } while (sent < message.body.size());
    return true;
}

void Channel::try_send(const Message& message) {
    const std::scoped_lock lock(sending_);
    const uint64_t size = std::min<uint64_t>(message.body.size(), kPacket);
    Header header{message.kind, message.flags, message.code, size};
    iovec parts[2] = {{&header, sizeof(header)}, {const_cast<char*>(message.body.data()), size}};
    msghdr packet{};
    packet.msg_iov = parts;
    packet.msg_iovlen = 2;
    while (sendmsg(socket_.get(), &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR) {
    }
}

int64_t Channel::receive_packet(void* header, const Patience& patience) {
    packet_.resize(kPacket);
    iovec parts[2] = {{header, sizeof(Header)}, {packet_.data(), packet_.size()}};
    msghdr message{};  // without room for descriptors: those that a plugin sends are closed by the kernel
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    while (true) {
        const ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | (patience ? MSG_DONTWAIT : 0));
        if (got >= 0) return got;
        if (errno != EAGAIN && errno != EINTR) return 0;
        if (patience && !wait(POLLIN, patience)) return 0;
    }
}

bool Channel::receive(Message& message, const Patience& patience) {
    message.body.clear();
    Header first{};
    uint64_t total = 0;
    do {
        Header header{};
        const int64_t got = receive_packet(&header, patience);
        if (got == 0) return false;
        if (got < static_cast<int64_t>(sizeof(Header)))
            throw data_loss("its process sent something that is no message");
        if (total == 0) {
            first = header;
            total = header.total;
        }
        const auto size = static_cast<uint64_t>(got) - sizeof(Header);
        if (header.total != total || total > kLargestBody || size > total - message.body.size() ||
            (size == 0 && total > 0))
            throw data_loss("its process sent something that is no message");
        message.body.append(packet_.data(), size);
    } while (message.body.size() < total);
    message.kind = first.kind;
    message.flags = first.flags;
    message.code = first.code;
    return true;
}

void Channel::send_descriptors(const std::vector<int>& descriptors) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostDescriptors)> control{};
    char byte = static_cast<char>(descriptors.size());
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(head), descriptors.data(), sizeof(int) * descriptors.size());
    if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != 1)
        throw Error(VLM_STATUS_UNAVAILABLE, std::string("a plugin's process takes no memory: ") + std::strerror(errno));
}

std::vector<Descriptor> Channel::receive_descriptors() {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostDescriptors)> control{};
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    std::vector<Descriptor> descriptors;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); got == 1 && head != nullptr; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            descriptors.emplace_back(fd);
        }
    }
    if (got != 1 || descriptors.size() != static_cast<size_t>(byte))
        throw Error(VLM_STATUS_UNAVAILABLE, "the host handed no memory over");
    return descriptors;
}

}  // namespace vlm::isolate
