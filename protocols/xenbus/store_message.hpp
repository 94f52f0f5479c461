#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/platform/status.hpp"
#include "protocols/platform/xen.hpp"

namespace ringside::xenbus {

/// One message of xenstored as it arrives, in pieces of any size. [STORE-006]
///
/// Fill room() and say how much by filled(); full() turns true at the last byte.
class StoreMessage {
 public:
  /// The bytes that are wanted next; never empty before full().
  std::span<std::byte> room();
  /// kPeerViolation when the header announces more than 4096 bytes. [STORE-025]
  Status filled(size_t count);
  bool full() const { return received_ == wanted(); }
  void clear() { received_ = 0; }

  const xsd_sockmsg& header() const { return header_; }
  /// Precondition: full().
  std::string_view payload() const { return {payload_.data(), header_.len}; }

 private:
  size_t wanted() const;

  xsd_sockmsg header_{};
  std::array<char, XENSTORE_PAYLOAD_MAX> payload_;
  size_t received_ = 0;
};

/// The Status for an error name such as "ENOENT"; kIoError for one that is not known. [STORE-022]
Status status_of_error(std::string_view name);

/// kOk when xenstored would take `path`: characters, slashes, length. [STORE-009]
Status check_path(std::string_view path);

}  // namespace ringside::xenbus
