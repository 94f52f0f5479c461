#include "sim/dropin/libs/channel.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ringside::sim::dropin {

Channel::~Channel() {
  if (file_ >= 0) close(file_);
  if (socket_ >= 0) close(socket_);
}

bool Channel::open(Operation what) {
  const char* path = std::getenv(kSocketVariable);
  sockaddr_un address{};
  if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path)) {
    errno = ENOENT;
    return false;
  }
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  return socket_ >= 0 &&
         connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
         call(Request(what)) >= 0;
}

int Channel::call(const Request& request) {
  Reply reply;
  return call(request, reply);
}

int Channel::call(const Request& request, Reply& reply) {
  {
    const std::lock_guard lock(mutex_);
    const size_t bytes = size_of(request);
    if (send(socket_, &request, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes) ||
        !receive(reply)) {
      errno = ENODEV;
      return -1;
    }
  }
  if (reply.result >= 0) return reply.result;
  errno = -reply.result;
  return -1;
}

bool Channel::receive(Reply& reply) {
  iovec bytes{.iov_base = &reply, .iov_len = sizeof(reply)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t count;
  do count = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < static_cast<ssize_t>(kReplyHeader)) return false;
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&file_, CMSG_DATA(rights), sizeof(file_));
  }
  return true;
}

int unsupported(const char* function) {
  std::fprintf(stderr, "ringside: %s() is not supported\n", function);
  errno = ENOSYS;
  return -1;
}

}  // namespace ringside::sim::dropin
