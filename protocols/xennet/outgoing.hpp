#pragma once

#include <array>
#include <cstddef>

#include "protocols/platform/memory.hpp"
#include "protocols/xennet/net_buffer.hpp"
#include "protocols/xennet/statistics.hpp"
#include "protocols/xenvif/packet.hpp"

namespace ringside::xennet {

/// One packet on its way out: a NetBuffer as XENVIF takes it.
struct Outgoing {
  static constexpr size_t kInlineFragments = 24;
  static constexpr size_t kHead = 512;  ///< as much as XENVIF looks for headers in

  NetBufferList* list = nullptr;
  uint32_t length = 0;
  Cast cast = Cast::kDirected;
  std::array<xenvif::Fragment, kInlineFragments> fragments;
  platform::Array<xenvif::Fragment> more;  ///< instead, for a chain of more pieces
  /// The headers where they are not as the protocol gave them: tagged, or with a checksum
  /// put in. XENVIF copies all headers, so this needs no page number.
  std::array<std::byte, kHead> head;

  /// Lays out `buffer` and says in `packet` what is to be done with it; kSuccess, or why it
  /// can't be sent. `packet` refers to this object.
  NdisStatus build(platform::Platform& platform, const NetBufferList& from, const NetBuffer& buffer,
                   xenvif::TxPacket& packet);
};

/// Walks the bytes of a NetBuffer from front to back.
class MdlCursor {
 public:
  explicit MdlCursor(const NetBuffer& buffer)
      : mdl_(buffer.mdl), offset_(buffer.offset), left_(buffer.length) {}

  /// The next run of bytes inside one page; length 0 at the end of the packet or of its MDLs.
  xenvif::Fragment next();
  /// Copies what there is of `to.size()` bytes; how many that were.
  size_t copy(std::span<std::byte> to);
  void skip(uint32_t bytes);
  uint32_t left() const { return left_; }

 private:
  xenvif::Fragment run(uint32_t limit);

  const Mdl* mdl_;
  uint32_t offset_;
  uint32_t left_;
};

/// A number that is the same for all packets of a flow, to choose a queue by.
uint32_t flow_hash(const NetBufferList& list);

}  // namespace ringside::xennet
