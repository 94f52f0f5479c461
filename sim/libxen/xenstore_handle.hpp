#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "sim/world/world.hpp"
#include "sim/xenstore/store_daemon.hpp"

/// The handle of <xenstore.h>: a client in the process of the embedded server, acting for the
/// domain of the actor that opened it (dom0 outside the actors).
struct xs_handle {
  explicit xs_handle(ringside::sim::StoreDaemon& daemon, bool unwatch_filter);
  ~xs_handle();
  xs_handle(const xs_handle&) = delete;
  xs_handle& operator=(const xs_handle&) = delete;

  ringside::sim::xenstore::Client& client() { return *client_; }
  /// Made at the first call; readable while events may wait. -1 with errno on failure.
  int file();
  std::optional<ringside::sim::xenstore::WatchEvent> next_event();
  /// Sleeps as an actor, or on the file outside the actors.
  void wait_for_event();
  /// With XS_UNWATCH_FILTER: drops what still waits for the watch.
  void forget_events(const std::string& path, const std::string& token);

 private:
  void wake();
  void raise_file();

  std::unique_ptr<ringside::sim::xenstore::Client> client_;
  ringside::sim::Actor* actor_;
  const bool unwatch_filter_;
  std::atomic<int> file_ = -1;
  std::mutex mutex_;  // kept_ and the making of file_
  std::deque<ringside::sim::xenstore::WatchEvent> kept_;
};
