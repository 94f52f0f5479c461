#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace ringside::backends {

/// A thread that waits for files and says once, for each arm(), that one can be read.
class Poller {
 public:
  /// nullptr, and errno, when the kernel has no room for it.
  static std::unique_ptr<Poller> create();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// `readable` is called on the poller's thread; it must not block, add or remove. False, and
  /// errno, when `file` can't be waited for.
  bool add(int file, std::function<void()> readable);
  /// Asks for one call as soon as there is something to read, now or later. Any thread.
  void arm(int file);
  /// After return there is no call for this file.
  void remove(int file);

 private:
  Poller(int epoll, int stop);
  void run();

  int epoll_;
  int stop_;
  std::mutex mutex_;  // files_, and held during calls
  std::map<int, std::function<void()>> files_;
  std::thread thread_;
};

}  // namespace ringside::backends
