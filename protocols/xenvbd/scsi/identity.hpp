#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/node.hpp"

namespace ringside::xenvbd {

/// Who a unit says it is: its VPD pages 80h (serial number) and 83h (designators).
class DiskIdentity {
 public:
  /// The longest page that a back end can give, in bytes.
  static constexpr size_t kMaxPage = 512;

  /// Pages made of the target's number.
  explicit DiskIdentity(uint32_t target);

  /// Those that the back end has in sm-data/scsi/0x12/0x80 and 0x83, base64 with their headers;
  /// for one that is absent, or no such page, the page made of the target's number. Fails as
  /// the store does when a node that may be there could not be read. [SCSI-012]
  Status read(const xenbus::Node& backend);

  std::span<const std::byte> serial_number() const { return serial_.view(); }
  std::span<const std::byte> designators() const { return designators_.view(); }

 private:
  struct Page {
    std::array<std::byte, kMaxPage> bytes{};
    size_t length = 0;
    std::span<const std::byte> view() const { return std::span(bytes).first(length); }
    void set(std::span<const std::byte> from);
  };
  void set_own_pages();
  static Status read_page(const xenbus::Node& backend, uint8_t code, Page& page);

  uint32_t target_;
  Page serial_;
  Page designators_;
};

/// The bytes that `text` (base64, RFC 4648; white space is passed over) stands for, in `into`.
/// kInvalidArgument: no base64. kTooLarge: they do not fit.
Result<size_t> decode_base64(std::string_view text, std::span<std::byte> into);

}  // namespace ringside::xenvbd
