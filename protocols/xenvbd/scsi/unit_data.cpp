#include <algorithm>

#include "protocols/xenvbd/scsi/fragments.hpp"
#include "protocols/xenvbd/scsi/unit.hpp"

namespace ringside::xenvbd {
namespace {

constexpr uint8_t kProtectBits = 0xe0;
constexpr size_t kUnmapHeader = 8;
constexpr size_t kUnmapDescriptor = 16;

/// The blocks that a CDB names, and the byte in which their number begins.
struct Blocks {
  uint64_t lba = 0;
  uint64_t count = 0;
  size_t count_at = 0;
};

Blocks blocks_in(const Cdb& cdb) {
  switch (cdb.length()) {
    case 6:
      // SCSI-031: 21 bits of address, and a length of 0 is 256.
      return {cdb.field(1, 3) & 0x1fffff, cdb[4] == 0 ? 256u : cdb[4], 4};
    case 10: return {cdb.field(2, 4), cdb.field(7, 2), 7};
    case 12: return {cdb.field(2, 4), cdb.field(6, 4), 6};
    default: return {cdb.field(2, 8), cdb.field(10, 4), 10};
  }
}

/// SCSI-032: every block named is there; of none, the address itself may be the disk's end.
bool is_within(const Disk& disk, uint64_t lba, uint64_t count) {
  const uint64_t blocks = blocks_of(disk);
  return lba <= blocks && count <= blocks - lba;
}

bool moves_data(Operation operation) {
  return operation == Operation::kRead || operation == Operation::kWrite;
}

}  // namespace

void ScsiUnit::read_or_write(ScsiCommand& command, const Cdb& cdb) {
  const Disk& disk = command.medium_->disk();
  const Blocks blocks = blocks_in(cdb);
  const bool writes = (cdb[0] & 0x02) != 0;
  const bool is_long = cdb.length() > 6;
  const bool forced = is_long && cdb.bit(1, 3);  // FUA
  if (is_long && (cdb[1] & kProtectBits) != 0) return fail(command, invalid_cdb(1, 7));
  if (writes && is_write_protected(disk)) return fail(command, kWriteProtected);  // SCSI-033
  if (!is_within(disk, blocks.lba, blocks.count)) return fail(command, kLbaOutOfRange);
  if (blocks.count == 0) return succeed(command);  // SCSI-030
  // SCSI-035: half of what was asked for is not what was asked for.
  if (total_of(command.data) < blocks.count * disk.sector_size) {
    return fail(command, invalid_cdb(blocks.count_at));
  }
  const uint64_t unit = disk.sector_size / kSectorBytes;
  command.extent_ = {blocks.lba * unit, blocks.count * unit};  // SCSI-039
  // SCSI-034: a read that is forced to the medium must find there what the cache holds.
  if (forced && !writes) command.plan_.add(Operation::kFlush);
  command.plan_.add(writes ? Operation::kWrite : Operation::kRead);
  const bool through = forced || write_through_.load(std::memory_order_relaxed);
  if (writes && through) command.plan_.add(Operation::kFlush);
  advance(command);
}

void ScsiUnit::synchronize_cache(ScsiCommand& command, const Cdb& cdb) {
  const Blocks blocks = blocks_in(cdb);
  if (!is_within(command.medium_->disk(), blocks.lba, blocks.count)) {
    return fail(command, kLbaOutOfRange);
  }
  command.plan_.add(Operation::kFlush);  // SCSI-036: all of the cache, whatever is named
  advance(command);
}

void ScsiUnit::verify(ScsiCommand& command, const Cdb& cdb) {
  const Blocks blocks = blocks_in(cdb);
  if ((cdb[1] & kProtectBits) != 0) return fail(command, invalid_cdb(1, 7));
  if ((cdb[1] & 0x06) != 0) return fail(command, invalid_cdb(1, 2));  // BYTCHK
  if (!is_within(command.medium_->disk(), blocks.lba, blocks.count)) {
    return fail(command, kLbaOutOfRange);
  }
  // SCSI-037: the medium is the back end's to check; what is to be checked must be on it.
  if (blocks.count != 0) command.plan_.add(Operation::kFlush);
  advance(command);
}

void ScsiUnit::start_stop(ScsiCommand& command, const Cdb& cdb) {
  const bool starts = cdb.bit(4, 0);
  const bool ejects = cdb.bit(4, 1) && !starts;
  const bool keeps_cache = cdb.bit(4, 2);
  if ((cdb[4] & 0xf0) != 0) return fail(command, invalid_cdb(4, 7));  // a power condition
  if (ejects) {
    // SCSI-061: a medium is put in and taken out by the toolstack alone.
    const bool prevented = removal_prevented_.load(std::memory_order_relaxed);
    return fail(command, prevented ? kRemovalPrevented : invalid_cdb(4, 1));
  }
  if (!starts && !keeps_cache) command.plan_.add(Operation::kFlush);
  advance(command);
}

Result<ScsiCommand::Extent> ScsiUnit::descriptor(const ScsiCommand& command, unsigned index) const {
  std::array<std::byte, kUnmapDescriptor> bytes{};
  copy_from(command.data, kUnmapHeader + uint64_t{index} * kUnmapDescriptor, bytes);
  const uint64_t lba = load_big(std::span(bytes).first(8));
  const uint64_t count = load_big(std::span(bytes).subspan(8, 4));
  const Disk& disk = command.medium_->disk();
  if (!is_within(disk, lba, count)) return Status::kInvalidArgument;
  const uint64_t unit = disk.sector_size / kSectorBytes;
  return ScsiCommand::Extent{lba * unit, count * unit};
}

void ScsiUnit::unmap(ScsiCommand& command, const Cdb& cdb) {
  const Disk& disk = command.medium_->disk();
  const uint64_t length = cdb.field(7, 2);
  if (!disk.discard.supported) return fail(command, kInvalidOpcode);  // SCSI-043
  if (cdb.bit(1, 0)) return fail(command, invalid_cdb(1, 0));         // ANCHOR
  if (is_write_protected(disk)) return fail(command, kWriteProtected);
  if (length == 0) return succeed(command);  // SCSI-040
  std::array<std::byte, kUnmapHeader> header;
  if (length < header.size() || total_of(command.data) < length) {
    return fail(command, kParameterListLengthError);
  }
  copy_from(command.data, 0, header);
  const uint64_t described = load_big(std::span(header).subspan(2, 2));
  const uint64_t count = described / kUnmapDescriptor;
  if (described > length - header.size() || count > kMaxUnmapDescriptors) {
    return fail(command, invalid_parameter(2));
  }
  // SCSI-041: nothing is given up when a part of it is not there.
  for (unsigned i = 0; i < count; ++i) {
    if (!descriptor(command, i)) return fail(command, kLbaOutOfRange);
  }
  command.next_descriptor_ = 0;
  command.descriptors_ = static_cast<uint16_t>(count);
  command.answer.transferred = length;
  command.plan_.add(Operation::kDiscard);
  advance(command);
}

Result<bool> ScsiUnit::take_extent(ScsiCommand& command) const {
  ScsiCommand::Extent& extent = command.extent_;
  extent = {};
  for (; command.next_descriptor_ < command.descriptors_; ++command.next_descriptor_) {
    // Read anew, so checked anew: the list may be a program's memory.
    const auto one = descriptor(command, command.next_descriptor_);
    if (!one) return one.status();
    if (one->sectors == 0) continue;
    // SCSI-042: neighbours go together; what of the disk's extents they share is then whole.
    if (extent.sectors != 0 && one->sector != extent.sector + extent.sectors) break;
    if (extent.sectors == 0) extent.sector = one->sector;
    extent.sectors += one->sectors;
  }
  return bool{extent.sectors != 0};
}

void ScsiUnit::advance(ScsiCommand& command) {
  const ScsiCommand::Plan& plan = command.plan_;
  if (plan.next == plan.count) return succeed(command);
  const Operation operation = plan.steps[plan.next];
  if (operation == Operation::kDiscard) {
    const auto more = take_extent(command);
    if (!more) return fail(command, kLbaOutOfRange);
    if (!*more) return succeed(command);
  }
  const bool has_range = operation != Operation::kFlush;
  Request& request = command.request_;
  request.operation = operation;
  request.sector = has_range ? command.extent_.sector : 0;
  request.sectors = has_range ? command.extent_.sectors : 0;
  request.segments = {};
  if (moves_data(operation)) request.segments = cut(command.data, request.sectors * kSectorBytes);
  request.cookie = reinterpret_cast<uintptr_t>(&command);
  const Status status = command.medium_->submit(request);
  if (!ok(status)) completed(request, status);
}

void ScsiUnit::completed(Request& request, Status status) {
  auto& command = *reinterpret_cast<ScsiCommand*>(static_cast<uintptr_t>(request.cookie));
  const bool discards = request.operation == Operation::kDiscard;
  // SCSI-044: it offered to, and now it can't: the blocks stay mapped, which is allowed.
  if (discards && status == Status::kNotSupported) return succeed(command);
  if (!ok(status)) return fail(command, sense_of(command, status));
  if (moves_data(request.operation)) command.answer.transferred = request.sectors * kSectorBytes;
  if (!discards) ++command.plan_.next;
  advance(command);
}

Sense ScsiUnit::sense_of(const ScsiCommand& command, Status status) const {
  // SCSI-038
  switch (status) {
    case Status::kClosed: return kLogicalUnitNotSupported;
    case Status::kReadOnly: return kWriteProtected;
    case Status::kIoError:
      return command.request_.operation == Operation::kRead ? kUnrecoveredReadError : kWriteError;
    case Status::kInvalidArgument: {
      // The disk has shrunk since; else the fragments are none that can be used.
      const uint64_t end = command.extent_.sector + command.extent_.sectors;
      return end > command.medium_->disk().sectors ? kLbaOutOfRange : kInternalTargetFailure;
    }
    default: return kInternalTargetFailure;
  }
}

}  // namespace ringside::xenvbd
