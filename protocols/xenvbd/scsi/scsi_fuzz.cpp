#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "protocols/platform/fakes_fuzz.hpp"
#include "protocols/xenvbd/scsi/cdb.hpp"
#include "protocols/xenvbd/scsi/unit.hpp"

using namespace ringside;
using namespace ringside::xenvbd;

// A unit asked whatever the input says, on a disk of whatever kind, with answers that come late
// and out of order. Aborts when a command is answered twice or never, more is transferred than
// there is, or a request reaches outside the disk or a buffer.
namespace {

struct Order {
  std::vector<std::byte> cdb;
  std::vector<std::byte> buffer;
  std::vector<Segment> fragments;
  ScsiCommand command;
  bool done = false;
};

class Session final : ScsiUnit::Owner, Medium {
 public:
  explicit Session(FuzzInput& source) : source_(source) { change_disk(); }
  ~Session() {
    while (!waiting_.empty()) answer();
    for (const Order& order : orders_) CHECK(order.done);
  }

  void step() {
    switch (source_.byte() % 8) {
      case 0: return change_disk();
      case 1:
      case 2: return answer();
      default: return ask();
    }
  }

 private:
  void change_disk() {
    const uint8_t flags = source_.byte();
    disk_ = {};
    disk_.sector_size = 512u << flags % 4;
    disk_.physical_sector_size = disk_.sector_size * (1 + (flags >> 2) % 9);
    disk_.read_only = (flags & 0x40) != 0;
    disk_.flush_cache = (flags & 0x80) != 0;
    static constexpr uint64_t kSizes[] = {64, 63, 2048, 1, 0, uint64_t{1} << 33, ~uint64_t{0}};
    disk_.sectors = kSizes[source_.byte() % std::size(kSizes)];
    const uint8_t granules = source_.byte();
    disk_.discard = {.supported = granules != 0,
                     .granularity = granules * disk_.sector_size,
                     .alignment = source_.byte() * disk_.sector_size};
    changed_on_the_way_ = !waiting_.empty();
    unit_.disk_changed(disk_);
  }

  /// Writes up to `most` bytes of the input near the beginning of `bytes`, which are zeros.
  void scribble(std::span<std::byte> bytes, unsigned most) {
    if (bytes.empty()) return;
    for (unsigned left = source_.byte() % (most + 1); left > 0; --left) {
      bytes[source_.byte() % std::min<size_t>(bytes.size(), 40)] = std::byte{source_.byte()};
    }
  }

  void ask() {
    static constexpr uint8_t kOpcodes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x1a, 0x1b,
                                           0x1e, 0x25, 0x28, 0x2a, 0x2f, 0x35, 0x42, 0x55, 0x5a,
                                           0x88, 0x8a, 0x8f, 0x91, 0x9e, 0xa0, 0xa8, 0xaa, 0xaf};
    static constexpr uint32_t kLengths[] = {0, 7, 23, 39, 512, 1023, 4096, 131072};
    Order& order = orders_.emplace_back();
    order.cdb.resize(Cdb::kMaxLength);
    order.cdb[0] = std::byte{kOpcodes[source_.byte() % std::size(kOpcodes)]};
    scribble(order.cdb, 6);
    const uint8_t cut = source_.byte();
    if (cut < order.cdb.size()) order.cdb.resize(cut);
    // Exactly as long as it says, so that a byte beyond is an error of memory.
    order.buffer.resize(kLengths[source_.byte() % std::size(kLengths)] + source_.byte() % 3);
    scribble(order.buffer, 24);
    const uint32_t most = order.buffer.size() > platform::kPageSize ? uint32_t{platform::kPageSize}
                                                                    : 1u + source_.byte() * 3u;
    for (size_t at = 0; at < order.buffer.size(); at += most) {
      const auto left = static_cast<uint32_t>(order.buffer.size() - at);
      order.fragments.push_back({{order.buffer.data() + at, 0}, 0, std::min(left, most)});
    }
    order.command.cdb = order.cdb;
    order.command.lun = source_.byte() % 8 == 0;
    order.command.data = order.fragments;
    order.command.cookie = orders_.size() - 1;
    unit_.execute(order.command, *this);
  }

  /// The disk ends one of the requests that it has, well or badly.
  void answer() {
    if (waiting_.empty()) return;
    const size_t which = source_.byte() % waiting_.size();
    Request& request = *waiting_[which];
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(which));
    static constexpr Status kStatuses[] = {
        Status::kOk,       Status::kIoError,         Status::kClosed,      Status::kReadOnly,
        Status::kNoMemory, Status::kInvalidArgument, Status::kNotSupported};
    for (const Segment& segment : request.segments) {
      std::byte* const at = segment.page.address + segment.offset;
      if (request.operation == Operation::kRead) std::memset(at, 0xee, segment.length);
    }
    const uint8_t status = source_.byte();
    unit_.completed(request, kStatuses[status < std::size(kStatuses) ? status : 0]);
  }

  const Disk& disk() const override { return disk_; }
  Status submit(Request& request) override {
    const bool flushes = request.operation == Operation::kFlush;
    CHECK(flushes || request.sectors > 0);
    const uint32_t unit = disk_.sector_size / kSectorBytes;
    // Of a disk that is as it was nothing is asked that a queue would refuse.
    if (request.sectors > disk_.sectors || request.sector > disk_.sectors - request.sectors ||
        request.sector % unit != 0 || request.sectors % unit != 0) {
      CHECK(changed_on_the_way_);
      return Status::kInvalidArgument;
    }
    if (disk_.read_only && !flushes && request.operation != Operation::kRead) {
      CHECK(changed_on_the_way_);
      return Status::kReadOnly;
    }
    uint64_t bytes = 0;
    for (const Segment& segment : request.segments) bytes += segment.length;
    const bool moves = request.operation <= Operation::kWrite;
    CHECK(bytes == (moves ? request.sectors * kSectorBytes : 0));
    const uint8_t refusal = source_.byte();
    if (refusal == 1) return Status::kClosed;
    if (refusal == 2) return Status::kNotSupported;
    waiting_.push_back(&request);
    return Status::kOk;
  }
  void done(ScsiCommand& command) override {
    Order& order = orders_[command.cookie];
    CHECK(!std::exchange(order.done, true));
    CHECK(command.answer.transferred <= order.buffer.size());
    const bool good = command.answer.status == ScsiStatus::kGood;
    CHECK(good ||
          (command.answer.transferred == 0 && (command.answer.sense.key != SenseKey::kNoSense)));
    // Nothing is objected to behind the CDB's own end.
    const FieldPointer& pointer = command.answer.sense.pointer;
    if (pointer.where == FieldPointer::Where::kCdb) CHECK(pointer.byte < Cdb::kMaxLength);
  }

  FuzzInput& source_;
  Disk disk_;
  bool changed_on_the_way_ = false;  ///< commands may know another one
  ScsiUnit unit_{7, *this};
  std::deque<Order> orders_;
  std::vector<Request*> waiting_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput source{data, size};
  Session session(source);
  for (int steps = 0; !source.over() && steps < 100; ++steps) session.step();
  return 0;
}
