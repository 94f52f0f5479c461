// libxengnttab.so.1: copies. The host holds the granted pages while the bytes are copied here.
#include <cerrno>
#include <cstring>

#include "sim/dropin/libs/gnttab_handle.hpp"

using namespace ringside::sim::dropin;

namespace {

constexpr uint32_t kPage = 4096;
/// With both sides granted they fill a batch.
constexpr uint32_t kSegments = kBatch / 2;

using Segment = xengnttab_grant_copy_segment_t;
using Pointer = Segment::xengnttab_copy_ptr;

bool from_grant(const Segment& segment) { return (segment.flags & GNTCOPY_source_gref) != 0; }
bool to_grant(const Segment& segment) { return (segment.flags & GNTCOPY_dest_gref) != 0; }

/// What the device refuses before it asks Xen.
bool makes_sense(const Segment& segment) {
  const auto crosses = [&](const Pointer& side) {
    return uint32_t{side.foreign.offset} + segment.len > kPage;
  };
  return (from_grant(segment) || to_grant(segment)) &&
         !(from_grant(segment) && crosses(segment.source)) &&
         !(to_grant(segment) && crosses(segment.dest));
}

/// The pages held for a batch, in the order in which they were asked for.
class Held {
 public:
  Held(std::byte* memory, const Page* pages) : memory_(memory), next_(pages) {}

  /// The bytes of one side; nullptr, and the status in the segment, when they can't be had.
  std::byte* take(Segment& segment, const Pointer& side, bool granted) {
    if (!granted) return static_cast<std::byte*>(side.virt);
    const Page& page = *next_++;
    const uint32_t offset = side.foreign.offset;
    if (page.status != GNTST_okay) {
      segment.status = static_cast<int16_t>(page.status);
      return nullptr;
    }
    if (offset < page.start || offset + segment.len > page.start + page.length) {
      segment.status = GNTST_general_error;
      return nullptr;
    }
    return memory_ + size_t{page.frame} * kPage + offset;
  }

 private:
  std::byte* memory_;
  const Page* next_;
};

int copy_batch(xengntdev_handle& device, std::byte* memory, Segment* segments, uint32_t count) {
  Request request(Operation::kHold);
  for (uint32_t i = 0; i < count; ++i) {
    const Segment& segment = segments[i];
    const auto want = [&](const Pointer& side, uint32_t writable) {
      request.grants[request.count++] = {side.foreign.domid, side.foreign.ref, writable};
    };
    if (from_grant(segment)) want(segment.source, 0);
    if (to_grant(segment)) want(segment.dest, 1);
  }
  Reply reply;
  if (device.channel.call(request, reply) < 0) return -1;
  Held held(memory, reply.pages);
  for (uint32_t i = 0; i < count; ++i) {
    Segment& segment = segments[i];
    segment.status = GNTST_okay;
    const std::byte* source = held.take(segment, segment.source, from_grant(segment));
    std::byte* dest = held.take(segment, segment.dest, to_grant(segment));
    if (source != nullptr && dest != nullptr) std::memmove(dest, source, segment.len);
  }
  return device.channel.call(Request(Operation::kLetGo));
}

}  // namespace

RINGSIDE_EXPORT int xengnttab_grant_copy(xengnttab_handle* device, uint32_t count,
                                         xengnttab_grant_copy_segment_t* segments) {
  for (uint32_t i = 0; i < count; ++i) {
    if (makes_sense(segments[i])) continue;
    errno = EINVAL;
    return -1;
  }
  const std::lock_guard lock(device->mutex);
  std::byte* memory = device->memory();
  if (memory == nullptr) return -1;
  for (uint32_t done = 0; done < count; done += kSegments) {
    const uint32_t batch = count - done < kSegments ? count - done : kSegments;
    if (copy_batch(*device, memory, segments + done, batch) < 0) return -1;
  }
  return 0;
}
