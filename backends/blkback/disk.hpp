#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ringside::backends {

inline constexpr uint32_t kSectorBytes = 512;

enum class DiskStatus : uint8_t { kOk, kError, kNotSupported };

/// One read or write of a batch.
struct DiskTransfer {
  bool write = false;
  uint64_t offset = 0;
  std::span<std::byte> data;  ///< stays as it is when it is to be written
  DiskStatus status = DiskStatus::kOk;
};

/// What a blkback serves. Offsets and lengths are bytes within size(), which the caller has
/// checked, and whole sectors; calls come from one back end at a time.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual uint64_t size() const = 0;  ///< bytes, a multiple of 512
  virtual bool read_only() const = 0;
  virtual DiskStatus read(uint64_t offset, std::span<std::byte> into) = 0;
  virtual DiskStatus write(uint64_t offset, std::span<const std::byte> from) = 0;
  /// Does them all, in any order or at the same time; each has its status then. One after the
  /// other unless the disk knows better.
  virtual void transfer(std::span<DiskTransfer> transfers);
  /// What was written before survives a crash of the host after this.
  virtual DiskStatus flush() = 0;
  /// The contents of the range may be lost.
  virtual DiskStatus discard(uint64_t offset, uint64_t length) = 0;
};

/// A disk of this process's memory.
class MemoryDisk final : public Disk {
 public:
  explicit MemoryDisk(uint64_t sectors, bool read_only = false)
      : bytes_(sectors * kSectorBytes), read_only_(read_only) {}

  /// Grows with zeros, or cuts.
  void resize(uint64_t sectors) { bytes_.resize(sectors * kSectorBytes); }
  std::span<std::byte> bytes() { return bytes_; }
  uint64_t flushes() const { return flushes_; }
  uint64_t discards() const { return discards_; }

  uint64_t size() const override { return bytes_.size(); }
  bool read_only() const override { return read_only_; }
  DiskStatus read(uint64_t offset, std::span<std::byte> into) override;
  DiskStatus write(uint64_t offset, std::span<const std::byte> from) override;
  DiskStatus flush() override;
  DiskStatus discard(uint64_t offset, uint64_t length) override;

 private:
  std::vector<std::byte> bytes_;
  bool read_only_;
  uint64_t flushes_ = 0;
  uint64_t discards_ = 0;
};

/// Takes what is written to it for granted, and is full of zeroes.
class NullDisk final : public Disk {
 public:
  explicit NullDisk(uint64_t sectors) : sectors_(sectors) {}

  uint64_t size() const override { return sectors_ * kSectorBytes; }
  bool read_only() const override { return false; }
  DiskStatus read(uint64_t offset, std::span<std::byte> into) override;
  DiskStatus write(uint64_t, std::span<const std::byte>) override { return DiskStatus::kOk; }
  DiskStatus flush() override { return DiskStatus::kOk; }
  DiskStatus discard(uint64_t, uint64_t) override { return DiskStatus::kOk; }

 private:
  uint64_t sectors_;
};

/// A raw image: sector n of the disk is at byte n * 512 of the file or block device.
class FileDisk final : public Disk {
 public:
  enum class Mode : uint8_t { kReadWrite, kReadOnly };

  /// nullptr with one sentence in `error` when the image can't be opened so: no such file,
  /// not writable, a directory, not a whole number of sectors.
  static std::unique_ptr<FileDisk> open(const std::string& path, Mode mode, std::string& error);
  ~FileDisk() override;
  FileDisk(const FileDisk&) = delete;
  FileDisk& operator=(const FileDisk&) = delete;

  int file() const { return file_; }

  uint64_t size() const override { return size_; }
  bool read_only() const override { return mode_ == Mode::kReadOnly; }
  DiskStatus read(uint64_t offset, std::span<std::byte> into) override;
  DiskStatus write(uint64_t offset, std::span<const std::byte> from) override;
  DiskStatus flush() override;
  /// Punches a hole; kNotSupported where the file system can't.
  DiskStatus discard(uint64_t offset, uint64_t length) override;

 private:
  FileDisk(int file, uint64_t size, Mode mode) : file_(file), size_(size), mode_(mode) {}

  int file_;
  uint64_t size_;
  Mode mode_;
};

}  // namespace ringside::backends
