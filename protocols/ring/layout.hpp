#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ringside::ring {

inline constexpr size_t kRingPageSize = 4096;  ///< XEN_PAGE_SIZE, whatever the CPU's own
inline constexpr size_t kMaxRingPages = 16;
inline constexpr size_t kHeaderSize = 64;
inline constexpr size_t kCacheLine = 64;

/// Where the shared indices lie, in bytes. Source: xen/io/ring.h, DEFINE_RING_TYPES.
inline constexpr size_t kReqProd = 0;
inline constexpr size_t kReqEvent = 4;
inline constexpr size_t kRspProd = 8;
inline constexpr size_t kRspEvent = 12;

/// A request and its response share one slot.
template <typename Request, typename Response>
union Slot {
  Request request;
  Response response;
};

template <typename Request, typename Response>
inline constexpr size_t kSlotSize = sizeof(Slot<Request, Response>);

/// Slots of a ring over `bytes`: the largest power of two behind the header. [RING-001]
template <typename Request, typename Response>
constexpr uint32_t slots_in(size_t bytes) {
  return static_cast<uint32_t>(
      std::bit_floor((bytes - kHeaderSize) / kSlotSize<Request, Response>));
}

/// A power of two of pages, at most 16.
constexpr bool is_ring_area(size_t bytes) {
  return bytes >= kRingPageSize && bytes <= kMaxRingPages * kRingPageSize &&
         std::has_single_bit(bytes);
}

/// A message to be filled in for the peer, its padding zeroed with the rest: `T{}` leaves there
/// what the stack held, and the peer would read it. [RING-014]
template <typename T>
struct Zeroed : T {
  static_assert(std::is_trivially_copyable_v<T>);
  Zeroed() { std::memset(static_cast<T*>(this), 0, sizeof(T)); }
};

/// A slot read as another structure that its flags say it is (an extra info, an indirect
/// request). Bytes beyond the shorter of both are zero or dropped.
template <typename To, typename From>
To slot_as(const From& from) {
  static_assert(std::is_trivially_copyable_v<To> && std::is_trivially_copyable_v<From>);
  To to{};
  std::memcpy(&to, &from, std::min(sizeof(To), sizeof(From)));
  return to;
}

}  // namespace ringside::ring
