#include "protocols/xenbus/bus.hpp"

namespace ringside::xenbus {

Bus::SharedInfo::~SharedInfo() {
  if (address_ != nullptr) platform_.unmap_frame(address_);
  if (placed_) (void)xen_.remove_from_physmap(frame_);
  if (reserved_) platform_.release_frames(frame_, 1);
}

Status Bus::SharedInfo::start() {
  const auto frame = platform_.reserve_frames(1);
  if (!frame) return frame.status();
  frame_ = *frame;
  reserved_ = true;
  return place();
}

Status Bus::SharedInfo::resume() {
  platform_.unmap_frame(address_);
  address_ = nullptr;
  placed_ = false;
  return place();
}

Status Bus::SharedInfo::place() {
  const Status placed = xen_.add_to_physmap(XENMAPSPACE_shared_info, 0, frame_);
  if (!ok(placed)) return placed;
  placed_ = true;
  const auto address = platform_.map_frame(frame_);
  if (!address) return address.status();
  address_ = *address;
  return Status::kOk;
}

Bus::Bus(platform::Platform& platform, Hypercall& hypercall, Directory* below)
    : platform_(platform),
      xen_(hypercall),
      unplug_(platform),
      shared_info_(platform, xen_),
      grants_(platform, xen_),
      foreign_(platform, xen_),
      events_(platform, xen_),
      store_(platform, xen_, events_),
      suspend_(platform, xen_),
      directory_(platform, *this, below) {}

Bus::~Bus() = default;

Result<platform::Box<Bus>> Bus::create(platform::Platform& platform, Hypercall& hypercall,
                                       Directory* below) {
  auto bus = platform::Box<Bus>::create(platform, platform, hypercall, below);
  if (!bus) return bus.status();
  const Status status = (*bus)->start();
  if (!ok(status)) return status;
  return *std::move(bus);
}

Status Bus::start() {
  // UNPLUG-003: refused drivers touch nothing else.
  Status status = unplug_.start();
  if (ok(status)) status = shared_info_.start();
  if (ok(status)) status = grants_.start();
  if (ok(status)) status = events_.start(shared_info_.address());
  if (ok(status)) status = store_.start();
  if (ok(status)) status = suspend_.start();
  if (ok(status)) status = directory_.start();
  if (!ok(status)) return status;
  // CONTROL-004: XENBUS's own come first, as all others stand on it.
  auto early = suspend_.add(SuspendPhase::kEarly, Delegate::to<&Bus::resume_early>(*this));
  if (!early) return early.status();
  auto late = suspend_.add(SuspendPhase::kLate, Delegate::to<&Bus::resume_late>(*this));
  if (!late) return late.status();
  early_ = *std::move(early);
  late_ = *std::move(late);
  return Status::kOk;
}

void Bus::resume_early() {
  // CONTROL-005: Xen knows nothing of what the former domain had. Without these pages there is
  // no way on, and no one to tell.
  RINGSIDE_ASSERT(platform_, ok(shared_info_.resume()));
  RINGSIDE_ASSERT(platform_, ok(grants_.resume()));
  unplug_.resume();
  foreign_.resume();
  events_.resume(shared_info_.address());
  store_.disconnect();
}

void Bus::resume_late() {
  if (ok(store_.resume())) return;
  platform_.log(platform::LogLevel::kError, "no store after the resume");
}

}  // namespace ringside::xenbus
