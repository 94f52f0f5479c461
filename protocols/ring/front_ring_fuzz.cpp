#include "protocols/ring/front_ring.hpp"

#include <array>
#include <cstdlib>
#include <cstring>

#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"

namespace {

using ringside::ring::BackRing;
using ringside::ring::FrontRing;

void require(bool holds) {
  if (!holds) std::abort();
}

// Each input byte is one step of the driver, or of a peer that writes where it likes.
enum Step : uint8_t { kPut, kPublish, kTake, kArm, kServe, kScribble, kSteps };

alignas(4096) std::array<std::byte, 4096> page;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  page.fill(std::byte{0});
  auto front = *FrontRing<netif_tx_request_t, netif_tx_response_t>::create(page);
  auto back = *BackRing<netif_tx_request_t, netif_tx_response_t>::create(page);
  for (size_t i = 0; i < size; ++i) {
    switch (data[i] % kSteps) {
      case kPut:
        if (front.free_slots() > 0) front.put(netif_tx_request_t{});
        break;
      case kPublish: static_cast<void>(front.publish()); break;
      case kTake: {
        const uint32_t outstanding = front.outstanding();
        netif_tx_response_t response;
        const auto taken = front.take(response);
        // RING-008: whatever the peer wrote, no more responses than there were requests.
        require(!taken.value_or(false) || outstanding > 0);
        require(taken.ok() || front.closed());
        break;
      }
      case kArm: static_cast<void>(front.arm()); break;
      case kServe: {
        netif_tx_request_t request;
        if (back.take(request).value_or(false)) back.put(netif_tx_response_t{});
        static_cast<void>(back.publish());
        break;
      }
      case kScribble: {
        if (i + 5 >= size) return 0;
        const size_t at = data[i + 1] % (page.size() / 4) * 4;
        std::memcpy(&page[at], &data[i + 2], 4);
        i += 5;
        break;
      }
    }
    require(front.outstanding() <= front.size() && front.free_slots() <= front.size());
    require(back.unanswered() <= back.size() && back.unconsumed() <= back.size());
  }
  return 0;
}
