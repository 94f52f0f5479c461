#include "conformance/worlds/disk_life.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::conformance {
namespace {

using xenvbd::Operation;

constexpr uint64_t kLongestSectors = 400;
constexpr sim::Nanoseconds kSoon = 20 * platform::kMillisecond;

bool carries_data(const xenvbd::Request& request) {
  return request.operation == Operation::kRead || request.operation == Operation::kWrite;
}

}  // namespace

DiskLife::DiskLife(DriverGuest& guest, const sim::VbdConfig& config,
                   std::shared_ptr<backends::MemoryDisk> disk, Peers peers,
                   const Scenario& scenario)
    : DeviceLife(guest, guest.host().toolstack().attach_vbd(guest.domid(), config), peers),
      scenario_(scenario),
      disk_(std::move(disk)),
      model_(disk_->size()),
      random_(guest.host().world().random().fork()) {}

DiskLife::~DiskLife() = default;

void DiskLife::run() {
  if (!create(static_cast<xenvbd::Client&>(*this))) return finding("could not be created");
  for (unsigned round = 0; round < scenario_.rounds; ++round) {
    leaving_ = false;
    if (!connect([this] { return driver().connected(); })) break;
    issue_round(scenario_.requests);
    leaving_ = true;
    close();
    if (busy() > 0) finding(fmt::format("{} requests outlived the disk's closing", busy()));
  }
  leaving_ = true;
  close();
  destroy();
}

void DiskLife::issue_round(unsigned count) {
  const sim::Nanoseconds limit = hostile() ? kSoon : patience();
  for (unsigned i = 0; i < count; ++i) {
    Slot* slot = nullptr;
    const bool issued = wait(
        "issuing",
        [&] {
          // Requests may be submitted while there is no connection.
          if (!driver().connected() && random_.chance(0.5)) {
            (void)connect([this] { return driver().connected(); });
          }
          slot = free_slot();
          if (slot == nullptr) kick();
          return slot != nullptr && issue(*slot);
        },
        limit);
    if (!issued && !hostile()) finding("a request could not be submitted");
    if (!issued) return;
    if (random_.chance(0.4)) kick();
  }
  kick();
  // Half of the time what is under way is left to the closing.
  if (hostile() || random_.chance(0.3)) {
    (void)wait(
        "letting some requests complete", [this] { return busy() == 0; }, random_.below(100'000));
    return;
  }
  const auto over = [this] {
    if (!driver().connected()) (void)connect([this] { return driver().connected(); });
    return busy() == 0;
  };
  if (!wait("waiting for completions", over)) {
    finding(fmt::format("{} requests were not completed", busy()));
  }
}

bool DiskLife::issue(Slot& slot) {
  if (!shape(slot)) {
    release(slot);
    return false;
  }
  xenvbd::Request& request = slot.request;
  slot.busy = true;
  slot.doubtful = false;
  slot.written = written_;
  // On a thread of its own another CPU's queue is out of reach.
  const bool alone = guest().host().world().is_deterministic();
  const auto queue =
      alone ? static_cast<unsigned>(random_.below(driver().queue_count())) : platform().cpu();
  const Status status = driver().queue(queue).submit(request);
  if (ok(status)) return true;
  slot.busy = false;
  if (request.operation == Operation::kWrite) {
    model_.forget(request.sector * xenvbd::kSectorBytes, bytes_of(request));
  }
  release(slot);
  const bool expected =
      status == Status::kClosed || (status == Status::kNotSupported && !scenario_.blk.discard);
  if (!expected && !hostile()) finding(fmt::format("refused: {}", to_string(status)));
  return status != Status::kClosed;
}

void DiskLife::kick() {
  if (!guest().host().world().is_deterministic()) return driver().queue(platform().cpu()).kick();
  for (unsigned i = 0; i < driver().queue_count(); ++i) driver().queue(i).kick();
}

bool DiskLife::shape(Slot& slot) {
  xenvbd::Request& request = slot.request;
  request = {};
  request.cookie = static_cast<uint64_t>(&slot - slots_.data());
  const uint64_t kind = random_.below(10);
  request.operation = kind < 5   ? Operation::kWrite
                      : kind < 8 ? Operation::kRead
                      : kind < 9 ? Operation::kFlush
                                 : Operation::kDiscard;
  const uint64_t disk_sectors = disk_->size() / xenvbd::kSectorBytes;
  request.sector = random_.below(disk_sectors - kLongestSectors);
  if (request.operation == Operation::kFlush) request.sector = 0;
  if (request.operation == Operation::kDiscard) request.sectors = 1 + random_.below(64);
  if (carries_data(request)) {
    bool made = true;
    const uint64_t form = random_.below(3);
    if (form == 0) {
      made = add(slot, static_cast<uint32_t>(1 + random_.below(1000)), 1024) &&
             add(slot, 3, 1021) && add(slot, 0, 3);
    } else if (form == 1) {
      made = add(slot, 512, 3584);
    }
    const uint64_t pages = form == 2 ? 1 + random_.below(random_.chance(0.2) ? 40 : 10) : 0;
    for (uint64_t i = 0; made && i < pages; ++i) made = add(slot, 0, platform::kPageSize);
    if (!made) return false;
    request.segments = slot.segments;
    request.sectors = bytes_of(request) / xenvbd::kSectorBytes;
  }
  if (overlaps(request)) return false;
  if (request.operation == Operation::kWrite) fill(slot);
  if (request.operation == Operation::kDiscard) {
    model_.forget(request.sector * xenvbd::kSectorBytes, request.sectors * xenvbd::kSectorBytes);
  }
  return true;
}

bool DiskLife::add(Slot& slot, uint32_t offset, uint32_t length) {
  const auto page = platform().allocate_page();
  if (!page) return false;
  slot.pages.push_back(*page);
  slot.segments.push_back({*page, offset, length});
  return true;
}

void DiskLife::fill(Slot& slot) {
  const xenvbd::Request& request = slot.request;
  std::vector<std::byte> data(request.sectors * xenvbd::kSectorBytes);
  const uint64_t offset = request.sector * xenvbd::kSectorBytes;
  fill_pattern(data, guest().host().world().seed(), offset, ++sequence_);
  size_t at = 0;
  for (const xenvbd::Segment& segment : slot.segments) {
    std::memcpy(segment.page.address + segment.offset, &data[at], segment.length);
    at += segment.length;
  }
  model_.write(offset, data);
}

void DiskLife::check_read(const Slot& slot) {
  std::vector<std::byte> data;
  for (const xenvbd::Segment& segment : slot.segments) {
    const std::byte* from = segment.page.address + segment.offset;
    data.insert(data.end(), from, from + segment.length);
  }
  if (const auto wrong = model_.mismatch(slot.request.sector * xenvbd::kSectorBytes, data)) {
    finding(fmt::format("a read brought the wrong bytes at {}", *wrong));
  }
}

void DiskLife::completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) {
  Slot& slot = slots_[request.cookie];
  if (&slot.request != &request || !slot.busy) {
    return finding("a request was completed once too often");
  }
  ++completed_;
  if (ok(status) && request.operation == Operation::kRead && !hostile()) check_read(slot);
  if (ok(status) && request.operation == Operation::kFlush) note_flushed(slot, queue);
  if (ok(status) && request.operation == Operation::kWrite) note_written(slot);
  if (!ok(status) && request.operation == Operation::kWrite) {
    model_.forget(request.sector * xenvbd::kSectorBytes, bytes_of(request));
  }
  const bool expected =
      ok(status) || (status == Status::kClosed && leaving_) ||
      (status == Status::kNotSupported && request.operation == Operation::kDiscard);
  if (!expected && !hostile()) {
    finding(fmt::format("a request at sector {} ended as {}", request.sector, to_string(status)));
  }
  slot.busy = false;
  release(slot);
  progress();
}

void DiskLife::note_written(Slot& slot) {
  const uint64_t offset = slot.request.sector * xenvbd::kSectorBytes;
  if (slot.doubtful) model_.forget(offset, bytes_of(slot.request));
  unflushed_.push_back({++written_, offset, bytes_of(slot.request)});
}

void DiskLife::note_flushed(const Slot& slot, const xenvbd::Queue& queue) {
  if (queue.disk().flush_mode() == xenvbd::FlushMode::kNone) return;
  std::erase_if(unflushed_, [&](const Unflushed& write) { return write.number <= slot.written; });
}

void DiskLife::power_cut() {
  for (const Unflushed& write : unflushed_) model_.forget(write.offset, write.length);
  unflushed_.clear();
  for (Slot& slot : slots_) slot.doubtful = slot.busy;
}

void DiskLife::release(Slot& slot) {
  for (const platform::Page page : slot.pages) platform().release_page(page);
  slot.pages.clear();
  slot.segments.clear();
}

bool DiskLife::overlaps(const xenvbd::Request& request) const {
  if (request.sectors == 0) return false;
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    const xenvbd::Request& other = slot.request;
    return slot.busy && request.sector < other.sector + other.sectors &&
           other.sector < request.sector + request.sectors;
  });
}

DiskLife::Slot* DiskLife::free_slot() {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.busy; });
  return found == slots_.end() ? nullptr : &*found;
}

size_t DiskLife::busy() const {
  return static_cast<size_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.busy; }));
}

uint64_t DiskLife::bytes_of(const xenvbd::Request& request) const {
  uint64_t bytes = 0;
  for (const xenvbd::Segment& segment : request.segments) bytes += segment.length;
  return bytes;
}

void DiskLife::check_disk() {
  if (hostile()) return;
  if (const auto wrong = model_.mismatch(0, disk_->bytes())) {
    finding(fmt::format("the disk holds the wrong bytes at {}", *wrong));
  }
}

}  // namespace ringside::conformance
