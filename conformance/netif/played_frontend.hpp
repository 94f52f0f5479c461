#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/netback/port.hpp"
#include "conformance/netif/test_frames.hpp"
#include "conformance/rig/vif_device.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::conformance {

/// Tests that are the front end themselves, and choose each slot that the reference netback sees.
class PlayedFrontendFixture : public testing::Test {
 protected:
  virtual backends::NetbackProfile profile() const = 0;

  using TxRing = ring::FrontRing<netif_tx_request_t, netif_tx_response_t>;

  void SetUp() override {
    host_.emplace();
    guest_.emplace(*host_);
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port_; }, profile());
    paths_ = host_->toolstack().attach_vif(guest_->domid());
    guest_->run([this] { allocate(); });
  }

  void TearDown() override {
    write("state", "6");
    host_->require("netback to let go", [this] { return backend_state() == "6"; });
    guest_->run([this] { release(); });
    host_->toolstack().force_detach(paths_);
    netback_.reset();
    guest_.reset();
    EXPECT_EQ(host_->audit(), std::vector<std::string>{});
  }

  void allocate() {
    const xenbus::Services& services = guest_->services();
    grants_ = *services.grants.create_cache("played", 8, 64);
    channel_ = *services.events.open_unbound(0, Delegate{[](void*) {}, nullptr}, 0);
    for (platform::Page& page : pages_) page = *services.platform.allocate_page();
    for (size_t i = 0; i < kPages; ++i) {
      refs_[i] = *grants_->permit(0, pages_[i].frame, xenbus::Access::kReadWrite);
    }
    tx_ = *TxRing::create({pages_[kTx].address, platform::kPageSize});
    // Laid empty: the guest posts nothing to receive into.
    (void)ring::FrontRing<netif_rx_request_t, netif_rx_response_t>::create(
        {pages_[kRx].address, platform::kPageSize});
    const Bytes data = plain_frame(platform::kPageSize);
    std::copy(data.begin(), data.end(), pages_[kData].address);
  }

  void release() {
    channel_.reset();
    for (size_t i = 0; i < kPages; ++i) {
      EXPECT_EQ(grants_->revoke(refs_[i]), Status::kOk) << "netback still maps it";
      guest_->platform().release_page(pages_[i]);
    }
    grants_.reset();
  }

  void write(const std::string& key, const std::string& value) {
    host_->toolstack().write(paths_.frontend + "/" + key, value);
  }
  std::optional<std::string> backend_state() {
    return host_->toolstack().read(paths_.backend + "/state");
  }

  virtual void write_keys() {
    write("tx-ring-ref", std::to_string(refs_[kTx]));
    write("rx-ring-ref", std::to_string(refs_[kRx]));
    write("event-channel", std::to_string(channel_->port()));
    write("request-rx-copy", "1");
    write("feature-sg", "1");
  }
  void connect() {
    host_->require("netback to offer", [this] { return backend_state() == "2"; });
    write_keys();
    write("state", "4");
    host_->require("netback to connect", [this] { return backend_state() == "4"; });
  }

  netif_tx_request_t request(unsigned size, unsigned flags = 0, unsigned offset = 0) {
    return {refs_[kData], static_cast<uint16_t>(offset), static_cast<uint16_t>(flags), next_id_++,
            static_cast<uint16_t>(size)};
  }

  /// Publishes what was put and returns the statuses of the answers that come.
  std::vector<int> push() {
    guest_->run([this] {
      (void)tx_.publish();
      channel_->notify();
    });
    host_->pass(10 * platform::kMillisecond);
    std::vector<int> statuses;
    for (;;) {
      auto response = tx_.take();
      if (!response || !*response) return statuses;
      statuses.push_back((*response)->status);
    }
  }

  void expect_ring_goes_on() {
    const size_t before = port_.received().size();
    tx_.put(request(100));
    EXPECT_EQ(push(), std::vector{NETIF_RSP_OKAY});
    EXPECT_EQ(port_.received().size(), before + 1);
  }

  void expect_refused(const char* what) {
    host_->require(what, [this] { return backend_state() == "5"; });
    const size_t at = paths_.backend.find("/backend/");
    const std::string error = paths_.backend.substr(0, at) + "/error" + paths_.backend.substr(at);
    EXPECT_TRUE(host_->toolstack().read(error + "/error"));
  }

  enum : size_t { kTx, kRx, kData, kControl, kParameters, kPages };
  backends::MemoryPort port_;
  std::optional<Host> host_;
  std::optional<DriverGuest> guest_;
  std::unique_ptr<NetbackActor> netback_;
  sim::DevicePaths paths_;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> channel_;
  std::array<platform::Page, kPages> pages_;
  std::array<uint32_t, kPages> refs_{};
  TxRing tx_;
  uint16_t next_id_ = 0;
};

}  // namespace ringside::conformance
