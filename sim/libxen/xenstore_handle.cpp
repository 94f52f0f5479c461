#include "sim/libxen/xenstore_handle.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>
#include <utility>

using ringside::sim::Actor;
using ringside::sim::StoreDaemon;
using ringside::sim::xenstore::WatchEvent;

namespace {

/// `path` is `base` or lies below it.
bool concerns(std::string_view path, std::string_view base) {
  if (!path.starts_with(base)) return false;
  return path.size() == base.size() || base == "/" || path[base.size()] == '/';
}

}  // namespace

xs_handle::xs_handle(StoreDaemon& daemon, bool unwatch_filter)
    : client_(daemon.connect(Actor::current() != nullptr ? Actor::current()->place().domain : 0)),
      actor_(Actor::current()),
      unwatch_filter_(unwatch_filter) {
  client_->on_event([this] { wake(); });
}

xs_handle::~xs_handle() {
  client_.reset();
  if (file_ >= 0) close(file_);
}

void xs_handle::wake() {
  if (actor_ != nullptr) actor_->wake();
  raise_file();
}

void xs_handle::raise_file() {
  const uint64_t one = 1;
  if (file_ < 0) return;
  // A full counter is readable as well, so a failure to add to it is none.
  [[maybe_unused]] const ssize_t written = write(file_, &one, sizeof(one));
}

int xs_handle::file() {
  const std::lock_guard lock(mutex_);
  if (file_ < 0) {
    file_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    raise_file();  // events may have come before there was a file
  }
  return file_;
}

std::optional<WatchEvent> xs_handle::next_event() {
  const std::lock_guard lock(mutex_);
  if (!kept_.empty()) {
    WatchEvent event = std::move(kept_.front());
    kept_.pop_front();
    return event;
  }
  if (auto event = client_->next_event()) return event;
  // Lower the file first, then look again: an event may come in between.
  uint64_t count;
  if (file_ < 0) return std::nullopt;
  [[maybe_unused]] const ssize_t drained = read(file_, &count, sizeof(count));
  return client_->next_event();
}

void xs_handle::wait_for_event() {
  if (Actor* self = Actor::current()) {
    self->sleep();
    return;
  }
  pollfd polled{file(), POLLIN, 0};
  poll(&polled, 1, -1);
}

void xs_handle::forget_events(const std::string& path, const std::string& token) {
  if (!unwatch_filter_) return;
  const std::lock_guard lock(mutex_);
  while (auto event = client_->next_event()) kept_.push_back(std::move(*event));
  std::erase_if(kept_, [&](const WatchEvent& event) {
    return event.token == token && concerns(event.path, path);
  });
}
