#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/blkback/blkback.hpp"
#include "backends/blkback/executor.hpp"
#include "backends/blkback/guest_ring.hpp"
#include "backends/netback/handles.hpp"

namespace ringside::backends {

/// One vbd's back end: the xenbus state machine around its ring.
///
/// Source: xen/io/xenbus.h, blkif.h "State diagrams"; the order of states is that of Linux'
/// blkback.
class VbdBackend {
 public:
  /// `path` is its own directory in the store.
  VbdBackend(Handles& handles, const Blkback::Config& config, std::string path, VbdIdentity vbd);
  ~VbdBackend();
  VbdBackend(const VbdBackend&) = delete;
  VbdBackend& operator=(const VbdBackend&) = delete;

  /// Opens the disk, publishes the features and follows the front end from here on.
  void start();
  /// Something changed in its own directory or in the front end's state.
  void changed();
  bool event(evtchn_port_t port) const { return connected() && port == port_; }
  /// Answers all requests there are and publishes a new size.
  void pump();

  bool connected() const { return ring_ != nullptr; }
  const BlkbackStatistics& statistics() const { return statistics_; }

 private:
  bool open_disk();
  bool publish_limits();
  bool publish_properties();
  uint32_t info() const;
  void become(xenbus_state state);
  void connect();
  bool read_ring_refs(std::vector<uint32_t>& refs, std::string& why) const;
  bool map_ring(const std::vector<uint32_t>& refs, std::string& why);
  void disconnect();
  void fail(const std::string& why);
  bool serve_batch();
  void answer(std::vector<GuestResponse>& responses);
  void publish_size();

  Handles& handles_;
  StoreView store_;
  const Blkback::Config& config_;
  std::string path_;
  std::string frontend_;
  VbdIdentity vbd_;
  std::shared_ptr<Disk> disk_;
  uint64_t published_size_ = 0;
  xenbus_state state_ = XenbusStateUnknown;
  void* mapped_ = nullptr;
  uint32_t mapped_pages_ = 0;
  std::unique_ptr<GuestRing> ring_;
  std::unique_ptr<Executor> executor_;
  evtchn_port_t port_ = 0;
  BlkbackStatistics statistics_;
};

}  // namespace ringside::backends
