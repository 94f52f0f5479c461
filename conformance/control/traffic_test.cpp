#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "backends/netback/port.hpp"
#include "conformance/rig/migration.hpp"
#include "conformance/rig/vbd_device.hpp"
#include "conformance/rig/vif_device.hpp"
#include "conformance/worlds/disk_life.hpp"
#include "conformance/worlds/net_life.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kSeeds = 12;
constexpr uint64_t kSectors = 2048;
constexpr sim::Nanoseconds kBudget = 100 * platform::kSecond;

Scenario scenario_of(uint64_t seed) {
  Scenario scenario = draw_scenario(seed);
  scenario.frames = 40;
  scenario.requests = 40;
  scenario.rounds = 2;
  return scenario;
}

HostConfig host_config(uint64_t seed) {
  HostConfig config;
  config.seed = seed;
  config.machine.frames = 16384;
  config.machine.max_grant_frames = 16;
  return config;
}

/// Two guests with a cable between them and a disk each, at work; the first one travels.
class Journey {
 public:
  explicit Journey(uint64_t seed)
      : scenario_(scenario_of(seed)), host_(host_config(seed)), random_(seed ^ 0x7a7e1) {
    netback_ = start_netback(
        host_,
        [this](uint16_t domain, unsigned handle) -> backends::Port* {
          return ports_[{domain, handle}];
        },
        scenario_.net);
    backends::Blkback::Config blk;
    blk.profile = scenario_.blk;
    blk.open_disk = [this](const backends::VbdIdentity& vbd, std::string&) {
      return images_[{vbd.domain, vbd.device}];
    };
    blkback_ = start_blkback(host_, std::move(blk));
    for (unsigned i = 0; i < 2; ++i) settle_in(i);
    nets_[0]->join(*nets_[1]);
    nets_[1]->join(*nets_[0]);
    traveller().run([&] { agent_ = *xenbus::SuspendAgent::create(traveller().services()); });
    devices_ = {nets_[0]->paths(), disks_[0]->paths()};
  }

  /// All findings, one line each; empty when all is well.
  std::string run() {
    for (unsigned i = 0; i < 2; ++i) {
      guests_[i]->guest().post(0, [this, i] { nets_[i]->run(); });
      guests_[i]->guest().post(guests_[i]->platform().cpu_count() - 1,
                               [this, i] { disks_[i]->run(); });
    }
    const uint64_t legs = 1 + random_.below(3);
    for (uint64_t i = 0; i < legs; ++i) {
      host_.pass(random_.below(600'000));
      travel();
    }
    host_.require(
        "the traffic to end", [this] { return done(); }, kBudget);
    return close();
  }
  unsigned moves() const { return moves_; }

 private:
  DriverGuest& traveller() { return *guests_[0]; }

  void settle_in(unsigned i) {
    const unsigned vcpus = 1 + static_cast<unsigned>(random_.below(2));
    guests_[i] =
        std::make_unique<DriverGuest>(host_, sim::GuestConfig{.vcpus = vcpus, .memory_kib = 12288});
    vifs_[i].handle = i;
    vifs_[i].mac = fmt::format("00:16:3e:00:00:{:02x}", i);
    ports_[{guests_[i]->domid(), i}] = i == 0 ? &link_.left() : &link_.right();
    disk_images_[i] = std::make_shared<backends::MemoryDisk>(kSectors);
    images_[{guests_[i]->domid(), vbds_[i].vdev}] = disk_images_[i];
    nets_[i] = std::make_unique<NetLife>(*guests_[i], vifs_[i], Peers::kSound, scenario_);
    disks_[i] = std::make_unique<DiskLife>(*guests_[i], vbds_[i], disk_images_[i], Peers::kSound,
                                           scenario_);
  }

  void travel() {
    suspend(traveller());
    host_.pass(random_.below(200'000));
    if (random_.chance(0.25)) {
      host_.toolstack().cancel_suspend(traveller().domid());
      host_.require("the guest to go on", [this] { return !traveller().bus().suspend().busy(); });
      return;
    }
    restore(traveller(), devices_, [this](uint16_t domid) {
      ports_[{domid, 0}] = &link_.left();
      images_[{domid, vbds_[0].vdev}] = disk_images_[0];
      devices_ = {host_.toolstack().attach_vif(domid, vifs_[0]),
                  host_.toolstack().attach_vbd(domid, vbds_[0])};
    });
    ++moves_;
  }

  bool done() const {
    return nets_[0]->done() && nets_[1]->done() && disks_[0]->done() && disks_[1]->done();
  }

  std::string close() {
    std::vector<std::string> findings;
    const auto add = [&](const std::vector<std::string>& more) {
      findings.insert(findings.end(), more.begin(), more.end());
    };
    traveller().run([this] { [[maybe_unused]] const auto last = std::exchange(agent_, {}); });
    for (unsigned i = 0; i < 2; ++i) {
      nets_[i]->check_arrivals();
      disks_[i]->check_disk();
      add(nets_[i]->findings());
      add(disks_[i]->findings());
      add(guests_[i]->shut_down());
      guests_[i].reset();
    }
    netback_.reset();
    blkback_.reset();
    add(host_.audit());
    std::string text;
    for (const std::string& finding : findings) text += finding + '\n';
    return text;
  }

  Scenario scenario_;
  Host host_;
  sim::Random random_;
  backends::Link link_;
  std::map<std::pair<uint16_t, unsigned>, backends::Port*> ports_;
  std::map<std::pair<uint16_t, unsigned>, std::shared_ptr<backends::MemoryDisk>> images_;
  std::shared_ptr<backends::MemoryDisk> disk_images_[2];
  sim::VifConfig vifs_[2];
  sim::VbdConfig vbds_[2];
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::unique_ptr<DriverGuest> guests_[2];
  std::unique_ptr<NetLife> nets_[2];
  std::unique_ptr<DiskLife> disks_[2];
  std::vector<sim::DevicePaths> devices_;
  platform::Box<xenbus::SuspendAgent> agent_;
  unsigned moves_ = 0;
};

TEST(SuspendTrafficTest, CONTROL_006_TrafficOutlivesSuspendAndMigration) {
  unsigned moves = 0;
  for (uint64_t seed = options().seed; seed < options().seed + kSeeds; ++seed) {
    Journey journey(seed);
    EXPECT_EQ(journey.run(), "") << "seed " << seed;
    moves += journey.moves();
  }
  EXPECT_GT(moves, kSeeds / 2);
}

}  // namespace
}  // namespace ringside::conformance
