#pragma once

#include <cstring>
#include <vector>

#include "protocols/xenvbd/request.hpp"

namespace ringside::conformance {

/// Client memory and the request that names it.
class TestRequest {
 public:
  TestRequest(platform::Platform& platform, xenvbd::Operation operation, uint64_t sector)
      : platform_(platform) {
    static uint64_t next_cookie = 1;
    request.operation = operation;
    request.sector = sector;
    request.cookie = next_cookie++;
  }
  ~TestRequest() {
    for (const platform::Page page : pages_) platform_.release_page(page);
  }
  TestRequest(const TestRequest&) = delete;
  TestRequest& operator=(const TestRequest&) = delete;

  /// A stretch of client memory in a page of its own.
  TestRequest& add(uint32_t offset, uint32_t length) {
    pages_.push_back(*platform_.allocate_page());
    segments_.push_back({pages_.back(), offset, length});
    request.segments = segments_;
    bytes_ += length;
    request.sectors = bytes_ / 512;
    return *this;
  }
  TestRequest& add_pages(unsigned count) {
    for (unsigned i = 0; i < count; ++i) add(0, platform::kPageSize);
    return *this;
  }
  void set_bytes(const std::vector<std::byte>& bytes) {
    size_t done = 0;
    for (const xenvbd::Segment& segment : segments_) {
      std::memcpy(segment.page.address + segment.offset, bytes.data() + done, segment.length);
      done += segment.length;
    }
  }
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> result;
    for (const xenvbd::Segment& segment : segments_) {
      const std::byte* from = segment.page.address + segment.offset;
      result.insert(result.end(), from, from + segment.length);
    }
    return result;
  }
  platform::Page page(size_t i) const { return pages_[i]; }

  xenvbd::Request request;

 private:
  platform::Platform& platform_;
  std::vector<platform::Page> pages_;
  std::vector<xenvbd::Segment> segments_;
  uint64_t bytes_ = 0;
};

/// Bytes that differ from place to place and from `seed` to seed.
inline std::vector<std::byte> pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  uint32_t state = seed * 2654435761u + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

}  // namespace ringside::conformance
