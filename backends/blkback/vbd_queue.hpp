#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/blkback/blkback.hpp"
#include "backends/blkback/executor.hpp"
#include "backends/blkback/guest_ring.hpp"

namespace ringside::backends {

/// Where one queue of a front end is to be found, as it says in the store.
struct VbdQueueKeys {
  std::vector<uint32_t> ring_refs;
  uint32_t channel = 0;
};

/// One connected queue of a vbd: its mapped ring, its event channel, its requests. Source:
/// xen/io/blkif.h, "Multiple hardware queues/rings". [BLKIF-NEG-006]
class VbdQueue {
 public:
  /// nullptr with a sentence in `why` when something can't be had. `protocol` is that of
  /// GuestRing.
  static std::unique_ptr<VbdQueue> connect(Handles& handles, const VbdQueueKeys& keys,
                                           const std::string& protocol, const Service& service,
                                           const Blkback::Config& config, std::string& why);
  /// Nothing of the guest's is mapped or bound any more.
  ~VbdQueue();
  VbdQueue(const VbdQueue&) = delete;
  VbdQueue& operator=(const VbdQueue&) = delete;

  evtchn_port_t port() const { return port_; }
  /// Answers all requests there are; false when the ring makes no sense.
  bool serve();

 private:
  static constexpr size_t kBatch = 128;  ///< requests on the disk at a time

  VbdQueue(Handles& handles, const Service& service, const Blkback::Config& config)
      : handles_(handles), config_(config), executor_(handles, service) {}

  bool map_ring(const VbdQueueKeys& keys, uint16_t domain);
  bool serve_batch(bool& empty);
  void answer(std::vector<GuestResponse>& responses);

  Handles& handles_;
  const Blkback::Config& config_;
  void* mapped_ = nullptr;
  uint32_t mapped_pages_ = 0;
  bool bound_ = false;
  evtchn_port_t port_ = 0;
  std::unique_ptr<GuestRing> ring_;
  Executor executor_;
  std::vector<GuestRequest> requests_;  ///< the batch at hand
};

}  // namespace ringside::backends
