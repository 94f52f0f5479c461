#include "protocols/xenvbd/scsi/fragments.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::xenvbd {

uint64_t total_of(std::span<const Segment> fragments) {
  uint64_t total = 0;
  for (const Segment& fragment : fragments) total += fragment.length;
  return total;
}

size_t copy_to(std::span<const Segment> fragments, std::span<const std::byte> bytes) {
  size_t done = 0;
  for (const Segment& fragment : fragments) {
    const size_t length = std::min<size_t>(fragment.length, bytes.size() - done);
    if (length == 0) continue;
    std::memcpy(fragment.page.address + fragment.offset, bytes.data() + done, length);
    done += length;
  }
  return done;
}

size_t copy_from(std::span<const Segment> fragments, uint64_t offset, std::span<std::byte> bytes) {
  size_t done = 0;
  for (const Segment& fragment : fragments) {
    if (offset >= fragment.length) {
      offset -= fragment.length;
      continue;
    }
    const auto skip = static_cast<uint32_t>(offset);
    const size_t length = std::min<size_t>(fragment.length - skip, bytes.size() - done);
    if (length == 0) break;
    std::memcpy(bytes.data() + done, fragment.page.address + fragment.offset + skip, length);
    done += length;
    offset = 0;
  }
  return done;
}

std::span<const Segment> cut(std::span<Segment> fragments, uint64_t bytes) {
  size_t count = 0;
  for (; bytes > 0 && count < fragments.size(); ++count) {
    fragments[count].length =
        static_cast<uint32_t>(std::min<uint64_t>(fragments[count].length, bytes));
    bytes -= fragments[count].length;
  }
  return fragments.first(count);
}

}  // namespace ringside::xenvbd
