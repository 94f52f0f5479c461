#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/xenvbd/disk.hpp"
#include "protocols/xenvbd/request.hpp"
#include "protocols/xenvbd/scsi/identity.hpp"
#include "protocols/xenvbd/scsi/reply.hpp"

namespace ringside::xenvbd {

inline constexpr uint8_t kSupportedPages = 0x00;
inline constexpr uint8_t kSerialNumberPage = 0x80;
inline constexpr uint8_t kDesignatorsPage = 0x83;
inline constexpr uint8_t kBlockLimitsPage = 0xb0;
inline constexpr uint8_t kBlockCharacteristicsPage = 0xb1;
inline constexpr uint8_t kProvisioningPage = 0xb2;

/// What the Windows PV drivers have always said, and installations know them by.
inline constexpr std::string_view kVendor = "XENSRC  ";
inline constexpr std::string_view kProduct = "PVDISK";
inline constexpr std::string_view kRevision = "2.0";

/// The most extents that one UNMAP may name.
inline constexpr uint32_t kMaxUnmapDescriptors = 256;

/// What the first byte of INQUIRY data says.
enum class Peripheral : uint8_t {
  kDirectAccess = 0x00,
  kNotConnected = 0x20,  ///< a direct-access device, not there at present
  kNoUnit = 0x7f,
};

/// Logical blocks per physical one, as a power of two.
unsigned physical_exponent(const Disk& disk);

/// Standard INQUIRY data. [SCSI-010]
Reply standard_inquiry(Peripheral peripheral, const Disk& disk);
/// VPD pages 00h, B0h, B1h and B2h; empty for any other. [SCSI-011, SCSI-013]
Reply vital_product_data(uint8_t page, const Disk& disk);
/// READ CAPACITY (10) and (16). Precondition: a disk of at least one block. [SCSI-020, SCSI-021]
Reply capacity10(const Disk& disk);
Reply capacity16(const Disk& disk);

/// Blocks of a CD-ROM too are only there to be read. [SCSI-033]
constexpr bool is_write_protected(const Disk& disk) { return disk.read_only || disk.cdrom; }
/// The disk's logical blocks. [SCSI-020]
constexpr uint64_t blocks_of(const Disk& disk) {
  return disk.sectors / (disk.sector_size / kSectorBytes);
}

}  // namespace ringside::xenvbd
