#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "protocols/xenbus/node.hpp"
#include "protocols/xenvbd/scsi/cdb.hpp"
#include "protocols/xenvbd/scsi/command.hpp"
#include "protocols/xenvbd/scsi/identity.hpp"
#include "protocols/xenvbd/scsi/inquiry.hpp"
#include "protocols/xenvbd/scsi/mode.hpp"
#include "protocols/xenvbd/scsi/reply.hpp"

namespace ringside::xenvbd {

/// The SCSI face of one disk: logical unit 0 of a target.
///
/// Answers what a StorPort miniport is asked about it, by itself or through the medium.
/// Nothing here waits, allocates or takes a lock. Source: SPC-4, SBC-3, SAM-5.
class ScsiUnit {
 public:
  /// Whoever gave the commands.
  class Owner {
   public:
    /// `command` is the owner's again; once for each execute(), possibly before that returns.
    /// Where execute() or completed() was called. May execute().
    virtual void done(ScsiCommand& command) = 0;

   protected:
    ~Owner() = default;
  };

  /// `target` is the number that its default names are made of. `owner` must outlive the unit.
  ScsiUnit(uint32_t target, Owner& owner) : owner_(owner), identity_(target) {}

  /// Carries out `command` on `medium`, on the medium's CPU; kick the queue behind it after the
  /// last of a batch. Units take commands for several media at once.
  void execute(ScsiCommand& command, Medium& medium);
  /// A request that the medium took is done. On the medium's CPU.
  void completed(Request& request, Status status);

  /// What a back end says of the disk's identity, before its first disk_changed(): a disk that
  /// has been shown does not become another one. Passive level. [SCSI-012]
  Status identify(const xenbus::Node& backend);
  /// The disk is there, or another size. Passive level. [SCSI-005]
  void disk_changed(const Disk& disk);

 private:
  using Handler = void (ScsiUnit::*)(ScsiCommand&, const Cdb&);
  /// What holds before a command is looked at further.
  enum class Needs : uint8_t {
    kNothing,  ///< answered at any time, for any unit and ahead of a unit attention
    kUnit,
    kMedium,
  };
  struct Entry {
    Opcode opcode;
    Needs needs;
    Handler handler;
  };
  static const Entry* find(Opcode opcode);
  std::optional<Sense> refusal(const Entry& entry, const ScsiCommand& command, const Cdb& cdb);

  // --- answered by itself ---
  void inquiry(ScsiCommand& command, const Cdb& cdb);
  void request_sense(ScsiCommand& command, const Cdb& cdb);
  void report_luns(ScsiCommand& command, const Cdb& cdb);
  void do_nothing(ScsiCommand& command, const Cdb& cdb);
  void reserve(ScsiCommand& command, const Cdb& cdb);
  void prevent_removal(ScsiCommand& command, const Cdb& cdb);
  void read_capacity10(ScsiCommand& command, const Cdb& cdb);
  void service_action_in(ScsiCommand& command, const Cdb& cdb);
  void sense_mode(ScsiCommand& command, const Cdb& cdb);
  void select_mode(ScsiCommand& command, const Cdb& cdb);

  // --- through the medium ---
  void read_or_write(ScsiCommand& command, const Cdb& cdb);
  void synchronize_cache(ScsiCommand& command, const Cdb& cdb);
  void verify(ScsiCommand& command, const Cdb& cdb);
  void start_stop(ScsiCommand& command, const Cdb& cdb);
  void unmap(ScsiCommand& command, const Cdb& cdb);
  Result<ScsiCommand::Extent> descriptor(const ScsiCommand& command, unsigned index) const;
  Result<bool> take_extent(ScsiCommand& command) const;
  void advance(ScsiCommand& command);
  Sense sense_of(const ScsiCommand& command, Status status) const;

  ModeState mode_state(const Disk& disk) const;
  std::optional<Sense> take_attention();
  void reply(ScsiCommand& command, std::span<const std::byte> data, uint64_t allocated);
  void succeed(ScsiCommand& command) { owner_.done(command); }
  void fail(ScsiCommand& command, const Sense& sense);

  Owner& owner_;
  DiskIdentity identity_;
  uint64_t sectors_ = 0;  ///< as last told
  uint32_t sector_size_ = 0;
  std::atomic<bool> ready_{false};          ///< the disk has been there
  std::atomic<uint32_t> attention_{0};      ///< code and qualifier of a unit attention, or 0
  std::atomic<bool> write_through_{false};  ///< no write stays in the cache
  std::atomic<bool> removal_prevented_{false};
};

}  // namespace ringside::xenvbd
