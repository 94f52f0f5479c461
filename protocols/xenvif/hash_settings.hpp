#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenvif/hash.hpp"

namespace ringside::xenvif {

/// Which hash received packets get, and which queue each value leads to.
struct HashConfig {
  static constexpr unsigned kMaxMapping = 128;  ///< as NDIS has it

  HashTypes types = 0;  ///< 0: no hash
  std::array<std::byte, Toeplitz::kMaxKey> key{};
  unsigned key_length = 0;
  /// Queues by the hash modulo the size; without any, by the hash modulo the queues.
  std::array<uint16_t, kMaxMapping> mapping{};
  unsigned mapping_size = 0;
};

/// The configuration as the queues see it: whoever runs on a request path only looks whether it
/// is another one.
class HashSettings {
 public:
  Status start(platform::Platform& platform) {
    auto lock = platform.create_lock();
    if (!lock) return lock.status();
    lock_ = *std::move(lock);
    return Status::kOk;
  }
  void set(const HashConfig& config) {
    const platform::LockGuard guard(*lock_);
    config_ = config;
    version_.fetch_add(1, std::memory_order_release);
  }
  HashConfig get() const {
    const platform::LockGuard guard(*lock_);
    return config_;
  }
  /// Another one after each set().
  uint32_t version() const { return version_.load(std::memory_order_acquire); }

  /// The back end hashes, and takes hashes with what it is sent.
  bool accepted() const { return accepted_.load(std::memory_order_relaxed); }
  void set_accepted(bool accepted) { accepted_.store(accepted, std::memory_order_relaxed); }

 private:
  Owned<platform::Lock> lock_;
  HashConfig config_;
  std::atomic<uint32_t> version_{0};
  std::atomic<bool> accepted_{false};
};

}  // namespace ringside::xenvif
