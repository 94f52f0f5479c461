#include "backends/netback/vnet_header.hpp"

#include <algorithm>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kMaxHeaders = 512;

xenvif::Headers headers_of(std::span<const std::byte> frame) {
  return xenvif::parse_headers(frame.first(std::min(frame.size(), kMaxHeaders)));
}

/// False when the place of the checksum is not in the frame.
bool fill(std::span<std::byte> frame, size_t start, size_t field) {
  if (field + sizeof(uint16_t) > frame.size() || start > field) return false;
  xenvif::ChecksumSum sum;
  sum.add(frame.subspan(start));  // what the field holds, the pseudo header's sum, included
  const auto value = static_cast<uint16_t>(~sum.folded());
  xenvif::write_be16(&frame[field], value == 0 ? uint16_t{0xffff} : value);
  return true;
}

}  // namespace

std::optional<Offload> from_vnet(const VnetHeader& header, std::span<std::byte> frame) {
  Offload offload;
  switch (header.gso_type & ~VnetHeader::kGsoEcn) {
    case VnetHeader::kGsoNone: break;
    case VnetHeader::kGsoTcpV4: offload.gso_type = Frame::GsoType::kTcpV4; break;
    case VnetHeader::kGsoTcpV6: offload.gso_type = Frame::GsoType::kTcpV6; break;
    default: return {};
  }
  if (offload.gso_type != Frame::GsoType::kNone) {
    if (header.gso_size == 0) return {};
    offload.gso_size = header.gso_size;
    offload.checksum = Frame::Checksum::kBlank;
    return offload;
  }
  if (header.flags & VnetHeader::kNeedsChecksum) {
    const size_t field = size_t{header.checksum_start} + header.checksum_offset;
    const xenvif::Headers headers = headers_of(frame);
    if (headers.protocol != 0 && headers.transport == header.checksum_start &&
        headers.checksum_offset() == field) {
      offload.checksum = Frame::Checksum::kBlank;
    } else if (!fill(frame, header.checksum_start, field)) {
      return {};
    }
  } else if (header.flags & VnetHeader::kDataValid) {
    offload.checksum = Frame::Checksum::kValidated;
  }
  return offload;
}

VnetHeader to_vnet(const Offload& offload, std::span<const std::byte> head) {
  VnetHeader header{};
  if (offload.checksum == Frame::Checksum::kValidated) header.flags = VnetHeader::kDataValid;
  if (offload.checksum != Frame::Checksum::kBlank) return header;
  const xenvif::Headers headers = headers_of(head);
  if (headers.protocol == 0) return header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.checksum_start = headers.transport;
  header.checksum_offset = static_cast<uint16_t>(headers.checksum_offset() - headers.transport);
  if (offload.gso_type == Frame::GsoType::kNone || headers.protocol != xenvif::kProtocolTcp) {
    return header;
  }
  header.gso_type =
      offload.gso_type == Frame::GsoType::kTcpV4 ? VnetHeader::kGsoTcpV4 : VnetHeader::kGsoTcpV6;
  header.gso_size = offload.gso_size;
  header.header_length = headers.length;
  return header;
}

}  // namespace ringside::backends
