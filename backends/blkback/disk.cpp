#include "backends/blkback/disk.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
// The BLK* ioctls of block devices.
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringside::backends {
namespace {

/// Bytes of a regular file or block device; nothing when it is something else.
bool measure(int file, uint64_t& size) {
  struct stat information {};
  if (fstat(file, &information) != 0) return false;
  if (S_ISREG(information.st_mode)) {
    size = static_cast<uint64_t>(information.st_size);
    return true;
  }
  return S_ISBLK(information.st_mode) && ioctl(file, BLKGETSIZE64, &size) == 0;
}

/// Calls `step(done)` until `length` bytes are through; 0 and errors but EINTR end it.
template <typename Step>
DiskStatus repeat(size_t length, Step step) {
  for (size_t done = 0; done < length;) {
    const ssize_t count = step(done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return DiskStatus::kError;
    done += static_cast<size_t>(count);
  }
  return DiskStatus::kOk;
}

}  // namespace

void Disk::transfer(std::span<DiskTransfer> transfers) {
  for (DiskTransfer& one : transfers) {
    one.status = one.write ? write(one.offset, one.data) : read(one.offset, one.data);
  }
}

DiskStatus NullDisk::read(uint64_t, std::span<std::byte> into) {
  std::fill(into.begin(), into.end(), std::byte{0});
  return DiskStatus::kOk;
}

DiskStatus MemoryDisk::read(uint64_t offset, std::span<std::byte> into) {
  std::memcpy(into.data(), bytes_.data() + offset, into.size());
  return DiskStatus::kOk;
}

DiskStatus MemoryDisk::write(uint64_t offset, std::span<const std::byte> from) {
  std::memcpy(bytes_.data() + offset, from.data(), from.size());
  return DiskStatus::kOk;
}

DiskStatus MemoryDisk::flush() {
  ++flushes_;
  return DiskStatus::kOk;
}

DiskStatus MemoryDisk::discard(uint64_t offset, uint64_t length) {
  ++discards_;
  std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), length, std::byte{0});
  return DiskStatus::kOk;
}

std::unique_ptr<FileDisk> FileDisk::open(const std::string& path, Mode mode, std::string& error) {
  const int flags = (mode == Mode::kReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  const int file = ::open(path.c_str(), flags);
  if (file < 0) {
    error = path + ": " + std::strerror(errno);
    return nullptr;
  }
  uint64_t size = 0;
  if (!measure(file, size)) {
    error = path + ": neither a regular file nor a block device";
  } else if (size % kSectorBytes != 0) {
    error = path + ": its size is no multiple of 512 bytes";
  } else {
    return std::unique_ptr<FileDisk>(new FileDisk(file, size, mode));
  }
  ::close(file);
  return nullptr;
}

FileDisk::~FileDisk() { ::close(file_); }

DiskStatus FileDisk::read(uint64_t offset, std::span<std::byte> into) {
  return repeat(into.size(), [&](size_t done) {
    return pread(file_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
  });
}

DiskStatus FileDisk::write(uint64_t offset, std::span<const std::byte> from) {
  return repeat(from.size(), [&](size_t done) {
    return pwrite(file_, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
  });
}

DiskStatus FileDisk::flush() {
  return fdatasync(file_) == 0 ? DiskStatus::kOk : DiskStatus::kError;
}

DiskStatus FileDisk::discard(uint64_t offset, uint64_t length) {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (fallocate(file_, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) == 0) {
    return DiskStatus::kOk;
  }
  return errno == EOPNOTSUPP ? DiskStatus::kNotSupported : DiskStatus::kError;
}

}  // namespace ringside::backends
