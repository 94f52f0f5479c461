#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "backends/blkback/disk.hpp"

namespace ringside::backends {

/// A disk with a cache that forgets when the power fails, and with other faults to order.
class FaultyDisk final : public Disk {
 public:
  /// A number in 0..bound-1.
  using Chooser = std::function<uint64_t(uint64_t bound)>;

  struct Faults {
    std::function<void()> before;  ///< called before whatever is done: a slow disk waits there
    uint64_t fail_at = 0;          ///< the n-th transfer from now on fails, once; 0 for none
    Chooser order;                 ///< of the transfers of a batch; empty: as they come
  };

  explicit FaultyDisk(std::shared_ptr<Disk> platters) : platters_(std::move(platters)) {}

  void set_faults(Faults faults) { faults_ = std::move(faults); }
  /// Each sector written or discarded since the last flush now holds what it held before or after
  /// any of those writes, as `choose` says. A flush that succeeded holds for all that was done
  /// before it.
  void cut_power(const Chooser& choose);
  /// Sectors that a cut could change now.
  size_t cached() const { return history_.size(); }

  uint64_t size() const override { return platters_->size(); }
  bool read_only() const override { return platters_->read_only(); }
  DiskStatus read(uint64_t offset, std::span<std::byte> into) override;
  DiskStatus write(uint64_t offset, std::span<const std::byte> from) override;
  void transfer(std::span<DiskTransfer> transfers) override;
  DiskStatus flush() override;
  DiskStatus discard(uint64_t offset, uint64_t length) override;

 private:
  using Sector = std::array<std::byte, kSectorBytes>;

  bool fails();
  void note(uint64_t offset, uint64_t length);
  DiskStatus run(const DiskTransfer& one);

  std::shared_ptr<Disk> platters_;
  Faults faults_;
  /// By sector: what it held at the last flush and after each write since.
  std::map<uint64_t, std::vector<Sector>> history_;
};

}  // namespace ringside::backends
