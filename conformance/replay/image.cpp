#include "conformance/replay/image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "conformance/replay/iolog.hpp"
#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr size_t kChunk = size_t{1} << 20;

[[noreturn]] void refuse(const std::string& path, std::string_view what) {
  throw Problem(fmt::format("image {} {}", path, what));
}

int open_image(const std::string& path, bool create) {
  struct stat found {};
  const bool exists = stat(path.c_str(), &found) == 0;
  // Root may write anything; a file without write permission is still meant to be kept.
  if (exists && ((found.st_mode & 0222) == 0 || access(path.c_str(), W_OK) != 0)) {
    refuse(path, "is read-only; make it writable (chmod u+w) or replay on a copy");
  }
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0644);
  if (fd >= 0) return fd;
  if (errno == ENOENT && !create) {
    refuse(path, "does not exist; create it with --size, or truncate -s 64M");
  }
  if (errno == EROFS) refuse(path, "is on a read-only file system; replay on a copy");
  refuse(path, fmt::format("can't be opened: {}", std::strerror(errno)));
}

uint64_t checked_size(const std::string& path, int fd) {
  struct stat found {};
  if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) {
    refuse(path, "is not a regular file; name a raw disk image");
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    refuse(path, "is in use by another program; end that first or replay on a copy");
  }
  const auto size = static_cast<uint64_t>(found.st_size);
  if (size == 0 || size % kSectorSize != 0) {
    refuse(path, fmt::format("has {} bytes, not a multiple of 512; mend it with truncate", size));
  }
  return size;
}

}  // namespace

Image Image::open(const std::string& path, std::optional<uint64_t> create_size) {
  struct stat before {};
  const bool missing = stat(path.c_str(), &before) != 0;
  const int fd = open_image(path, create_size.has_value());
  if (missing && ftruncate(fd, static_cast<off_t>(create_size.value_or(0))) != 0) {
    const int error = errno;
    close(fd);
    unlink(path.c_str());
    refuse(path,
           fmt::format("can't be made {} bytes long: {}", *create_size, std::strerror(error)));
  }
  try {
    const uint64_t size = checked_size(path, fd);
    if (create_size && size != *create_size) {
      refuse(path, fmt::format("exists with {} bytes; leave --size out to use it as it is", size));
    }
    return Image(path, fd, size, /*temporary=*/false);
  } catch (...) {
    close(fd);
    throw;
  }
}

Image Image::temporary(uint64_t bytes) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/ringside-XXXXXX", folder != nullptr ? folder : "/tmp");
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    refuse(path, fmt::format("(temporary) can't be created: {}; set TMPDIR to a folder with "
                             "room",
                             std::strerror(errno)));
  }
  return Image(path, fd, bytes, /*temporary=*/true);
}

Image::Image(Image&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      temporary_(other.temporary_) {}

Image::~Image() {
  if (fd_ < 0) return;
  if (temporary_) unlink(path_.c_str());
  close(fd_);
}

void Image::load_into(DeviceModel& model) const {
  std::vector<std::byte> chunk(kChunk);
  for (uint64_t at = 0; at < size_;) {
    // Holes hold zeroes, which the model has already.
    const off_t data = lseek(fd_, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) return;
    at = static_cast<uint64_t>(data) / kSectorSize * kSectorSize;
    const size_t want = static_cast<size_t>(std::min<uint64_t>(chunk.size(), size_ - at));
    const ssize_t got = pread(fd_, chunk.data(), want, static_cast<off_t>(at));
    if (got != static_cast<ssize_t>(want)) refuse(path_, "can't be read");
    model.write(at, std::span(chunk).first(want));
    at += want;
  }
}

std::optional<uint64_t> Image::mismatch(const DeviceModel& model) const {
  std::vector<std::byte> chunk(kChunk);
  for (uint64_t at = 0; at < size_; at += chunk.size()) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(chunk.size(), size_ - at));
    const ssize_t got = pread(fd_, chunk.data(), want, static_cast<off_t>(at));
    if (got != static_cast<ssize_t>(want)) return at;
    if (const auto wrong = model.mismatch(at, std::span(chunk).first(want))) return wrong;
  }
  return {};
}

}  // namespace ringside::conformance
