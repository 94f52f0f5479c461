#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conformance/blkif/test_request.hpp"
#include "conformance/rig/vbd_device.hpp"
#include "conformance/scsi/unit_rig.hpp"
#include "protocols/xenvbd/scsi/client.hpp"
#include "protocols/xenvbd/scsi/fragments.hpp"

namespace ringside::conformance {

/// A disk of any size that holds only what was written, and keeps a diary.
class SparseDisk final : public backends::Disk {
 public:
  using Sector = std::array<std::byte, 512>;
  using Range = std::pair<uint64_t, uint64_t>;  ///< first sector and number

  explicit SparseDisk(uint64_t sectors) : sectors_(sectors) {}
  void resize(uint64_t sectors) { sectors_ = sectors; }

  uint64_t size() const override { return sectors_ * 512; }
  bool read_only() const override { return false; }
  backends::DiskStatus read(uint64_t offset, std::span<std::byte> into) override {
    if (broken) return backends::DiskStatus::kError;
    for (size_t at = 0; at < into.size(); at += 512) {
      const auto found = held_.find((offset + at) / 512);
      const Sector sector = found == held_.end() ? Sector{} : found->second;
      std::memcpy(into.data() + at, sector.data(), 512);
    }
    return backends::DiskStatus::kOk;
  }
  backends::DiskStatus write(uint64_t offset, std::span<const std::byte> from) override {
    if (broken) return backends::DiskStatus::kError;
    for (size_t at = 0; at < from.size(); at += 512) {
      std::memcpy(held_[(offset + at) / 512].data(), from.data() + at, 512);
    }
    ++unflushed;
    return backends::DiskStatus::kOk;
  }
  backends::DiskStatus flush() override {
    if (broken) return backends::DiskStatus::kError;
    unflushed = 0;
    ++flushes;
    return backends::DiskStatus::kOk;
  }
  backends::DiskStatus discard(uint64_t offset, uint64_t length) override {
    discards.insert({offset / 512, length / 512});
    return backends::DiskStatus::kOk;
  }

  bool broken = false;
  unsigned flushes = 0;
  unsigned unflushed = 0;  ///< writes since the last flush
  std::set<Range> discards;

 private:
  uint64_t sectors_;
  std::map<uint64_t, Sector> held_;
};

/// The SCSI face of a guest's disk over the whole simulated stack: unit, XENVBD, XENBUS, Xen,
/// xenstored, blkback.
class ScsiStack final : private xenvbd::ScsiUnit::Owner {
 public:
  /// A command with a buffer of guest memory.
  struct Order {
    std::vector<std::byte> cdb;
    std::vector<platform::Page> pages;
    std::vector<xenvbd::Segment> fragments;
    xenvbd::ScsiCommand command;
    unsigned done = 0;

    std::vector<std::byte> data() const {
      std::vector<std::byte> all(command.answer.transferred);
      xenvbd::copy_from(fragments, 0, all);
      return all;
    }
    std::string sense() const {
      const bool good = command.answer.status == xenvbd::ScsiStatus::kGood;
      return good ? "" : sense_text(command.answer.sense);
    }
  };

  explicit ScsiStack(const backends::BlkbackProfile& profile, uint64_t sectors = 16384)
      : disk(std::make_shared<SparseDisk>(sectors)) {
    config.profile = profile;
    config.open_disk = [this](const backends::VbdIdentity&, std::string&) { return disk; };
  }
  ~ScsiStack() { finish(); }
  ScsiStack(const ScsiStack&) = delete;
  ScsiStack& operator=(const ScsiStack&) = delete;

  void start_back_end() { blkback = start_blkback(host, config); }
  void attach() {
    start_back_end();
    guest = std::make_unique<DriverGuest>(host);
    vbd = std::make_unique<VbdDevice>(*guest, client_, vbd_config);
  }
  void connect() {
    if (!vbd) attach();
    ASSERT_TRUE(vbd->connect());
    medium_.emplace((*vbd)->queue(0));
  }

  /// A command on its way, with `data` in a buffer whose first fragment begins `skew` bytes
  /// into its page.
  Order& start(std::vector<std::byte> cdb, const std::vector<std::byte>& data, uint32_t skew = 0) {
    auto& order = *orders_.emplace_back(std::make_unique<Order>());
    order.cdb = std::move(cdb);
    guest->run([&] {
      for (size_t at = 0; at < data.size(); skew = 0) {
        const platform::Page page = order.pages.emplace_back(*guest->platform().allocate_page());
        const auto length =
            static_cast<uint32_t>(std::min<size_t>(data.size() - at, platform::kPageSize - skew));
        std::memcpy(page.address + skew, data.data() + at, length);
        order.fragments.push_back({page, skew, length});
        at += length;
      }
      order.command.cdb = order.cdb;
      order.command.data = order.fragments;
      order.command.cookie = orders_.size() - 1;
      unit_.execute(order.command, *medium_);
      (*vbd)->queue(0).kick();
    });
    return order;
  }
  bool wait_for(const Order& order) {
    return host.run_until([&] { return order.done > 0; });
  }
  /// Carries it out, and waits.
  Order& run(std::vector<std::byte> cdb, const std::vector<std::byte>& data, uint32_t skew = 0) {
    Order& order = start(std::move(cdb), data, skew);
    EXPECT_TRUE(wait_for(order)) << "never answered";
    return order;
  }
  Order& run(std::initializer_list<unsigned> cdb, size_t room = 0) {
    return run(bytes(cdb), std::vector<std::byte>(room));
  }
  std::string sense(std::initializer_list<unsigned> cdb, size_t room = 0) {
    return run(cdb, room).sense();
  }

  /// Closes everything and looks at what is left: nothing may be.
  void finish() {
    if (!guest) return;
    EXPECT_TRUE(vbd->close());
    for (const auto& order : orders_) EXPECT_EQ(order->done, 1u) << hex(order->cdb);
    vbd.reset();
    guest->run([this] {
      for (const auto& order : orders_) {
        for (const platform::Page page : order->pages) guest->platform().release_page(page);
      }
    });
    for (const std::string& leak : guest->shut_down()) ADD_FAILURE() << leak;
    guest.reset();
    blkback.reset();
    for (const std::string& leak : host.audit()) ADD_FAILURE() << leak;
  }

  Host host;
  std::shared_ptr<SparseDisk> disk;
  backends::Blkback::Config config;
  sim::VbdConfig vbd_config;
  std::unique_ptr<BlkbackActor> blkback;
  std::unique_ptr<DriverGuest> guest;
  std::unique_ptr<VbdDevice> vbd;

 private:
  struct StackClient final : xenvbd::UnitClient {
    using UnitClient::UnitClient;
  };
  void done(xenvbd::ScsiCommand& command) override { ++orders_[command.cookie]->done; }

  std::vector<std::unique_ptr<Order>> orders_;
  xenvbd::ScsiUnit unit_{7, *this};
  StackClient client_{unit_};
  std::optional<xenvbd::QueueMedium> medium_;
};

}  // namespace ringside::conformance
