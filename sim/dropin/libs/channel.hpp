#pragma once

#include <mutex>

#include "sim/dropin/protocol.hpp"

namespace ringside::sim::dropin {

/// A handle's connection to the simulated host. Errors are in errno, as the libraries have them:
/// ENOENT where there is no host, ENODEV once it is gone.
class Channel {
 public:
  Channel() = default;
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Connects and opens the device `what` is for; false on failure.
  bool open(Operation what);
  /// The result, or -1 with errno. Any thread.
  int call(const Request& request, Reply& reply);
  int call(const Request& request);

  int socket() const { return socket_; }
  /// What came with the opening, or -1.
  int file() const { return file_; }

 private:
  bool receive(Reply& reply);

  std::mutex mutex_;
  int socket_ = -1;
  int file_ = -1;
};

/// Fails a call that is not supported: one line on standard error, ENOSYS, -1.
int unsupported(const char* function);

}  // namespace ringside::sim::dropin

/// Marks what a library exports; everything else of it is hidden.
#define RINGSIDE_EXPORT extern "C" __attribute__((visibility("default")))

/// Functions that exist so that programs can be loaded, and fail: one that answers a number, one
/// that answers a pointer.
#define RINGSIDE_UNSUPPORTED(name) \
  RINGSIDE_EXPORT long name() { return ringside::sim::dropin::unsupported(#name); }
#define RINGSIDE_UNSUPPORTED_POINTER(name)     \
  RINGSIDE_EXPORT void* name() {               \
    ringside::sim::dropin::unsupported(#name); \
    return nullptr;                            \
  }
