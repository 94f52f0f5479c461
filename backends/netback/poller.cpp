#include "backends/netback/poller.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>

namespace ringside::backends {
namespace {

bool control(int epoll, int operation, int file, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = file;
  return epoll_ctl(epoll, operation, file, &event) == 0;
}

}  // namespace

std::unique_ptr<Poller> Poller::create() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll >= 0 && stop >= 0 && control(epoll, EPOLL_CTL_ADD, stop, EPOLLIN)) {
    return std::unique_ptr<Poller>(new Poller(epoll, stop));
  }
  if (epoll >= 0) close(epoll);
  if (stop >= 0) close(stop);
  return nullptr;
}

Poller::Poller(int epoll, int stop) : epoll_(epoll), stop_(stop), thread_([this] { run(); }) {}

Poller::~Poller() {
  eventfd_write(stop_, 1);
  thread_.join();
  close(stop_);
  close(epoll_);
}

bool Poller::add(int file, std::function<void()> readable) {
  const std::lock_guard lock(mutex_);
  if (!control(epoll_, EPOLL_CTL_ADD, file, EPOLLONESHOT)) return false;
  files_[file] = std::move(readable);
  return true;
}

void Poller::arm(int file) { control(epoll_, EPOLL_CTL_MOD, file, EPOLLIN | EPOLLONESHOT); }

void Poller::remove(int file) {
  control(epoll_, EPOLL_CTL_DEL, file, 0);
  const std::lock_guard lock(mutex_);
  files_.erase(file);
}

void Poller::run() {
  std::array<epoll_event, 16> events;
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < count; ++i) {
      const int file = events[static_cast<size_t>(i)].data.fd;
      if (file == stop_) return;
      if (const auto found = files_.find(file); found != files_.end()) found->second();
    }
  }
}

}  // namespace ringside::backends
