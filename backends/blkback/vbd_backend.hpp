#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/blkback/blkback.hpp"
#include "backends/blkback/vbd_queue.hpp"
#include "backends/xenbus/backend_device.hpp"

namespace ringside::backends {

/// One vbd's back end: its disk and its queues. Source: blkif.h, "State diagrams".
class VbdBackend final : public BackendDevice {
 public:
  /// `path` is its own directory in the store.
  VbdBackend(Handles& handles, const Blkback::Config& config, std::string path, VbdIdentity vbd);
  ~VbdBackend() override;

  bool connected() const override { return !queues_.empty(); }
  bool event(evtchn_port_t port) override;
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
  bool read_keys(std::vector<VbdQueueKeys>& keys, std::string& why) const;
  bool read_queue(const std::string& directory, uint32_t pages, VbdQueueKeys& keys,
                  std::string& why) const;
  void publish_size();

  const Blkback::Config& config_;
  VbdIdentity vbd_;
  std::shared_ptr<Disk> disk_;
  uint64_t published_size_ = 0;
  BlkbackStatistics statistics_;
  std::vector<std::unique_ptr<VbdQueue>> queues_;
};

}  // namespace ringside::backends
