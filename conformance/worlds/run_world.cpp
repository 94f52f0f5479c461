#include "conformance/worlds/run_world.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "conformance/worlds/disk_life.hpp"
#include "conformance/worlds/net_life.hpp"

namespace ringside::conformance {
namespace {

using sim::FaultKind;

constexpr size_t kMostFaults = 8;
constexpr sim::Nanoseconds kHorizon = 1'500'000;
/// More than the sum of all patiences in one life.
constexpr sim::Nanoseconds kBudget = 1000 * platform::kSecond;

constexpr uint64_t kGuestKib = 12288;  // three such guests leave enough for dom0

constexpr unsigned kFirstDisk = 51712;  // xvda, and 16 further xvdb
constexpr unsigned kDiskStep = 16;

Peers peers_of(const sim::FaultPlan& plan) {
  const bool hostile = std::any_of(plan.begin(), plan.end(), [](const sim::Fault& fault) {
    return fault.kind == FaultKind::kRingGarbage || fault.kind == FaultKind::kTornMemory;
  });
  return hostile ? Peers::kHostile : Peers::kSound;
}

/// Everything in one world, in the order in which it comes and, backwards, goes.
class Stage {
 public:
  Stage(const Scenario& scenario, const HostConfig& config, const sim::FaultPlan& plan,
        const Hooks& hooks)
      : scenario_(scenario), peers_(peers_of(plan)), host_(config) {
    for (const unsigned vcpus : scenario_.vcpus) {
      guests_.push_back(std::make_unique<DriverGuest>(
          host_, sim::GuestConfig{.vcpus = vcpus, .memory_kib = kGuestKib},
          guests_.empty() ? hooks.interposer : nullptr));
      guests_.back()->guest().set_setting("FrontendMaxRingPageOrder", scenario_.ring_page_order);
    }
    lay_out();
    if (!scenario_.cables.empty()) start_net();
    if (!scenario_.disks.empty()) start_blk();
    plug_cables();
    plug_disks();
    if (host_.world().is_deterministic()) {
      injector_ = std::make_unique<Injector>(targets(), plan);
    }
  }

  void run(WorldResult& result, const Hooks& hooks) {
    for (const auto& life : nets_) life->guest().guest().post(0, [&life] { life->run(); });
    for (const auto& life : disks_) life->guest().guest().post(0, [&life] { life->run(); });
    if (hooks.meanwhile) {
      Targets all = targets();
      hooks.meanwhile(all);
    }
    const auto done = [](const auto& life) { return life->done(); };
    const auto over = [&] {
      return std::all_of(nets_.begin(), nets_.end(), done) &&
             std::all_of(disks_.begin(), disks_.end(), done) &&
             (injector_ == nullptr || injector_->quiet());
    };
    const bool ended = host_.run_until(over, kBudget);
    if (injector_) result.struck = injector_->struck();
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
    config.open_disk = [this](const backends::VbdIdentity& vbd,
                              std::string&) -> std::shared_ptr<backends::Disk> {
      const auto found = images_.find({vbd.domain, vbd.device});
      return found == images_.end() ? nullptr : found->second;
    };
    config.tap = &blk_tap_;
    blkback_ = start_blkback(host_, std::move(config));
  }

  /// What the back ends look things up in does not change any more once they run.
  void lay_out() {
    unsigned handle = 0;
    for (const CableSpec& cable : scenario_.cables) {
      backends::Link& link = *links_.emplace_back(std::make_unique<backends::Link>());
      ports_[{guests_[cable.left]->domid(), handle++}] = &link.left();
      ports_[{guests_[cable.right]->domid(), handle++}] = &link.right();
    }
    unsigned vdev = kFirstDisk;
    for (const DiskSpec& spec : scenario_.disks) {
      images_[{guests_[spec.guest]->domid(), vdev}] =
          std::make_shared<backends::MemoryDisk>(spec.sectors);
      vdev += kDiskStep;
    }
  }

  NetLife& plug_vif(unsigned guest) {
    sim::VifConfig config;
    config.handle = static_cast<unsigned>(nets_.size());
    config.mac = fmt::format("00:16:3e:00:00:{:02x}", config.handle);
    nets_.push_back(std::make_unique<NetLife>(*guests_[guest], config, peers_, scenario_));
    return *nets_.back();
  }

  void plug_cables() {
    for (const CableSpec& cable : scenario_.cables) {
      NetLife& left = plug_vif(cable.left);
      NetLife& right = plug_vif(cable.right);
      left.join(right);
      right.join(left);
    }
  }

  void plug_disks() {
    sim::VbdConfig config;
    config.vdev = kFirstDisk;
    for (const DiskSpec& spec : scenario_.disks) {
      DriverGuest& guest = *guests_[spec.guest];
      disks_.push_back(std::make_unique<DiskLife>(
          guest, config, images_.at({guest.domid(), config.vdev}), peers_, scenario_));
      config.vdev += kDiskStep;
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

HostConfig host_config(uint64_t seed) {
  HostConfig config;
  config.seed = seed;
  config.machine.frames = 16384;
  config.machine.max_grant_frames = 16;
  config.machine.max_ports = 64;
  sim::Random random(seed ^ 0xab1e5);
  const auto drawn = random.below(sim::xen_profiles().size());
  if (options().xen.empty()) {
    config.machine = sim::on_xen(sim::xen_profiles()[drawn], config.machine);
  }
  return config;
}

sim::FaultPlan plan_of(uint64_t seed, std::span<const FaultKind> kinds) {
  sim::Random random(seed ^ 0xfa0175u);
  return sim::draw_plan(random, kinds, kMostFaults, kHorizon);
}

WorldResult run_scenario(const Scenario& scenario, const HostConfig& config,
                         const sim::FaultPlan& plan, const Hooks& hooks) {
  WorldResult result;
  auto stage = std::make_unique<Stage>(scenario, config, plan, hooks);
  try {
    stage->run(result, hooks);
    stage->shut_down(result);
  } catch (const Stuck& stuck) {
    result.findings.push_back(stuck.what());
    // What hangs would hang its destructors too: it stays, and the process must go soon.
    (void)stage.release();
  }
  return result;
}

WorldResult run_world(uint64_t seed, const sim::FaultPlan& plan) {
  return run_scenario(draw_scenario(seed), host_config(seed), plan);
}

}  // namespace ringside::conformance
