#include "protocols/xenbus/store_message.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "protocols/xenbus/store_ring.hpp"

using namespace ringside;

namespace {

alignas(4096) std::array<std::byte, 4096> page;

}  // namespace

// A hostile xenstored: the input is its end of the page, then what it does to it in turn.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  page.fill(std::byte{0});
  xenbus::StoreRing ring(page.data());
  xenbus::StoreMessage message;
  size_t messages = 0;
  while (size >= 4) {
    // A burst of input anywhere in the page, indices and error word included.
    const size_t at = static_cast<size_t>(data[0] << 8 | data[1]) % page.size();
    const size_t count = std::min({size_t{data[2]} + 1, page.size() - at, size - 3});
    std::memcpy(&page[at], data + 3, count);
    data += 3 + count;
    size -= 3 + count;
    while (ring.health() == Status::kOk) {
      const auto read = ring.read(message.room());
      if (!read || *read == 0) break;
      if (!ok(message.filled(*read))) return 0;
      if (!message.full()) continue;
      if (message.payload().size() > XENSTORE_PAYLOAD_MAX) std::abort();
      static_cast<void>(xenbus::status_of_error(message.payload()));
      static_cast<void>(xenbus::check_path(message.payload()));
      message.clear();
      if (++messages > 1000) return 0;
    }
    static_cast<void>(ring.write(std::as_bytes(std::span(data, std::min<size_t>(size, 64)))));
  }
  return 0;
}
