#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/netif/recording_client.hpp"
#include "conformance/netif/test_frames.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::conformance {

/// How a test frame is laid out in the guest's memory and what is said of it.
struct Sending {
  size_t chunk = platform::kPageSize;  ///< bytes in each page
  uint16_t offset = 0;                 ///< where they start in it
  xenvif::Checksum checksum = xenvif::Checksum::kUnknown;
  xenvif::Gso gso = {};
  xenvif::PacketHash hash = {};
};

/// A host, a guest with one vif and a client that records: what all netif tests stand on.
class VifFixture : public testing::Test {
 protected:
  static constexpr sim::Nanoseconds kShort = 20 * platform::kMillisecond;

  void SetUp() override {
    host_.emplace();
    guest_.emplace(*host_);
  }

  void TearDown() override {
    if (guest_) {
      client_.give_all_back();
      device_.reset();
      guest_->run([this] {
        for (const platform::Page& page : pages_) guest_->platform().release_page(page);
      });
    }
    stop_backend();
    guest_.reset();
    EXPECT_EQ(host_->audit(), std::vector<std::string>{});
    EXPECT_FALSE(client_.any_completed_twice());
    host_.reset();
  }

  virtual void stop_backend() {}
  void settle() { host_->pass(kShort); }

  void attach() { device_ = std::make_unique<VifDevice>(*guest_, client_); }
  xenvif::Vif& vif() { return device_->vif(); }
  xenvif::Queue& queue() { return device_->vif().queue(0); }
  sim::Toolstack& toolstack() { return host_->toolstack(); }

  std::string front(const std::string& key) const { return device_->paths().frontend + "/" + key; }
  std::string back(const std::string& key) const { return device_->paths().backend + "/" + key; }
  std::optional<std::string> front_value(const std::string& key) {
    return toolstack().read(front(key));
  }

  /// Puts the frame into pages of the guest. The fragments stay valid until the test ends.
  std::span<const xenvif::Fragment> lay_out(const Bytes& frame, const Sending& how = {}) {
    std::vector<xenvif::Fragment>& fragments = layouts_.emplace_back();
    guest_->run([&] {
      for (size_t at = 0; at < frame.size(); at += how.chunk) {
        const size_t length = std::min(how.chunk, frame.size() - at);
        const auto page = guest_->platform().allocate_page();
        if (!page) throw RigError("no page for a test frame");
        pages_.push_back(*page);
        std::memcpy(page->address + how.offset, &frame[at], length);
        fragments.push_back(
            {page->address + how.offset, page->frame, how.offset, static_cast<uint16_t>(length)});
      }
    });
    return fragments;
  }

  /// Transmits without flushing, on the vif's CPU; the cookie counts up from 1.
  Status transmit(std::span<const xenvif::Fragment> fragments, const Sending& how = {}) {
    return queue().transmit({.fragments = fragments,
                             .checksum = how.checksum,
                             .gso = how.gso,
                             .hash = how.hash,
                             .cookie = ++cookie_});
  }

  /// Lays out, transmits and flushes; the cookie.
  uint64_t send(const Bytes& frame, const Sending& how = {}) {
    const auto fragments = lay_out(frame, how);
    guest_->run([&] {
      EXPECT_EQ(transmit(fragments, how), Status::kOk);
      queue().flush();
    });
    return cookie_;
  }

  /// How the packet ended; nothing while it has not, or when it ended more than once.
  std::optional<xenvif::TxStatus> ended(uint64_t cookie) const {
    const auto found = client_.completions.find(cookie);
    if (found == client_.completions.end() || found->second.size() != 1) return {};
    return found->second[0];
  }

  RecordingClient client_;
  std::optional<Host> host_;
  std::optional<DriverGuest> guest_;
  std::unique_ptr<VifDevice> device_;
  uint64_t cookie_ = 0;

 private:
  std::vector<platform::Page> pages_;
  std::deque<std::vector<xenvif::Fragment>> layouts_;
};

}  // namespace ringside::conformance
