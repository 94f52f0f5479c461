#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "conformance/rig/device_model.hpp"

namespace ringside::conformance {

/// The raw image behind a replayed disk: the user's file, or a temporary one that vanishes.
class Image {
 public:
  /// Opens `path` for the replay alone. With `create_size` a missing file is created with
  /// that size. Throws Problem when it is missing, read-only, in use or of an odd size.
  static Image open(const std::string& path, std::optional<uint64_t> create_size);
  static Image temporary(uint64_t bytes);
  Image(Image&& other) noexcept;
  Image& operator=(Image&&) = delete;
  ~Image();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  /// Tells `model` what the image holds now.
  void load_into(DeviceModel& model) const;
  /// The offset of the first sector that isn't what `model` says.
  std::optional<uint64_t> mismatch(const DeviceModel& model) const;

 private:
  Image(std::string path, int fd, uint64_t size, bool temporary)
      : path_(std::move(path)), fd_(fd), size_(size), temporary_(temporary) {}

  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  bool temporary_ = false;
};

}  // namespace ringside::conformance
