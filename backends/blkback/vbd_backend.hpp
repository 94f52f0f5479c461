#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/blkback/blkback.hpp"
#include "backends/blkback/executor.hpp"
#include "backends/blkback/guest_ring.hpp"
#include "backends/xenbus/backend_device.hpp"

namespace ringside::backends {

/// One vbd's back end: its disk and its ring. Source: blkif.h, "State diagrams".
class VbdBackend final : public BackendDevice {
 public:
  /// `path` is its own directory in the store.
  VbdBackend(Handles& handles, const Blkback::Config& config, std::string path, VbdIdentity vbd);
  ~VbdBackend() override;

  bool connected() const override { return ring_ != nullptr; }
  bool event(evtchn_port_t port) override { return connected() && port == port_; }
  /// Answers all requests there are and publishes a new size.
  void pump() override;

  const BlkbackStatistics& statistics() const { return statistics_; }

 private:
  bool open() override;
  bool publish_features() override;
  void connect() override;
  void disconnect() override;

  bool publish_properties();
  uint32_t info() const;
  bool read_ring_refs(std::vector<uint32_t>& refs, std::string& why) const;
  bool map_ring(const std::vector<uint32_t>& refs, std::string& why);
  bool serve_batch();
  void answer(std::vector<GuestResponse>& responses);
  void publish_size();

  const Blkback::Config& config_;
  VbdIdentity vbd_;
  std::shared_ptr<Disk> disk_;
  uint64_t published_size_ = 0;
  void* mapped_ = nullptr;
  uint32_t mapped_pages_ = 0;
  std::unique_ptr<GuestRing> ring_;
  std::unique_ptr<Executor> executor_;
  evtchn_port_t port_ = 0;
  BlkbackStatistics statistics_;
};

}  // namespace ringside::backends
