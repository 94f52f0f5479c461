#include "protocols/xenvbd/scsi/sense.hpp"

#include <span>

#include "protocols/xenvbd/scsi/cdb.hpp"

namespace ringside::xenvbd {
namespace {

constexpr std::byte kCurrentFixed{0x70};
constexpr uint8_t kPointerValid = 0x80;
constexpr uint8_t kPointsIntoCdb = 0x40;
constexpr uint8_t kBitValid = 0x08;

}  // namespace

std::array<std::byte, Sense::kBytes> Sense::bytes() const {
  // SCSI-002: 18 bytes of the fixed format, for who got the command wrong with a field pointer.
  std::array<std::byte, kBytes> bytes{};
  bytes[0] = kCurrentFixed;
  bytes[2] = std::byte(key);
  bytes[7] = std::byte{kBytes - 8};
  bytes[12] = std::byte(code);
  bytes[13] = std::byte(qualifier);
  if (pointer.where == FieldPointer::Where::kNowhere) return bytes;
  uint8_t flags = kPointerValid;
  if (pointer.where == FieldPointer::Where::kCdb) flags |= kPointsIntoCdb;
  if (pointer.bit < FieldPointer::kWholeByte) flags |= kBitValid | pointer.bit;
  bytes[15] = std::byte(flags);
  store_big(std::span(bytes).subspan(16, 2), pointer.byte);
  return bytes;
}

}  // namespace ringside::xenvbd
