#include "sim/dropin/event_device.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace ringside::sim::dropin {

EventDevice::EventDevice(Domain& domain) : domain_(domain) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "no pipe for events");
  }
  read_end_ = ends[0];
  write_end_ = ends[1];
  fcntl(write_end_, F_SETFL, O_NONBLOCK);
}

EventDevice::~EventDevice() {
  while (!ports_.empty()) unbind(*ports_.begin());
  close(read_end_);
  close(write_end_);
}

int64_t EventDevice::adopt(int64_t result) {
  if (result < 0) return result;
  const auto port = static_cast<Port>(result);
  ports_.insert(port);
  domain_.events().unmask(port);
  domain_.events().route(port, this);
  return result;
}

int64_t EventDevice::unbind(Port port) {
  if (ports_.erase(port) == 0) return -ENOTCONN;
  domain_.events().route(port, nullptr);
  domain_.events().close(port);
  return 0;
}

int64_t EventDevice::notify(Port port) {
  return ports_.contains(port) ? domain_.events().send(port) : -ENOTCONN;
}

int64_t EventDevice::unmask(Port port) {
  // The device passes over ports that are not the handle's.
  return ports_.contains(port) ? domain_.events().unmask(port) : 0;
}

void EventDevice::raise(Port port) {
  if (domain_.events().mask(port)) return;
  domain_.events().take_pending(port);
  // A client that unmasks and never reads fills the pipe, and misses what does not fit.
  [[maybe_unused]] const ssize_t written = write(write_end_, &port, sizeof(port));
}

}  // namespace ringside::sim::dropin
