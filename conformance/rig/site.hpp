#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "backends/netback/port.hpp"
#include "conformance/rig/vbd_device.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::conformance {

/// A host with its back ends, and where the devices that they serve lead. In a threaded world what
/// they look things up in must not change any more once they run.
class Site {
 public:
  /// Takes up to a null profile for what is not needed.
  struct Config {
    const backends::NetbackProfile* net = nullptr;
    const backends::BlkbackProfile* blk = nullptr;
    ring::Tap* blk_tap = nullptr;
  };

  explicit Site(std::unique_ptr<Host> host) : host_(std::move(host)) {}
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  /// Starts those back ends that `config` has a profile for.
  void start(const Config& config);
  /// They die where they stand.
  void stop();

  Host& host() { return *host_; }
  NetbackActor* netback() { return netback_.get(); }
  BlkbackActor* blkback() { return blkback_.get(); }

  /// What a vif or vbd of `domid` leads to, before it is attached.
  void wire(uint16_t domid, unsigned handle, backends::Port& port) {
    ports_[{domid, handle}] = &port;
  }
  void wire(uint16_t domid, unsigned vdev, std::shared_ptr<backends::Disk> disk) {
    disks_[{domid, vdev}] = std::move(disk);
  }

 private:
  using Key = std::pair<uint16_t, unsigned>;

  std::unique_ptr<Host> host_;
  std::map<Key, backends::Port*> ports_;
  std::map<Key, std::shared_ptr<backends::Disk>> disks_;
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<BlkbackActor> blkback_;
};

}  // namespace ringside::conformance
