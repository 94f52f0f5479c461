#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "backends/netback/vnet_header.hpp"

namespace ringside::backends {

/// One queue of a TAP interface: whoever holds it is the cable's other end. Never blocks.
/// Frames come and go with a VnetHeader; checksum and TCP segmentation are left to us.
class TapDevice {
 public:
  /// Attaches to the interface `name` of the calling thread's network namespace, and makes it
  /// when there is none. Nothing, and one clause that says why in `error`, when that fails.
  static std::optional<TapDevice> open(const std::string& name, bool multi_queue,
                                       std::string& error);
  TapDevice(TapDevice&& other) noexcept;
  TapDevice& operator=(TapDevice&&) = delete;
  ~TapDevice();

  /// For polling.
  int file() const { return file_; }
  /// Moves the next frame to `frame`: its length, or nothing when none waits. What does not fit
  /// is cut off.
  std::optional<size_t> read(VnetHeader& header, std::span<std::byte> frame) const;
  /// Writes one frame, which lies in `pieces`; false when the kernel did not take it.
  bool write(const VnetHeader& header, std::span<const std::span<const std::byte>> pieces) const;

 private:
  explicit TapDevice(int file) : file_(file) {}

  int file_;
};

}  // namespace ringside::backends
