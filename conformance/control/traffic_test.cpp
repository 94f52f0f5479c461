#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "conformance/rig/migration.hpp"
#include "conformance/rig/site.hpp"
#include "conformance/worlds/disk_life.hpp"
#include "conformance/worlds/net_life.hpp"
#include "protocols/xenbus/suspend_agent.hpp"
#include "sim/machine/profiles.hpp"

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

/// Another Xen than the first host's, drawn from the seed.
sim::MachineConfig other_xen(sim::Random& random) {
  const auto profiles = sim::xen_profiles();
  sim::MachineConfig config = sim::on_xen(profiles[random.below(profiles.size())]);
  config.max_grant_frames = 8;
  config.clock.tsc_khz = 1'000'000 + random.below(3'000'000);
  return config;
}

template <typename Profile>
const Profile& drawn(std::span<const Profile> profiles, sim::Random& random) {
  return profiles[random.below(profiles.size())];
}

/// Two guests with a cable between them and a disk each, at work; the first one travels, within
/// its host and to another one with another Xen and other back ends.
class Journey {
 public:
  explicit Journey(uint64_t seed)
      : scenario_(scenario_of(seed)),
        random_(seed ^ 0x7a7e1),
        home_(std::make_unique<Host>(host_config(seed))),
        abroad_(std::make_unique<Host>(home_.host(), other_xen(random_))) {
    home_.start({.net = &scenario_.net, .blk = &scenario_.blk});
    const backends::BlkbackProfile& blk = drawn(backends::blkback_profiles(), random_);
    abroad_.start({.net = &drawn(backends::netback_profiles(), random_), .blk = &blk});
    // What a disk can't do on both hosts may be refused.
    scenario_.blk.discard = scenario_.blk.discard && blk.discard;
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
      home_.host().pass(random_.below(600'000));
      travel();
    }
    home_.host().require(
        "the traffic to end", [this] { return done(); }, kBudget);
    return close();
  }
  unsigned moves() const { return moves_; }
  unsigned crossings() const { return crossings_; }

 private:
  DriverGuest& traveller() { return *guests_[0]; }

  void settle_in(unsigned i) {
    const unsigned vcpus = 1 + static_cast<unsigned>(random_.below(2));
    guests_[i] = std::make_unique<DriverGuest>(
        home_.host(), sim::GuestConfig{.vcpus = vcpus, .memory_kib = 12288});
    vifs_[i].handle = i;
    vifs_[i].mac = fmt::format("00:16:3e:00:00:{:02x}", i);
    home_.wire(guests_[i]->domid(), i, i == 0 ? link_.left() : link_.right());
    disk_images_[i] = std::make_shared<backends::MemoryDisk>(kSectors);
    home_.wire(guests_[i]->domid(), vbds_[i].vdev, disk_images_[i]);
    nets_[i] = std::make_unique<NetLife>(*guests_[i], vifs_[i], Peers::kSound, scenario_);
    disks_[i] = std::make_unique<DiskLife>(*guests_[i], vbds_[i], disk_images_[i], Peers::kSound,
                                           scenario_);
  }

  void travel() {
    Host& here = traveller().host();
    suspend(traveller());
    here.pass(random_.below(200'000));
    if (random_.chance(0.25)) {
      here.toolstack().cancel_suspend(traveller().domid());
      here.require("the guest to go on", [this] { return !traveller().bus().suspend().busy(); });
      return;
    }
    Site& next = random_.chance(0.5) ? home_ : abroad_;
    migrate(traveller(), next.host(), devices_, [&](uint16_t domid) {
      next.wire(domid, 0, link_.left());
      next.wire(domid, vbds_[0].vdev, disk_images_[0]);
      devices_ = {next.host().toolstack().attach_vif(domid, vifs_[0]),
                  next.host().toolstack().attach_vbd(domid, vbds_[0])};
    });
    if (&next.host() != &here) ++crossings_;
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
    for (Site* site : {&abroad_, &home_}) {
      site->stop();
      add(site->host().audit());
    }
    std::string text;
    for (const std::string& finding : findings) text += finding + '\n';
    return text;
  }

  Scenario scenario_;
  sim::Random random_;
  backends::Link link_;
  Site home_;
  Site abroad_;
  std::shared_ptr<backends::MemoryDisk> disk_images_[2];
  sim::VifConfig vifs_[2];
  sim::VbdConfig vbds_[2];
  std::unique_ptr<DriverGuest> guests_[2];
  std::unique_ptr<NetLife> nets_[2];
  std::unique_ptr<DiskLife> disks_[2];
  std::vector<sim::DevicePaths> devices_;
  platform::Box<xenbus::SuspendAgent> agent_;
  unsigned moves_ = 0;
  unsigned crossings_ = 0;
};

TEST(SuspendTrafficTest, CONTROL_006_TrafficOutlivesSuspendAndMigration) {
  unsigned moves = 0;
  unsigned crossings = 0;
  for (uint64_t seed = options().seed; seed < options().seed + kSeeds; ++seed) {
    Journey journey(seed);
    EXPECT_EQ(journey.run(), "") << "seed " << seed;
    moves += journey.moves();
    crossings += journey.crossings();
  }
  EXPECT_GT(crossings, kSeeds / 4);
  EXPECT_GT(moves, kSeeds / 2);
}

}  // namespace
}  // namespace ringside::conformance
