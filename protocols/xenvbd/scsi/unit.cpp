#include "protocols/xenvbd/scsi/unit.hpp"

#include <algorithm>
#include <array>

#include "protocols/xenvbd/scsi/fragments.hpp"

namespace ringside::xenvbd {
namespace {

constexpr unsigned kNaca = 2;  ///< of the CONTROL byte
constexpr uint8_t kReadCapacity16 = 0x10;
constexpr size_t kLunBytes = 8;

uint32_t attention_of(const Sense& sense) {
  return static_cast<uint32_t>(sense.code) << 8 | sense.qualifier;
}

}  // namespace

const ScsiUnit::Entry* ScsiUnit::find(Opcode opcode) {
  // In the order of how often they come.
  static constexpr Entry kCommands[] = {
      {Opcode::kRead10, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kWrite10, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kRead16, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kWrite16, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kSynchronizeCache10, Needs::kMedium, &ScsiUnit::synchronize_cache},
      {Opcode::kUnmap, Needs::kMedium, &ScsiUnit::unmap},
      {Opcode::kTestUnitReady, Needs::kMedium, &ScsiUnit::do_nothing},
      {Opcode::kRead6, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kWrite6, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kRead12, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kWrite12, Needs::kMedium, &ScsiUnit::read_or_write},
      {Opcode::kSynchronizeCache16, Needs::kMedium, &ScsiUnit::synchronize_cache},
      {Opcode::kVerify10, Needs::kMedium, &ScsiUnit::verify},
      {Opcode::kVerify12, Needs::kMedium, &ScsiUnit::verify},
      {Opcode::kVerify16, Needs::kMedium, &ScsiUnit::verify},
      {Opcode::kReadCapacity10, Needs::kMedium, &ScsiUnit::read_capacity10},
      {Opcode::kServiceActionIn16, Needs::kMedium, &ScsiUnit::service_action_in},
      {Opcode::kModeSense6, Needs::kUnit, &ScsiUnit::sense_mode},
      {Opcode::kModeSense10, Needs::kUnit, &ScsiUnit::sense_mode},
      {Opcode::kModeSelect6, Needs::kUnit, &ScsiUnit::select_mode},
      {Opcode::kModeSelect10, Needs::kUnit, &ScsiUnit::select_mode},
      {Opcode::kStartStopUnit, Needs::kUnit, &ScsiUnit::start_stop},
      {Opcode::kPreventAllowMediumRemoval, Needs::kUnit, &ScsiUnit::prevent_removal},
      {Opcode::kReserve6, Needs::kUnit, &ScsiUnit::reserve},
      {Opcode::kReserve10, Needs::kUnit, &ScsiUnit::reserve},
      {Opcode::kRelease6, Needs::kUnit, &ScsiUnit::reserve},
      {Opcode::kRelease10, Needs::kUnit, &ScsiUnit::reserve},
      {Opcode::kInquiry, Needs::kNothing, &ScsiUnit::inquiry},
      {Opcode::kRequestSense, Needs::kNothing, &ScsiUnit::request_sense},
      {Opcode::kReportLuns, Needs::kNothing, &ScsiUnit::report_luns},
  };
  const auto* found = std::ranges::find(kCommands, opcode, &Entry::opcode);
  return found == std::end(kCommands) ? nullptr : found;
}

std::optional<Sense> ScsiUnit::refusal(const Entry& entry, const ScsiCommand& command,
                                       const Cdb& cdb) {
  const size_t length = cdb.length();
  if (cdb.given() < length) return invalid_cdb(cdb.given());
  if (cdb.bit(length - 1, kNaca)) return invalid_cdb(length - 1, kNaca);
  if (entry.needs == Needs::kNothing) return std::nullopt;
  if (const auto attention = take_attention()) return attention;
  if (!ready_.load(std::memory_order_acquire)) return kBecomingReady;  // SCSI-006
  const bool empty = blocks_of(command.medium_->disk()) == 0;
  if (entry.needs == Needs::kMedium && empty) return kMediumNotPresent;
  return std::nullopt;
}

void ScsiUnit::execute(ScsiCommand& command, Medium& medium) {
  command.answer = {};
  command.medium_ = &medium;
  command.plan_ = {};
  const Cdb cdb(command.cdb);
  const Entry* entry = find(cdb.opcode());
  // SCSI-004: there is no other unit, but who looks for one is told so.
  const bool answered = entry != nullptr && entry->needs == Needs::kNothing;
  if (command.lun != 0 && !answered) return fail(command, kLogicalUnitNotSupported);
  if (entry == nullptr) return fail(command, kInvalidOpcode);  // SCSI-001
  if (const auto why = refusal(*entry, command, cdb)) return fail(command, *why);
  (this->*entry->handler)(command, cdb);
}

Status ScsiUnit::identify(const xenbus::Node& backend) {
  if (ready_.load(std::memory_order_relaxed)) return Status::kOk;
  return identity_.read(backend);
}

void ScsiUnit::disk_changed(const Disk& disk) {
  const bool differs = disk.sectors != sectors_ || disk.sector_size != sector_size_;
  if (differs && ready_.load(std::memory_order_relaxed)) {
    // SCSI-005: the next command but one that asks who is there is told first.
    attention_.store(attention_of(sectors_ == 0 ? kMediumMayHaveChanged : kCapacityChanged),
                     std::memory_order_release);
  }
  sectors_ = disk.sectors;
  sector_size_ = disk.sector_size;
  ready_.store(true, std::memory_order_release);
}

std::optional<Sense> ScsiUnit::take_attention() {
  if (attention_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const uint32_t attention = attention_.exchange(0, std::memory_order_acquire);
  if (attention == 0) return std::nullopt;
  return Sense{SenseKey::kUnitAttention, static_cast<uint8_t>(attention >> 8),
               static_cast<uint8_t>(attention & 0xff)};
}

void ScsiUnit::reply(ScsiCommand& command, std::span<const std::byte> data, uint64_t allocated) {
  // SCSI-007: cut to what the initiator has room for, and that is no error.
  const auto wanted = static_cast<size_t>(std::min<uint64_t>(data.size(), allocated));
  command.answer.transferred = copy_to(command.data, data.first(wanted));
  succeed(command);
}

void ScsiUnit::fail(ScsiCommand& command, const Sense& sense) {
  command.answer = {ScsiStatus::kCheckCondition, sense, 0};
  owner_.done(command);
}

void ScsiUnit::inquiry(ScsiCommand& command, const Cdb& cdb) {
  const bool vital = cdb.bit(1, 0);
  const uint8_t page = cdb[2];
  const uint64_t allocated = cdb.field(3, 2);
  const bool ready = ready_.load(std::memory_order_acquire);
  const Disk& disk = command.medium_->disk();
  if (cdb.bit(1, 1)) return fail(command, invalid_cdb(1, 1));  // CMDDT, obsolete
  if (!vital) {
    if (page != 0) return fail(command, invalid_cdb(2));
    Peripheral peripheral = ready ? Peripheral::kDirectAccess : Peripheral::kNotConnected;
    if (command.lun != 0) peripheral = Peripheral::kNoUnit;
    return reply(command, standard_inquiry(peripheral, disk).view(), allocated);
  }
  if (command.lun != 0) return fail(command, kLogicalUnitNotSupported);
  if (!ready) return fail(command, kBecomingReady);
  if (page == kSerialNumberPage) return reply(command, identity_.serial_number(), allocated);
  if (page == kDesignatorsPage) return reply(command, identity_.designators(), allocated);
  const Reply data = vital_product_data(page, disk);
  if (data.size() == 0) return fail(command, invalid_cdb(2));
  reply(command, data.view(), allocated);
}

void ScsiUnit::request_sense(ScsiCommand& command, const Cdb& cdb) {
  if (cdb.bit(1, 0)) return fail(command, invalid_cdb(1, 0));  // DESC: there is one format
  // SCSI-008: what failed took its sense data with it; what is left is what stands.
  Sense sense;
  if (command.lun != 0) {
    sense = kLogicalUnitNotSupported;
  } else if (const auto attention = take_attention()) {
    sense = *attention;
  } else if (!ready_.load(std::memory_order_acquire)) {
    sense = kBecomingReady;
  } else if (blocks_of(command.medium_->disk()) == 0) {
    sense = kMediumNotPresent;
  }
  reply(command, sense.bytes(), cdb[4]);
}

void ScsiUnit::report_luns(ScsiCommand& command, const Cdb& cdb) {
  const uint8_t which = cdb[2];
  constexpr uint8_t kWellKnownOnly = 1;
  constexpr uint8_t kAll = 2;
  if (which > kAll) return fail(command, invalid_cdb(2));
  const size_t list = which == kWellKnownOnly ? 0 : kLunBytes;  // SCSI-022: unit 0 is all zeros
  reply(command, Reply().grow(8 + list).put(0, list, 4).view(), cdb.field(6, 4));
}

void ScsiUnit::do_nothing(ScsiCommand& command, const Cdb&) { succeed(command); }

void ScsiUnit::reserve(ScsiCommand& command, const Cdb& cdb) {
  // SCSI-060: nobody else can reach the disk through this target. For a third party, or a part
  // of the disk, that is not so.
  for (const uint8_t bit : {uint8_t{4}, uint8_t{0}}) {
    if (cdb.bit(1, bit)) return fail(command, invalid_cdb(1, bit));
  }
  succeed(command);
}

void ScsiUnit::prevent_removal(ScsiCommand& command, const Cdb& cdb) {
  if (cdb.bit(4, 1)) return fail(command, invalid_cdb(4, 1));
  removal_prevented_.store(cdb.bit(4, 0), std::memory_order_relaxed);
  succeed(command);
}

void ScsiUnit::read_capacity10(ScsiCommand& command, const Cdb&) {
  const Reply data = capacity10(command.medium_->disk());
  reply(command, data.view(), data.size());
}

void ScsiUnit::service_action_in(ScsiCommand& command, const Cdb& cdb) {
  if ((cdb[1] & 0x1f) != kReadCapacity16) return fail(command, invalid_cdb(1, 4));
  reply(command, capacity16(command.medium_->disk()).view(), cdb.field(10, 4));
}

ModeState ScsiUnit::mode_state(const Disk& disk) const {
  return {.blocks = blocks_of(disk),
          .block_size = disk.sector_size,
          .write_protected = is_write_protected(disk),
          .volatile_cache = disk.flush_mode() != FlushMode::kNone,
          .write_through = write_through_.load(std::memory_order_relaxed)};
}

void ScsiUnit::sense_mode(ScsiCommand& command, const Cdb& cdb) {
  Reply data;
  const auto wrong = mode_sense(cdb, mode_state(command.medium_->disk()), data);
  if (wrong) return fail(command, *wrong);
  reply(command, data.view(), cdb.length() == 10 ? cdb.field(7, 2) : cdb[4]);
}

void ScsiUnit::select_mode(ScsiCommand& command, const Cdb& cdb) {
  const uint64_t length = cdb.length() == 10 ? cdb.field(7, 2) : cdb[4];
  std::array<std::byte, kMaxModeParameters> list;
  if (length > list.size()) return fail(command, kParameterListLengthError);
  const auto parameters = std::span(list).first(static_cast<size_t>(length));
  if (copy_from(command.data, 0, parameters) < length) {
    return fail(command, kParameterListLengthError);
  }
  ModeState state = mode_state(command.medium_->disk());
  const bool was_write_through = state.write_through;
  if (const auto wrong = mode_select(cdb, parameters, state)) return fail(command, *wrong);
  write_through_.store(state.write_through, std::memory_order_relaxed);
  command.answer.transferred = length;
  // SCSI-055: what is in the cache when it is switched off is written out.
  if (state.write_through && !was_write_through) command.plan_.add(Operation::kFlush);
  advance(command);
}

}  // namespace ringside::xenvbd
