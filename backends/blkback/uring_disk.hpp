#pragma once

#include <liburing.h>

#include <memory>
#include <string>

#include "backends/blkback/aligned_buffer.hpp"
#include "backends/blkback/disk.hpp"

namespace ringside::backends {

/// A raw image behind io_uring: the transfers of a batch are under way at the same time, past
/// the page cache where the file can be had so.
class UringDisk final : public Disk {
 public:
  /// nullptr with one sentence in `error` when FileDisk can't open it so or the kernel has no
  /// io_uring for this process.
  static std::unique_ptr<UringDisk> open(const std::string& path, FileDisk::Mode mode,
                                         std::string& error);
  ~UringDisk() override;
  UringDisk(const UringDisk&) = delete;
  UringDisk& operator=(const UringDisk&) = delete;

  /// Why the page cache is in between; empty when it is not.
  const std::string& cached_because() const { return cached_because_; }

  uint64_t size() const override { return file_->size(); }
  bool read_only() const override { return file_->read_only(); }
  DiskStatus read(uint64_t offset, std::span<std::byte> into) override;
  DiskStatus write(uint64_t offset, std::span<const std::byte> from) override;
  void transfer(std::span<DiskTransfer> transfers) override;
  DiskStatus flush() override { return file_->flush(); }
  DiskStatus discard(uint64_t offset, uint64_t length) override {
    return file_->discard(offset, length);
  }

 private:
  static constexpr unsigned kDepth = 128;

  UringDisk(std::unique_ptr<FileDisk> file, const io_uring& ring)
      : file_(std::move(file)), ring_(ring) {
    go_direct();
  }

  void go_direct();
  DiskStatus run_one(bool write, uint64_t offset, std::span<std::byte> data);
  void run(std::span<DiskTransfer> batch);
  void queue(const DiskTransfer& one, size_t done, uint64_t index);

  std::unique_ptr<FileDisk> file_;
  io_uring ring_;
  std::string cached_because_;
  AlignedBuffer bounce_;
};

}  // namespace ringside::backends
