#include "protocols/xenvbd/scsi/inquiry.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace ringside::xenvbd {
namespace {

constexpr size_t kStandardBytes = 74;
constexpr uint8_t kSpc4 = 0x06;                                       ///< VERSION
constexpr uint8_t kResponseFormat = 0x02;                             ///< RESPONSE DATA FORMAT
constexpr uint8_t kRemovable = 0x80;                                  ///< RMB
constexpr uint8_t kCommandQueuing = 0x02;                             ///< CMDQUE
constexpr std::array<uint16_t, 3> kVersions{0x00a0, 0x0460, 0x04c0};  ///< SAM-5, SPC-4, SBC-3

constexpr uint16_t kNonRotating = 0x0001;
constexpr uint64_t kAlignmentValid = 0x80000000;  ///< UGAVALID
constexpr uint8_t kUnmapSupported = 0x80;         ///< LBPU
constexpr uint8_t kThin = 0x02;                   ///< PROVISIONING TYPE
constexpr uint8_t kProvisioned = 0x80;            ///< LBPME
constexpr unsigned kMaxExponent = 15;
constexpr uint32_t kMax32 = std::numeric_limits<uint32_t>::max();

constexpr std::array<uint8_t, 6> kPages{kSupportedPages,           kSerialNumberPage,
                                        kDesignatorsPage,          kBlockLimitsPage,
                                        kBlockCharacteristicsPage, kProvisioningPage};

/// A page of `length` bytes behind its header.
Reply page_of(uint8_t code, size_t length) {
  return Reply().grow(4 + length).put(1, code).put(2, length, 2);
}

Reply block_limits(const Disk& disk) {
  Reply page = page_of(kBlockLimitsPage, 0x3c);
  page.put(6, uint64_t{1} << physical_exponent(disk), 2);
  if (!disk.discard.supported) return page;
  // SCSI-013: of an extent that is not whole the disk gives nothing up.
  const uint32_t alignment = disk.discard.alignment % disk.discard.granularity;
  page.put(20, kMax32, 4).put(24, kMaxUnmapDescriptors, 4);
  page.put(28, disk.discard.granularity / disk.sector_size, 4);
  return page.put(32, kAlignmentValid | alignment / disk.sector_size, 4);
}

}  // namespace

unsigned physical_exponent(const Disk& disk) {
  const uint32_t ratio = disk.physical_sector_size / disk.sector_size;
  // What is no power of two cannot be said.
  if (!std::has_single_bit(ratio)) return 0;
  return std::min(static_cast<unsigned>(std::countr_zero(ratio)), kMaxExponent);
}

Reply standard_inquiry(Peripheral peripheral, const Disk& disk) {
  // SCSI-010: a CD-ROM too is a direct-access device: blkif carries sectors, not MMC.
  const bool removable = disk.removable || disk.cdrom;
  Reply data = Reply().grow(kStandardBytes);
  data.put(0, static_cast<uint8_t>(peripheral)).put(1, removable ? kRemovable : 0);
  data.put(2, kSpc4).put(3, kResponseFormat).put(4, kStandardBytes - 5).put(7, kCommandQueuing);
  data.text(8, kVendor, 8).text(16, kProduct, 16).text(32, kRevision, 4);
  for (size_t i = 0; i < kVersions.size(); ++i) data.put(58 + 2 * i, kVersions[i], 2);
  return data;
}

Reply vital_product_data(uint8_t page, const Disk& disk) {
  switch (page) {
    case kSupportedPages: {
      Reply data = page_of(page, kPages.size());
      for (size_t i = 0; i < kPages.size(); ++i) data.put(4 + i, kPages[i]);
      return data;
    }
    case kBlockLimitsPage: return block_limits(disk);
    case kBlockCharacteristicsPage: return page_of(page, 0x3c).put(4, kNonRotating, 2);
    case kProvisioningPage: {
      Reply data = page_of(page, 4);
      return disk.discard.supported ? data.put(5, kUnmapSupported).put(6, kThin) : data;
    }
    default: return {};
  }
}

Reply capacity10(const Disk& disk) {
  // SCSI-020: what has no room in 32 bits is asked for again in 64.
  const uint64_t last = std::min<uint64_t>(blocks_of(disk) - 1, kMax32);
  return Reply().grow(8).put(0, last, 4).put(4, disk.sector_size, 4);
}

Reply capacity16(const Disk& disk) {
  // SCSI-021
  Reply data = Reply().grow(32).put(0, blocks_of(disk) - 1, 8).put(8, disk.sector_size, 4);
  return data.put(13, physical_exponent(disk)).put(14, disk.discard.supported ? kProvisioned : 0);
}

}  // namespace ringside::xenvbd
