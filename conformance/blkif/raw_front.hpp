#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"
#include "protocols/xenbus/device.hpp"

namespace ringside::conformance {

/// A front end that puts on the ring whatever a test wants a back end to meet. The handshake
/// is XENBUS's; everything else is written out here. Calls at passive level of its guest.
template <typename Request = blkif_request_t, typename Response = blkif_response_t>
class RawFront final : private xenbus::DeviceDriver {
 public:
  using Ring = ring::FrontRing<Request, Response>;

  RawFront(DriverGuest& guest, const sim::DevicePaths& paths) : guest_(guest) {
    const std::string home = "/local/domain/" + std::to_string(guest.domid()) + "/";
    guest_.run([&] {
      const auto& services = guest_.services();
      grants_ = *services.grants.create_cache("raw", 16, 256);
      auto device = xenbus::Device::create(services, paths.frontend.substr(home.size()),
                                           {.published = xenbus::DeviceState::kInitialised}, *this);
      device_ = *std::move(device);
    });
  }
  ~RawFront() {
    guest_.run([this] {
      device_ = platform::Box<xenbus::Device>();
      release();
      for (const Granted& granted : granted_) {
        if (!ok(grants_->revoke(granted.ref))) continue;
        platform().release_page(granted.page);
      }
      grants_.reset();
    });
  }
  RawFront(const RawFront&) = delete;
  RawFront& operator=(const RawFront&) = delete;

  bool connect() {
    guest_.run([this] { (void)device_->start(); });
    return guest_.host().run_until([this] { return connected_ || failed(); }) && connected_;
  }
  bool close() {
    guest_.run([this] { device_->close(); });
    return guest_.host().run_until(
        [this] { return device_->state() == xenbus::DeviceState::kClosed && !channel_; });
  }
  /// The back end did not want this connection.
  bool failed() const { return device_->state() == xenbus::DeviceState::kClosed; }
  xenbus::Device& device() { return *device_; }
  Ring& ring() { return ring_; }
  platform::PageRange& area() { return area_; }

  struct Granted {
    platform::Page page;
    xenbus::GrantRef ref = 0;
  };
  Granted grant(xenbus::Access access = xenbus::Access::kReadWrite) {
    guest_.run([&] {
      Granted granted{*platform().allocate_page(), 0};
      granted.ref = *grants_->permit(0, granted.page.frame, access);
      granted_.push_back(granted);
    });
    return granted_.back();
  }

  /// kBusy as long as the back end maps the page.
  Status revoke(const Granted& granted) {
    Status status = Status::kOk;
    guest_.run([&] {
      status = grants_->revoke(granted.ref);
      if (!ok(status)) return;
      std::erase_if(granted_, [&](const Granted& one) { return one.ref == granted.ref; });
      platform().release_page(granted.page);
    });
    return status;
  }

  /// A request for one whole page.
  Request request(uint8_t operation, uint64_t sector, xenbus::GrantRef ref) {
    Request wire{};
    wire.operation = operation;
    wire.nr_segments = 1;
    wire.id = next_id_++;
    wire.sector_number = sector;
    wire.seg[0] = {.gref = ref, .first_sect = 0, .last_sect = 7};
    return wire;
  }

  /// Puts one request and waits for its response; nothing when none comes.
  template <typename T>
  std::optional<Response> ask(const T& wire) {
    std::optional<Response> response;
    guest_.run([&] {
      ring_.put(wire);
      if (ring_.publish()) channel_->notify();
    });
    guest_.host().run_until([&] {
      if (const auto taken = ring_.take(); taken && *taken) response = **taken;
      return response.has_value();
    });
    return response;
  }
  template <typename T>
  int status_of(const T& wire) {
    const auto response = ask(wire);
    if (!response) return -1000;
    EXPECT_EQ(uint64_t{response->id}, uint64_t{wire.id});  // packed in the 32-bit layout
    return response->status;
  }

  uint32_t ring_order = 0;
  std::vector<std::pair<std::string, std::string>> extra_nodes;

 private:
  platform::Platform& platform() { return guest_.platform(); }

  Status prepare(xenbus::DomainId peer, const xenbus::Node&) override {
    area_ = *platform().allocate_pages(1u << ring_order);
    ring_ = *Ring::create(area_.bytes());
    for (unsigned i = 0; i < area_.count; ++i) {
      ring_refs_.push_back(*grants_->permit(peer, area_.frames[i], xenbus::Access::kReadWrite));
    }
    auto channel = guest_.services().events.open_unbound(peer, Delegate([](void*) {}, nullptr), 0);
    channel_ = *std::move(channel);
    return Status::kOk;
  }
  Status publish(const xenbus::Node& frontend) override {
    if (ring_refs_.size() == 1) {
      (void)frontend.write_number("ring-ref", ring_refs_[0]);
    } else {
      (void)frontend.write_number("ring-page-order", ring_order);
      for (size_t i = 0; i < ring_refs_.size(); ++i) {
        (void)frontend.write_number("ring-ref" + std::to_string(i), ring_refs_[i]);
      }
    }
    (void)frontend.write_number("event-channel", channel_->port());
    for (const auto& [key, value] : extra_nodes) (void)frontend.write(key, value);
    return Status::kOk;
  }
  Status connect(const xenbus::Node&) override {
    connected_ = true;
    return Status::kOk;
  }
  void backend_changed(const xenbus::Node&) override {}
  void stop() override { connected_ = false; }
  void release() override {
    ring_.close();
    channel_.reset();
    for (const xenbus::GrantRef ref : ring_refs_) EXPECT_EQ(grants_->revoke(ref), Status::kOk);
    ring_refs_.clear();
    if (area_.count > 0) platform().release_pages(area_);
    area_ = {};
  }

  DriverGuest& guest_;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> channel_;
  platform::Box<xenbus::Device> device_;
  platform::PageRange area_;
  Ring ring_;
  std::vector<xenbus::GrantRef> ring_refs_;
  std::vector<Granted> granted_;
  uint64_t next_id_ = 0x1000;
  bool connected_ = false;
};

}  // namespace ringside::conformance
