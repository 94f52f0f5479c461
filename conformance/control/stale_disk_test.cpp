#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "conformance/rig/forwarding_store.hpp"
#include "conformance/rig/migration.hpp"
#include "conformance/rig/site.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

/// Holds the first read of one key, as a busy store could, until it is let go.
class HeldStore final : public ForwardingStore {
 public:
  HeldStore(platform::Platform& platform, xenbus::Store& store, std::string_view key)
      : ForwardingStore(store), platform_(platform), key_(key) {}

  Result<platform::Buffer> read(xenbus::Transaction transaction, std::string_view path) override {
    if (path.ends_with(key_) && !reached) {
      reached = true;
      const auto never = platform_.create_event();
      while (!let_go) {
        (void)platform_.wait_until(**never, platform_.now() + platform::kMillisecond);
      }
    }
    return ForwardingStore::read(transaction, path);
  }

  bool reached = false;
  bool let_go = false;

 private:
  platform::Platform& platform_;
  std::string_view key_;
};

/// The disks that a client was told of.
struct ToldOf final : xenvbd::Client {
  void completed(xenvbd::Queue&, xenvbd::Request&, Status) override {}
  void disk_changed(const xenvbd::Disk& disk) override { disks.push_back(disk); }
  void disk_lost() override {}
  std::vector<xenvbd::Disk> disks;
};

TEST(StaleDiskTest, CONTROL_006_ADiskReadOfTwoBackEndsIsNotConnected) {
  Site site(std::make_unique<Host>());
  Site next(std::make_unique<Host>(site.host(), site.host().machine().config()));
  DriverGuest guest(site.host());
  const auto disk = std::make_shared<backends::MemoryDisk>(2048);
  site.wire(guest.domid(), sim::VbdConfig{}.vdev, disk);
  site.start({.blk = &backends::blkback_profiles().front()});
  next.start({.blk = &backends::blkback_profiles().front()});
  ToldOf client;
  std::optional<HeldStore> store;
  platform::Box<xenbus::SuspendAgent> agent;
  platform::Box<xenvbd::Vbd> vbd;
  const sim::DevicePaths paths = site.host().toolstack().attach_vbd(guest.domid());
  guest.run([&] {
    agent = *xenbus::SuspendAgent::create(guest.services());
    const xenbus::Services real = guest.services();
    store.emplace(guest.platform(), real.store, "/feature-discard");
    vbd = *xenvbd::Vbd::create({real.platform, real.grants, real.events, *store, real.suspend},
                               "device/vbd/51712", client);
    EXPECT_EQ(vbd->start(), Status::kOk);
  });
  site.host().require("the disk to be read", [&] { return store->reached; });
  suspend(guest);
  const auto bigger = std::make_shared<backends::MemoryDisk>(4096);
  const uint16_t before = guest.domid();
  migrate(guest, next.host(), {paths}, [&](uint16_t domid) {
    next.wire(domid, sim::VbdConfig{}.vdev, bigger);
    next.host().toolstack().attach_vbd(domid);
  });
  EXPECT_EQ(guest.domid(), before) << "so that the back end's path is the same";
  EXPECT_TRUE(client.disks.empty());
  store->let_go = true;
  next.host().require("the new disk", [&] { return !client.disks.empty(); });
  ASSERT_EQ(client.disks.size(), 1u);
  EXPECT_EQ(client.disks[0].sectors, 4096u);
  EXPECT_TRUE(client.disks[0].discard.supported);
  guest.run([&] {
    vbd = {};
    agent = {};
  });
}

}  // namespace
}  // namespace ringside::conformance
