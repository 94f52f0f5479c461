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
  const Status placed = xen_.add_to_physmap(XENMAPSPACE_shared_info, 0, frame_);
  if (!ok(placed)) return placed;
  placed_ = true;
  const auto address = platform_.map_frame(frame_);
  if (!address) return address.status();
  address_ = *address;
  return Status::kOk;
}

Bus::Bus(platform::Platform& platform, Hypercall& hypercall)
    : platform_(platform),
      xen_(hypercall),
      shared_info_(platform, xen_),
      grants_(platform, xen_),
      foreign_(platform, xen_),
      events_(platform, xen_),
      store_(platform, xen_, events_) {}

Bus::~Bus() = default;

Result<platform::Box<Bus>> Bus::create(platform::Platform& platform, Hypercall& hypercall) {
  auto bus = platform::Box<Bus>::create(platform, platform, hypercall);
  if (!bus) return bus.status();
  const Status status = (*bus)->start();
  if (!ok(status)) return status;
  return *std::move(bus);
}

Status Bus::start() {
  Status status = shared_info_.start();
  if (ok(status)) status = grants_.start();
  if (ok(status)) status = events_.start(shared_info_.address());
  if (ok(status)) status = store_.start();
  return status;
}

}  // namespace ringside::xenbus
