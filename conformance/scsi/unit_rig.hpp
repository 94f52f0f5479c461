#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "conformance/blkif/test_request.hpp"
#include "protocols/xenvbd/scsi/bytes_test.hpp"
#include "protocols/xenvbd/scsi/unit.hpp"

namespace ringside::conformance {

using xenvbd::bytes;
using xenvbd::hex;

/// A disk without any features.
inline xenvbd::Disk plain_disk(uint64_t sectors) {
  xenvbd::Disk disk;
  disk.sectors = sectors;
  return disk;
}

/// How a command ended, and what its buffer held then.
struct Outcome {
  bool good = false;
  std::string sense;  ///< of a failure: "5/24/00", or "5/24/00 cdb 1.7" with a field pointer
  uint64_t transferred = 0;
  std::vector<std::byte> data;

  std::string text() const { return hex(std::span(data).first(transferred)); }
};

inline std::string sense_text(const xenvbd::Sense& sense) {
  const std::string all = hex(sense.bytes());
  std::string text = all.substr(7, 1) + "/" + all.substr(36, 2) + "/" + all.substr(39, 2);
  const auto [where, bit, byte] = sense.pointer;
  if (where == xenvbd::FieldPointer::Where::kNowhere) return text;
  text += where == xenvbd::FieldPointer::Where::kCdb ? " cdb " : " list ";
  text += std::to_string(byte);
  return bit == xenvbd::FieldPointer::kWholeByte ? text : text + "." + std::to_string(bit);
}

/// A disk in memory that does what it is told at once, or fails it.
class PlayedMedium final : public xenvbd::Medium {
 public:
  struct Seen {
    xenvbd::Operation operation;
    uint64_t sector;
    uint64_t sectors;
    bool operator==(const Seen&) const = default;
  };

  explicit PlayedMedium(xenvbd::ScsiUnit& unit) : unit_(unit) { set_sectors(2048); }
  void set_sectors(uint64_t sectors) { properties.sectors = sectors; }
  const xenvbd::Disk& disk() const override { return properties; }
  Status submit(xenvbd::Request& request) override {
    seen.push_back({request.operation, request.sector, request.sectors});
    if (!ok(refuses)) return refuses;
    if (ok(answers)) perform(request);
    unit_.completed(request, answers);
    return Status::kOk;
  }
  /// "read 0+8, flush"
  std::string story() const {
    static constexpr const char* kNames[] = {"read", "write", "flush", "discard"};
    std::string text;
    for (const Seen& one : seen) {
      text += (text.empty() ? "" : ", ") + std::string(kNames[static_cast<size_t>(one.operation)]);
      if (one.operation == xenvbd::Operation::kFlush) continue;
      text += " " + std::to_string(one.sector) + "+" + std::to_string(one.sectors);
    }
    return text;
  }

  xenvbd::Disk properties;
  Status refuses = Status::kOk;  ///< what submit() says
  Status answers = Status::kOk;  ///< what requests end with
  std::vector<Seen> seen;
  std::vector<std::byte> image = std::vector<std::byte>(2048 * 512);

 private:
  void perform(const xenvbd::Request& request) {
    std::byte* at = image.data() + request.sector * 512;
    for (const xenvbd::Segment& segment : request.segments) {
      std::byte* const guest = segment.page.address + segment.offset;
      const bool reads = request.operation == xenvbd::Operation::kRead;
      std::memcpy(reads ? guest : at, reads ? at : guest, segment.length);
      at += segment.length;
    }
  }

  xenvbd::ScsiUnit& unit_;
};

/// A unit whose medium is the test's.
class UnitRig : public ::testing::Test, protected xenvbd::ScsiUnit::Owner {
 protected:
  UnitRig() {
    medium_.properties.flush_cache = true;
    show();
  }
  /// Tells the unit of the medium as it is.
  void show() { unit_.disk_changed(medium_.properties); }

  /// Carries out `cdb` on a buffer that holds `data`, in fragments of odd lengths.
  Outcome run(const std::vector<std::byte>& cdb, std::vector<std::byte> data, uint8_t lun = 0) {
    std::vector<xenvbd::Segment> fragments;
    uint32_t length = 1;
    for (size_t at = 0; at < data.size(); at += fragments.back().length, length = length * 3 + 2) {
      const auto left = static_cast<uint32_t>(data.size() - at);
      fragments.push_back(
          {{data.data() + at, 0}, 0, std::min({length, left, uint32_t{platform::kPageSize}})});
    }
    xenvbd::ScsiCommand command;
    command.cdb = cdb;
    command.lun = lun;
    command.data = fragments;
    done_ = 0;
    unit_.execute(command, medium_);
    EXPECT_EQ(done_, 1u) << "once, and only once";
    const bool good = command.answer.status == xenvbd::ScsiStatus::kGood;
    return {good, good ? "" : sense_text(command.answer.sense), command.answer.transferred,
            std::move(data)};
  }
  /// The same with room for `room` bytes.
  Outcome run(std::initializer_list<unsigned> cdb, size_t room = 512, uint8_t lun = 0) {
    return run(bytes(cdb), std::vector<std::byte>(room), lun);
  }
  /// The sense data of a command that must fail; "good" when it doesn't.
  std::string failure(std::initializer_list<unsigned> cdb, size_t room = 512, uint8_t lun = 0) {
    const Outcome outcome = run(cdb, room, lun);
    EXPECT_TRUE(outcome.good || outcome.transferred == 0);
    return outcome.good ? "good" : outcome.sense;
  }
  std::string story() {
    const std::string text = medium_.story();
    medium_.seen.clear();
    return text;
  }
  void done(xenvbd::ScsiCommand&) override { ++done_; }

  xenvbd::ScsiUnit unit_{7, *this};
  PlayedMedium medium_{unit_};
  unsigned done_ = 0;
};

}  // namespace ringside::conformance
