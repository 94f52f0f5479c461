#include "protocols/xenvif/headers.hpp"

#include <cstdlib>

using namespace ringside::xenvif;

// Any frame, cut short anywhere: what is recognised lies inside what is there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65535) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const Headers headers = parse_headers(bytes);
  if (size >= kEthernetHeader && headers.length > size) std::abort();
  if (headers.protocol != 0 && headers.checksum_offset() + size_t{2} > size) std::abort();
  return 0;
}
