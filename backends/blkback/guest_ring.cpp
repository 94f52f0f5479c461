#include "backends/blkback/guest_ring.hpp"

#include <algorithm>

#include "protocols/platform/blkif_abi.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"

namespace ringside::backends {
namespace {

/// Also that of the 64-bit ARM ABI.
struct Layout64 {
  using Request = platform::x86_64::BlkifRequest;
  using Discard = platform::x86_64::BlkifRequestDiscard;
  using Indirect = platform::x86_64::BlkifRequestIndirect;
  using Response = platform::x86_64::BlkifResponse;
};

struct Layout32 {
  using Request = platform::x86_32::BlkifRequest;
  using Discard = platform::x86_32::BlkifRequestDiscard;
  using Indirect = platform::x86_32::BlkifRequestIndirect;
  using Response = platform::x86_32::BlkifResponse;
};

template <typename Layout>
GuestRequest decode(const typename Layout::Request& slot) {
  GuestRequest request;
  request.operation = slot.operation;
  if (slot.operation == BLKIF_OP_DISCARD) {
    const auto discard = ring::slot_as<typename Layout::Discard>(slot);
    request.discard_flags = discard.flag;
    request.id = discard.id;
    request.sector = discard.sector_number;
    request.sectors = discard.nr_sectors;
  } else if (slot.operation == BLKIF_OP_INDIRECT) {
    const auto indirect = ring::slot_as<typename Layout::Indirect>(slot);
    request.indirect = true;
    request.operation = indirect.indirect_op;
    request.segment_count = indirect.nr_segments;
    request.id = indirect.id;
    request.sector = indirect.sector_number;
    request.indirect_refs = std::to_array(indirect.indirect_grefs);
  } else {
    request.segment_count = slot.nr_segments;
    request.id = slot.id;
    request.sector = slot.sector_number;
    request.segments = std::to_array(slot.seg);
  }
  return request;
}

template <typename Layout>
class RingOf final : public GuestRing {
 public:
  using Ring = ring::BackRing<typename Layout::Request, typename Layout::Response>;

  explicit RingOf(Ring&& ring) : ring_(std::move(ring)) {}

  Result<std::optional<GuestRequest>> take() override {
    // RING-009: the slot is copied once; what is checked is what is used.
    const auto slot = ring_.take();
    if (!slot) return slot.status();
    if (!*slot) return std::optional<GuestRequest>();
    return std::optional<GuestRequest>(decode<Layout>(**slot));
  }

  void put(const GuestResponse& response) override {
    ring::Zeroed<typename Layout::Response> wire;  // RING-014, XSA-216
    wire.id = response.id;
    wire.operation = response.operation;
    wire.status = response.status;
    ring_.put(wire);
  }

  bool publish() override { return ring_.publish(); }
  bool arm() override { return ring_.arm(); }

 private:
  Ring ring_;
};

template <typename Layout>
Result<std::unique_ptr<GuestRing>> make(std::span<std::byte> area, ring::Tap* tap) {
  auto ring = RingOf<Layout>::Ring::create(area);
  if (!ring) return ring.status();
  ring->attach(tap);
  return std::unique_ptr<GuestRing>(std::make_unique<RingOf<Layout>>(*std::move(ring)));
}

}  // namespace

Result<std::unique_ptr<GuestRing>> GuestRing::create(std::string_view protocol,
                                                     std::span<std::byte> area, ring::Tap* tap) {
  if (protocol.empty() || protocol == XEN_IO_PROTO_ABI_X86_64 || protocol == XEN_IO_PROTO_ABI_ARM) {
    return make<Layout64>(area, tap);
  }
  if (protocol == XEN_IO_PROTO_ABI_X86_32) return make<Layout32>(area, tap);
  return Status::kNotSupported;
}

}  // namespace ringside::backends
