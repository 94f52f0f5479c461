#include "conformance/replay/disk_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ringside::conformance {
namespace {

using Kind = BlockRequest::Kind;

constexpr sim::Nanoseconds kPatience = 60 * platform::kSecond;
constexpr uint64_t kMostPerKick = 8;
constexpr double kOddAlignment = 0.2;

xenvbd::Operation operation(Kind kind) {
  switch (kind) {
    case Kind::kRead: return xenvbd::Operation::kRead;
    case Kind::kWrite: return xenvbd::Operation::kWrite;
    case Kind::kSync: return xenvbd::Operation::kFlush;
    case Kind::kTrim: return xenvbd::Operation::kDiscard;
  }
  return xenvbd::Operation::kRead;
}

bool carries_data(Kind kind) { return kind == Kind::kRead || kind == Kind::kWrite; }

std::string reason(Status status) {
  switch (status) {
    case Status::kNotSupported: return "the back end can't discard";
    case Status::kReadOnly: return "the disk is read-only";
    case Status::kIoError: return "failed by the back end";
    case Status::kInvalidArgument: return "refused: not a whole number of the disk's sectors";
    default: return to_string(status);
  }
}

}  // namespace

DiskLoad::DiskLoad(DriverGuest& guest, const IoLog& log, const Payload& payload, DeviceModel& model,
                   BlkReplayReport& report)
    : guest_(guest),
      log_(log),
      payload_(payload),
      model_(model),
      report_(report),
      random_(guest.host().world().random().fork()),
      parts_left_(log.requests.size()),
      failures_(log.requests.size()) {
  guest_.run([this] {
    auto event = guest_.platform().create_event();
    if (event) progress_ = *std::move(event);
  });
  if (!progress_) throw RigError("no event for the load");
}

DiskLoad::~DiskLoad() {
  guest_.run([this] {
    for (Slot& slot : slots_) release(slot);
  });
}

void DiskLoad::run(xenvbd::Queue& queue, const ReplayOptions& options) {
  running_ = true;
  guest_.run([&] { run_in_guest(queue, options); }, /*cpu=*/0, platform::kForever / 2);
  running_ = false;
  for (size_t i = 0; i < log_.requests.size(); ++i) {
    const BlockRequest& request = log_.requests[i];
    if (!failures_[i].empty()) {
      ++report_.dropped[failures_[i]];
      continue;
    }
    ++report_.done;
    switch (request.kind) {
      case Kind::kRead: ++report_.reads; break;
      case Kind::kWrite: ++report_.writes; break;
      case Kind::kSync: ++report_.syncs; break;
      case Kind::kTrim: ++report_.trims; break;
    }
  }
}

void DiskLoad::run_in_guest(xenvbd::Queue& queue, const ReplayOptions& options) {
  uint64_t until_kick = 1;
  bool going = true;
  for (size_t i = 0; i < log_.requests.size(); ++i) {
    const BlockRequest& request = log_.requests[i];
    if (options.progress) options.progress(i, log_.requests.size(), "requests");
    const bool barrier = request.kind == Kind::kSync;
    while (going && (barrier ? under_way_ > 0 : conflicts(request))) going = wait(queue);
    going = going && issue(queue, i);
    if (barrier || --until_kick == 0) {
      queue.kick();
      until_kick = 1 + random_.below(kMostPerKick);
    }
    while (going && barrier && under_way_ > 0) going = wait(queue);
    if (!going && failures_[i].empty()) failures_[i] = "never completed";
  }
  while (going && under_way_ > 0) going = wait(queue);
  if (going) return;
  report_.findings.add("requests under way were not completed");
  for (size_t i = 0; i < parts_left_.size(); ++i) {
    if (parts_left_[i] > 0 && failures_[i].empty()) failures_[i] = "never completed";
  }
}

bool DiskLoad::wait(xenvbd::Queue& queue) {
  progress_->reset();
  queue.kick();
  if (under_way_ == 0) return true;
  return ok(guest_.platform().wait_until(*progress_, guest_.platform().now() + kPatience));
}

bool DiskLoad::conflicts(const BlockRequest& request) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    if (!slot.busy) return false;
    const BlockRequest& other = log_.requests[slot.index];
    if (other.kind == Kind::kRead && request.kind == Kind::kRead) return false;
    return request.offset < other.end() && other.offset < request.end();
  });
}

DiskLoad::Slot* DiskLoad::free_slot() {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.busy; });
  return found == slots_.end() ? nullptr : &*found;
}

bool DiskLoad::issue(xenvbd::Queue& queue, size_t index) {
  const BlockRequest& request = log_.requests[index];
  if (!carries_data(request.kind)) return issue_part(queue, index, 0, request.length);
  parts_left_[index] = static_cast<uint32_t>((request.length + kMostBytes - 1) / kMostBytes);
  for (uint64_t from = 0; from < request.length; from += kMostBytes) {
    if (!issue_part(queue, index, from, std::min(kMostBytes, request.length - from))) return false;
  }
  return true;
}

bool DiskLoad::issue_part(xenvbd::Queue& queue, size_t index, uint64_t from, uint64_t length) {
  Slot* slot = nullptr;
  while ((slot = free_slot()) == nullptr) {
    if (!wait(queue)) return false;
  }
  const BlockRequest& wanted = log_.requests[index];
  if (!carries_data(wanted.kind)) parts_left_[index] = 1;
  slot->index = index;
  slot->from = from;
  slot->length = length;
  slot->request = {};
  slot->request.operation = operation(wanted.kind);
  slot->request.sector = (wanted.offset + from) / kSectorSize;
  slot->request.sectors = length / kSectorSize;
  slot->request.cookie = static_cast<uint64_t>(slot - slots_.data());
  if (carries_data(wanted.kind)) lay_out(*slot);
  std::vector<std::byte> data;
  if (wanted.kind == Kind::kWrite) {
    data.resize(length);
    payload_.fill(data, wanted, index, from);
    put_data(*slot, data);
  }
  slot->busy = true;
  ++under_way_;
  const Status status = queue.submit(slot->request);
  if (!ok(status)) {
    part_ended(*slot, status);
    release(*slot);
    --under_way_;
    return true;
  }
  // Nothing that overlaps is under way, so the model may run ahead of the device.
  if (wanted.kind == Kind::kWrite) model_.write(wanted.offset + from, data);
  if (wanted.kind == Kind::kTrim) model_.forget(wanted.offset, wanted.length);
  return true;
}

/// Pages as a file system's buffers come: mostly whole, some starting in mid-page, a few at
/// an odd byte, which no grant can carry.
void DiskLoad::lay_out(Slot& slot) {
  size_t offset = random_.below(platform::kPageSize / kSectorSize) * kSectorSize;
  if (random_.chance(kOddAlignment)) offset = random_.below(platform::kPageSize);
  for (uint64_t left = slot.length; left > 0; offset = 0) {
    const auto page = guest_.platform().allocate_page();
    if (!page) throw RigError("the guest is out of memory");
    const auto run = static_cast<uint32_t>(std::min<uint64_t>(left, platform::kPageSize - offset));
    slot.pages.push_back(*page);
    slot.segments.push_back({*page, static_cast<uint32_t>(offset), run});
    left -= run;
  }
  slot.request.segments = slot.segments;
}

void DiskLoad::put_data(const Slot& slot, std::span<const std::byte> data) {
  for (const xenvbd::Segment& segment : slot.segments) {
    std::memcpy(segment.page.address + segment.offset, data.data(), segment.length);
    data = data.subspan(segment.length);
  }
}

std::vector<std::byte> DiskLoad::take_data(const Slot& slot) const {
  std::vector<std::byte> data;
  data.reserve(slot.length);
  for (const xenvbd::Segment& segment : slot.segments) {
    const std::byte* from = segment.page.address + segment.offset;
    data.insert(data.end(), from, from + segment.length);
  }
  return data;
}

void DiskLoad::check_read(const Slot& slot) {
  const BlockRequest& request = log_.requests[slot.index];
  const uint64_t offset = request.offset + slot.from;
  const auto data = take_data(slot);
  if (const auto wrong = model_.mismatch(offset, data)) {
    failures_[slot.index] = "read wrong data";
    report_.findings.add(
        fmt::format("line {}: the sector at byte {} read as {}", request.line, *wrong,
                    describe_sector(std::span(data).subspan(*wrong - offset, kSectorSize))));
    return;
  }
  report_.bytes_read += data.size();
}

void DiskLoad::part_ended(const Slot& slot, Status status) {
  const BlockRequest& request = log_.requests[slot.index];
  if (parts_left_[slot.index] == 0) {
    report_.findings.add(fmt::format("line {}: completed once too often", request.line));
    return;
  }
  --parts_left_[slot.index];
  if (!ok(status)) {
    failures_[slot.index] = reason(status);
    const bool hint = request.kind == Kind::kTrim && status == Status::kNotSupported;
    if (!hint) {
      report_.findings.add(fmt::format("line {}: {}", request.line, reason(status)));
    }
    return;
  }
  if (request.kind == Kind::kRead) check_read(slot);
  if (request.kind == Kind::kWrite) report_.bytes_written += slot.length;
}

void DiskLoad::release(Slot& slot) {
  for (const platform::Page page : slot.pages) guest_.platform().release_page(page);
  slot.pages.clear();
  slot.segments.clear();
  slot.busy = false;
}

void DiskLoad::completed(xenvbd::Queue&, xenvbd::Request& request, Status status) {
  Slot& slot = slots_[request.cookie];
  if (!slot.busy) {
    report_.findings.add("a request was completed that was not under way");
    return;
  }
  part_ended(slot, status);
  release(slot);
  --under_way_;
  progress_->signal();
}

void DiskLoad::disk_lost() {
  if (running_) report_.findings.add("the back end went away");
}

}  // namespace ringside::conformance
