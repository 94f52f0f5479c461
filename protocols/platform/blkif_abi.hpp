#pragma once

#include <cstdint>

#include "protocols/platform/xen.hpp"

/// blkif as a peer built for the other word size lays it out.
///
/// The front end names its layout in the `protocol` node (XEN_IO_PROTO_ABI_X86_64 or
/// XEN_IO_PROTO_ABI_X86_32); a back end reads the ring accordingly. The fields are those of
/// xen/io/blkif.h; only 64-bit alignment differs. Source: xen/io/protocols.h.
namespace ringside::platform {

/// XEN_IO_PROTO_ABI_X86_32: 64-bit members align at 4.
namespace x86_32 {
#pragma pack(push, 4)
struct BlkifRequest {
  uint8_t operation;
  uint8_t nr_segments;
  uint16_t handle;
  uint64_t id;
  uint64_t sector_number;
  blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
struct BlkifRequestDiscard {
  uint8_t operation;
  uint8_t flag;
  uint16_t handle;
  uint64_t id;
  uint64_t sector_number;
  uint64_t nr_sectors;
};
struct BlkifRequestIndirect {
  uint8_t operation;
  uint8_t indirect_op;
  uint16_t nr_segments;
  uint64_t id;
  uint64_t sector_number;
  uint16_t handle;
  uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
  uint64_t pad;
};
struct BlkifResponse {
  uint64_t id;
  uint8_t operation;
  int16_t status;
};
#pragma pack(pop)
}  // namespace x86_32

/// XEN_IO_PROTO_ABI_X86_64: 64-bit members align at 8.
namespace x86_64 {
struct BlkifRequest {
  uint8_t operation;
  uint8_t nr_segments;
  uint16_t handle;
  alignas(8) uint64_t id;
  alignas(8) uint64_t sector_number;
  blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
struct BlkifRequestDiscard {
  uint8_t operation;
  uint8_t flag;
  uint16_t handle;
  alignas(8) uint64_t id;
  alignas(8) uint64_t sector_number;
  alignas(8) uint64_t nr_sectors;
};
struct BlkifRequestIndirect {
  uint8_t operation;
  uint8_t indirect_op;
  uint16_t nr_segments;
  alignas(8) uint64_t id;
  alignas(8) uint64_t sector_number;
  uint16_t handle;
  uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};
struct BlkifResponse {
  alignas(8) uint64_t id;
  uint8_t operation;
  int16_t status;
};
}  // namespace x86_64

}  // namespace ringside::platform
