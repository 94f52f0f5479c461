#include "conformance/live/disk_lane.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "conformance/live/nbd_protocol.hpp"

namespace ringside::conformance {
namespace {

using xenvbd::Operation;

Operation operation_of(const NbdCommand& command) {
  switch (command.kind) {
    case NbdCommand::Kind::kRead: return Operation::kRead;
    case NbdCommand::Kind::kWrite: return Operation::kWrite;
    case NbdCommand::Kind::kTrim: return Operation::kDiscard;
    case NbdCommand::Kind::kFlush: break;
  }
  return Operation::kFlush;
}

uint32_t error_of(Status status) {
  switch (status) {
    case Status::kOk: return nbd::kNoError;
    case Status::kReadOnly: return nbd::kNotPermitted;
    case Status::kInvalidArgument: return nbd::kInvalid;
    case Status::kNotSupported: return nbd::kNotSupported;
    case Status::kClosed: return nbd::kShutdown;
    case Status::kNoMemory: return nbd::kNoMemory;
    default: return nbd::kIoError;
  }
}

}  // namespace

DiskLane::Counters& DiskLane::Counters::operator+=(const Counters& other) {
  reads += other.reads;
  writes += other.writes;
  flushes += other.flushes;
  trims += other.trims;
  bytes_read += other.bytes_read;
  bytes_written += other.bytes_written;
  errors += other.errors;
  return *this;
}

DiskLane::DiskLane(DriverGuest& guest, unsigned cpu, xenvbd::Queue& queue)
    : guest_(guest), cpu_(cpu), queue_(queue), slots_(kSlots) {
  bool complete = false;
  guest_.run([&] { complete = allocate(); });
  if (!complete) throw RigError("the guest has no memory for the data of a disk");
}

DiskLane::~DiskLane() {
  try {
    guest_.run([this] {
      work_.reset();
      for (const Slot& slot : slots_) {
        for (const platform::Page page : slot.pages) guest_.platform().release_page(page);
      }
    });
  } catch (const std::exception&) {
    // A guest that hangs was reported by the call that hung.
  }
}

bool DiskLane::allocate() {
  for (Slot& slot : slots_) {
    while (slot.pages.size() < kPagesEach) {
      const auto page = guest_.platform().allocate_page();
      if (!page) return false;
      slot.pages.push_back(*page);
    }
    free_.push_back(&slot);
  }
  auto work = guest_.platform().create_work(Delegate::to<&DiskLane::pump>(*this), cpu_);
  if (work) work_ = *std::move(work);
  return static_cast<bool>(work_);
}

void DiskLane::submit(std::unique_ptr<NbdCommand> command) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(command));
  }
  work_->queue();
}

void DiskLane::take_inbox() {
  const std::lock_guard lock(mutex_);
  for (auto& command : inbox_) {
    auto task = std::make_shared<Task>();
    task->flushing = command->kind == NbdCommand::Kind::kFlush;
    count(*command);
    task->command = std::move(command);
    waiting_.push_back(std::move(task));
  }
  inbox_.clear();
}

void DiskLane::count(const NbdCommand& command) {
  switch (command.kind) {
    case NbdCommand::Kind::kRead:
      ++counters_.reads;
      counters_.bytes_read += command.length;
      break;
    case NbdCommand::Kind::kWrite:
      ++counters_.writes;
      counters_.bytes_written += command.length;
      break;
    case NbdCommand::Kind::kTrim: ++counters_.trims; break;
    case NbdCommand::Kind::kFlush: break;  // where it is issued
  }
}

void DiskLane::pump() {
  take_inbox();
  while (!waiting_.empty() && !free_.empty()) {
    const std::shared_ptr<Task> task = waiting_.front();
    waiting_.pop_front();
    if (!issue(task)) waiting_.push_front(task);
  }
  queue_.kick();
}

/// Submits the next request of `task`, which may be completed when this returns; true when it
/// was the last one.
bool DiskLane::issue(const std::shared_ptr<Task>& task) {
  Slot& slot = *free_.back();
  free_.pop_back();
  shape(slot, *task);
  slot.task = task;
  ++task->outstanding;
  const bool last = task->all_issued;
  const Status status = queue_.submit(slot.request);
  if (ok(status)) return last;
  task->status = status;
  task->all_issued = true;
  --task->outstanding;
  slot.task.reset();
  free_.push_back(&slot);
  settle(task);
  return true;
}

void DiskLane::shape(Slot& slot, Task& task) {
  const NbdCommand& command = *task.command;
  xenvbd::Request& request = slot.request;
  request = {};
  request.cookie = static_cast<uint64_t>(&slot - slots_.data());
  request.operation = task.flushing ? Operation::kFlush : operation_of(command);
  counters_.flushes += task.flushing;
  slot.at = task.issued;
  slot.segments.clear();
  if (request.operation == Operation::kRead || request.operation == Operation::kWrite) {
    constexpr auto kPage = static_cast<uint32_t>(platform::kPageSize);
    const uint32_t length = std::min(command.length - task.issued, kPagesEach * kPage);
    for (uint32_t at = 0; at < length; at += kPage) {
      slot.segments.push_back({slot.pages[at / kPage], 0, std::min(length - at, kPage)});
    }
    request.sector = (command.offset + task.issued) / xenvbd::kSectorBytes;
    request.sectors = length / xenvbd::kSectorBytes;
    request.segments = slot.segments;
    if (request.operation == Operation::kWrite) {
      const std::byte* from = command.data.data() + slot.at;
      for (const xenvbd::Segment& segment : slot.segments) {
        std::memcpy(segment.page.address, from, segment.length);
        from += segment.length;
      }
    }
    task.issued += length;
    task.all_issued = task.issued == command.length;
    return;
  }
  task.all_issued = true;
  if (task.flushing) return;
  request.sector = command.offset / xenvbd::kSectorBytes;
  request.sectors = command.length / xenvbd::kSectorBytes;
}

void DiskLane::completed(xenvbd::Request& request, Status status) {
  Slot& slot = slots_[request.cookie];
  const std::shared_ptr<Task> task = std::exchange(slot.task, nullptr);
  if (ok(task->status)) task->status = status;
  if (ok(status) && request.operation == Operation::kRead) {
    std::byte* to = task->command->data.data() + slot.at;
    for (const xenvbd::Segment& segment : slot.segments) {
      std::memcpy(to, segment.page.address, segment.length);
      to += segment.length;
    }
  }
  free_.push_back(&slot);
  --task->outstanding;
  settle(task);
  work_->queue();
}

/// Ends a command whose last request is done, or lets its flush follow.
void DiskLane::settle(const std::shared_ptr<Task>& task) {
  if (task->outstanding > 0 || !task->all_issued) return;
  if (task->command->fua && ok(task->status) && !std::exchange(task->flushing, true)) {
    task->all_issued = false;
    waiting_.push_back(task);
    return;
  }
  counters_.errors += !ok(task->status);
  const auto done = std::move(task->command->done);
  done(std::move(task->command), error_of(task->status));
}

}  // namespace ringside::conformance
