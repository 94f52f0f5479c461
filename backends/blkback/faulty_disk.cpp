#include "backends/blkback/faulty_disk.hpp"

#include <numeric>

namespace ringside::backends {

void FaultyDisk::cut_power(const Chooser& choose) {
  for (const auto& [sector, held] : history_) {
    (void)platters_->write(sector * kSectorBytes, held[choose(held.size())]);
  }
  history_.clear();
}

bool FaultyDisk::fails() {
  if (faults_.before) faults_.before();
  return faults_.fail_at > 0 && --faults_.fail_at == 0;
}

/// Remembers what these sectors hold.
void FaultyDisk::note(uint64_t offset, uint64_t length) {
  for (uint64_t at = offset; at < offset + length; at += kSectorBytes) {
    Sector& held = history_[at / kSectorBytes].emplace_back();
    (void)platters_->read(at, held);
  }
}

DiskStatus FaultyDisk::read(uint64_t offset, std::span<std::byte> into) {
  return fails() ? DiskStatus::kError : platters_->read(offset, into);
}

DiskStatus FaultyDisk::write(uint64_t offset, std::span<const std::byte> from) {
  if (fails()) return DiskStatus::kError;
  for (uint64_t at = offset; at < offset + from.size(); at += kSectorBytes) {
    if (!history_.contains(at / kSectorBytes)) note(at, kSectorBytes);
  }
  const DiskStatus status = platters_->write(offset, from);
  note(offset, from.size());
  return status;
}

DiskStatus FaultyDisk::run(const DiskTransfer& one) {
  return one.write ? write(one.offset, one.data) : read(one.offset, one.data);
}

void FaultyDisk::transfer(std::span<DiskTransfer> transfers) {
  std::vector<size_t> order(transfers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = order.size(); faults_.order && i > 1; --i) {
    std::swap(order[i - 1], order[faults_.order(i)]);
  }
  for (const size_t index : order) transfers[index].status = run(transfers[index]);
}

DiskStatus FaultyDisk::flush() {
  if (faults_.before) faults_.before();
  const DiskStatus status = platters_->flush();
  if (status == DiskStatus::kOk) history_.clear();
  return status;
}

DiskStatus FaultyDisk::discard(uint64_t offset, uint64_t length) {
  if (faults_.before) faults_.before();
  for (uint64_t at = offset; at < offset + length; at += kSectorBytes) {
    if (!history_.contains(at / kSectorBytes)) note(at, kSectorBytes);
  }
  const DiskStatus status = platters_->discard(offset, length);
  note(offset, length);
  return status;
}

}  // namespace ringside::backends
