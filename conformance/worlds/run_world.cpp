#include "conformance/worlds/run_world.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "conformance/worlds/disk_life.hpp"
#include "conformance/worlds/net_life.hpp"
#include "conformance/worlds/scenario.hpp"

namespace ringside::conformance {
namespace {

using sim::FaultKind;

constexpr size_t kMostFaults = 8;
constexpr sim::Nanoseconds kHorizon = 1'500'000;
/// More than the sum of all patiences in one life.
constexpr sim::Nanoseconds kBudget = 100 * platform::kSecond;

HostConfig host_config(uint64_t seed) {
  HostConfig config;
  config.seed = seed;
  config.machine.frames = 16384;
  config.machine.max_grant_frames = 16;
  config.machine.max_ports = 64;
  return config;
}

Peers peers_of(const sim::FaultPlan& plan) {
  const bool hostile = std::any_of(plan.begin(), plan.end(), [](const sim::Fault& fault) {
    return fault.kind == FaultKind::kRingGarbage || fault.kind == FaultKind::kTornMemory;
  });
  return hostile ? Peers::kHostile : Peers::kSound;
}

/// Everything in one world, in the order in which it comes and, backwards, goes.
class Stage {
 public:
  Stage(uint64_t seed, const sim::FaultPlan& plan)
      : scenario_(draw_scenario(seed)), peers_(peers_of(plan)), host_(host_config(seed)) {
    if (!scenario_.cables.empty()) start_net();
    if (!scenario_.disks.empty()) start_blk();
    for (const unsigned vcpus : scenario_.vcpus) {
      guests_.push_back(std::make_unique<DriverGuest>(host_, sim::GuestConfig{.vcpus = vcpus}));
      guests_.back()->guest().set_setting("FrontendMaxRingPageOrder", scenario_.ring_page_order);
    }
    plug_cables();
    plug_disks();
    injector_ = std::make_unique<Injector>(targets(), plan);
  }

  void run(WorldResult& result) {
    for (const auto& life : nets_) life->guest().guest().post(0, [&life] { life->run(); });
    for (const auto& life : disks_) life->guest().guest().post(0, [&life] { life->run(); });
    const bool ended = host_.run_until(
        [this] {
          return std::all_of(nets_.begin(), nets_.end(), [](auto& one) { return one->done(); }) &&
                 std::all_of(disks_.begin(), disks_.end(), [](auto& one) { return one->done(); }) &&
                 injector_->quiet();
        },
        kBudget);
    result.struck = injector_->struck();
    if (!ended) throw Stuck("the world did not end: " + doing());
  }

  void shut_down(WorldResult& result) {
    injector_.reset();
    for (const auto& life : nets_) {
      life->check_arrivals();
      result.frames += life->sent();
    }
    for (const auto& life : disks_) {
      life->check_disk();
      result.requests += life->completed();
    }
    take_findings(nets_, result);
    take_findings(disks_, result);
    for (auto& guest : guests_) {
      guest->guest().fail_allocation_at(0);
      add(guest->shut_down(), result);
    }
    guests_.clear();
    netback_.reset();
    blkback_.reset();
    add(host_.audit(), result);
    result.digest = host_.world().trace().digest();
    result.steps = host_.world().trace().count();
  }

 private:
  void start_net() {
    netback_ = start_netback(
        host_,
        [this](uint16_t domain, unsigned handle) -> backends::Port* {
          const auto found = ports_.find({domain, handle});
          return found == ports_.end() ? nullptr : found->second;
        },
        scenario_.net);
  }

  void start_blk() {
    backends::Blkback::Config config;
    config.profile = scenario_.blk;
    config.open_disk = [this](const backends::VbdIdentity& vbd, std::string&) {
      return images_[{vbd.domain, vbd.device}];
    };
    config.tap = &blk_tap_;
    blkback_ = start_blkback(host_, std::move(config));
  }

  void plug_cables() {
    uint32_t id = 0;
    for (const CableSpec& cable : scenario_.cables) {
      backends::Link& link = *links_.emplace_back(std::make_unique<backends::Link>());
      NetLife* ends[2];
      for (const bool left : {true, false}) {
        DriverGuest& guest = *guests_[left ? cable.left : cable.right];
        sim::VifConfig config;
        config.handle = id;
        config.mac = fmt::format("00:16:3e:00:00:{:02x}", id);
        ports_[{guest.domid(), id}] = left ? &link.left() : &link.right();
        ends[left] =
            nets_.emplace_back(std::make_unique<NetLife>(guest, config, id, peers_, scenario_))
                .get();
        ++id;
      }
      ends[0]->join(*ends[1]);
      ends[1]->join(*ends[0]);
    }
  }

  void plug_disks() {
    unsigned vdev = 51712;
    for (const DiskSpec& spec : scenario_.disks) {
      DriverGuest& guest = *guests_[spec.guest];
      sim::VbdConfig config;
      config.vdev = vdev;
      vdev += 16;
      auto image = std::make_shared<backends::MemoryDisk>(spec.sectors);
      images_[{guest.domid(), config.vdev}] = image;
      disks_.push_back(
          std::make_unique<DiskLife>(guest, config, std::move(image), peers_, scenario_));
    }
  }

  Targets targets() {
    Targets targets{host_, netback_.get(), blkback_.get(), {}, {}};
    for (const auto& guest : guests_) targets.guests.push_back(guest.get());
    for (const auto& life : nets_) targets.devices.push_back({&life->guest(), life->paths()});
    for (const auto& life : disks_) targets.devices.push_back({&life->guest(), life->paths()});
    return targets;
  }

  std::string doing() const {
    std::string text;
    for (const auto& life : nets_) text += life->done() ? "" : life->doing() + "; ";
    for (const auto& life : disks_) text += life->done() ? "" : life->doing() + "; ";
    return text;
  }

  template <typename Lives>
  static void take_findings(const Lives& lives, WorldResult& result) {
    for (const auto& life : lives) add(life->findings(), result);
  }
  static void add(const std::vector<std::string>& findings, WorldResult& result) {
    result.findings.insert(result.findings.end(), findings.begin(), findings.end());
  }

  Scenario scenario_;
  Peers peers_;
  Host host_;
  RingTap blk_tap_{host_.world().trace(), 1000};
  std::map<std::pair<uint16_t, unsigned>, backends::Port*> ports_;
  std::map<std::pair<uint16_t, unsigned>, std::shared_ptr<backends::MemoryDisk>> images_;
  std::vector<std::unique_ptr<backends::Link>> links_;
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::vector<std::unique_ptr<DriverGuest>> guests_;
  std::vector<std::unique_ptr<NetLife>> nets_;
  std::vector<std::unique_ptr<DiskLife>> disks_;
  std::unique_ptr<Injector> injector_;
};

}  // namespace

sim::FaultPlan plan_of(uint64_t seed, std::span<const FaultKind> kinds) {
  sim::Random random(seed ^ 0xfa0175u);
  return sim::draw_plan(random, kinds, kMostFaults, kHorizon);
}

WorldResult run_world(uint64_t seed, const sim::FaultPlan& plan) {
  WorldResult result;
  auto stage = std::make_unique<Stage>(seed, plan);
  try {
    stage->run(result);
    stage->shut_down(result);
  } catch (const Stuck& stuck) {
    result.findings.push_back(stuck.what());
    // What hangs would hang its destructors too: it stays, and the process must go soon.
    (void)stage.release();
  }
  return result;
}

}  // namespace ringside::conformance
