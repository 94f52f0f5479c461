#include "conformance/worlds/run_world.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "backends/blkback/faulty_disk.hpp"
#include "conformance/worlds/disk_life.hpp"
#include "conformance/worlds/net_life.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

using sim::FaultKind;

constexpr size_t kMostFaults = 8;
constexpr sim::Nanoseconds kHorizon = 1'500'000;
/// More than the sum of all patiences in one life.
constexpr sim::Nanoseconds kBudget = 1000 * platform::kSecond;

constexpr uint64_t kGuestKib = 32768;  // four vifs with two queues each, and disks

constexpr unsigned kFirstDisk = 51712;  // xvda, and 16 further xvdb
constexpr unsigned kDiskStep = 16;

Peers peers_of(const sim::FaultPlan& plan) {
  const bool hostile = std::any_of(plan.begin(), plan.end(), [](const sim::Fault& fault) {
    return fault.kind == FaultKind::kRingGarbage || fault.kind == FaultKind::kTornMemory;
  });
  return hostile ? Peers::kHostile : Peers::kSound;
}

bool leads_elsewhere(const sim::FaultPlan& plan) {
  return std::any_of(plan.begin(), plan.end(),
                     [](const sim::Fault& fault) { return fault.kind == FaultKind::kMigration; });
}

/// Everything in one world, in the order in which it comes and, backwards, goes.
class Stage {
 public:
  Stage(const Scenario& scenario, const HostConfig& config, const sim::FaultPlan& plan,
        const Hooks& hooks)
      : scenario_(scenario), peers_(peers_of(plan)) {
    sites_.push_back(std::make_unique<Site>(std::make_unique<Host>(config)));
    blk_tap_.emplace(home().world().trace(), 1000);
    for (const unsigned vcpus : scenario_.vcpus) {
      guests_.push_back(std::make_unique<DriverGuest>(
          home(), sim::GuestConfig{.vcpus = vcpus, .memory_kib = kGuestKib},
          guests_.empty() ? hooks.interposer : nullptr));
      sim::Guest& guest = guests_.back()->guest();
      guest.set_setting("FrontendMaxRingPageOrder", scenario_.ring_page_order);
      guest.set_setting("FrontendMaxQueues", scenario_.queues);
      guest.set_setting("FrontendPersistentGrants", scenario_.persistent_grants);
    }
    lay_out();
    start_back_ends(*sites_.front(), scenario_.net, scenario_.blk);
    plug_cables();
    plug_disks();
    if (!home().world().is_deterministic()) return;
    start_agents();
    if (leads_elsewhere(plan)) open_second_site(config.seed);
    injector_ = std::make_unique<Injector>(targets(), plan);
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
    const bool ended = home().run_until(over, kBudget);
    if (injector_) result.struck = injector_->struck();
    if (!ended) throw Stuck("the world did not end: " + doing());
  }

  void shut_down(WorldResult& result) {
    injector_.reset();
    for (auto& guest : guests_) guest->guest().fail_allocation_at(0);
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
    stop_agents();
    for (auto& guest : guests_) {
      add(guest->shut_down(), result);
    }
    guests_.clear();
    for (auto site = sites_.rbegin(); site != sites_.rend(); ++site) {
      (*site)->stop();
      add((*site)->host().audit(), result);
    }
    result.digest = home().world().trace().digest();
    result.steps = home().world().trace().count();
  }

 private:
  Host& home() { return sites_.front()->host(); }

  void start_back_ends(Site& site, const backends::NetbackProfile& net,
                       const backends::BlkbackProfile& blk) {
    site.start({.net = scenario_.cables.empty() ? nullptr : &net,
                .blk = scenario_.disks.empty() ? nullptr : &blk,
                .blk_tap = &*blk_tap_});
  }

  /// A host with another Xen and other back ends, all drawn from the seed.
  void open_second_site(uint64_t seed) {
    sim::Random random(seed ^ 0x0e15e);
    sites_.push_back(
        std::make_unique<Site>(std::make_unique<Host>(home(), host_config(random.next()).machine)));
    const auto nets = backends::netback_profiles();
    const auto blks = backends::blkback_profiles();
    const backends::BlkbackProfile& blk = blks[random.below(blks.size())];
    start_back_ends(*sites_.back(), nets[random.below(nets.size())], blk);
    // What a disk can't do on both hosts may be refused.
    scenario_.blk.discard = scenario_.blk.discard && blk.discard;
  }

  void start_agents() {
    for (const auto& guest : guests_) {
      platform::Box<xenbus::SuspendAgent>& agent = agents_.emplace_back();
      // Twice: the first one may be an allocation that is to fail.
      for (unsigned left = 2; left > 0 && !agent; --left) {
        guest->run([&] {
          auto made = xenbus::SuspendAgent::create(guest->services());
          if (made) agent = *std::move(made);
        });
      }
      if (!agent) throw RigError("no suspend agent");
    }
  }
  void stop_agents() {
    for (size_t i = 0; i < agents_.size(); ++i) {
      guests_[i]->run([this, i] { agents_[i] = {}; });
    }
  }

  /// What the back ends look things up in does not change any more once they run, unless a guest
  /// moves.
  void lay_out() {
    for (const CableSpec& cable : scenario_.cables) {
      backends::Link& link = *links_.emplace_back(std::make_unique<backends::Link>());
      lead(cable.left, link.left());
      lead(cable.right, link.right());
    }
    unsigned vdev = kFirstDisk;
    for (const DiskSpec& spec : scenario_.disks) {
      images_.push_back(std::make_shared<backends::MemoryDisk>(spec.sectors));
      platters_.push_back(std::make_shared<backends::FaultyDisk>(images_.back()));
      sites_.front()->wire(guests_[spec.guest]->domid(), vdev, platters_.back());
      vdev += kDiskStep;
    }
  }
  void lead(unsigned guest, backends::Port& port) {
    sites_.front()->wire(guests_[guest]->domid(), static_cast<unsigned>(ports_.size()), port);
    ports_.push_back(&port);
  }

  sim::VifConfig vif_config(unsigned handle) const {
    sim::VifConfig config;
    config.handle = handle;
    config.mac = fmt::format("00:16:3e:00:00:{:02x}", handle);
    return config;
  }
  sim::VbdConfig vbd_config(unsigned index) const {
    sim::VbdConfig config;
    config.trusted = scenario_.trusted;
    config.vdev = kFirstDisk + index * kDiskStep;
    return config;
  }

  NetLife& plug_vif(unsigned guest) {
    const auto handle = static_cast<unsigned>(nets_.size());
    nets_.push_back(
        std::make_unique<NetLife>(*guests_[guest], vif_config(handle), peers_, scenario_));
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
    for (unsigned i = 0; i < scenario_.disks.size(); ++i) {
      disks_.push_back(std::make_unique<DiskLife>(*guests_[scenario_.disks[i].guest], vbd_config(i),
                                                  images_[i], peers_, scenario_));
    }
  }

  Targets targets() {
    Targets targets;
    for (const auto& site : sites_) targets.sites.push_back(site.get());
    for (const auto& guest : guests_) targets.guests.push_back(guest.get());
    for (unsigned i = 0; i < nets_.size(); ++i) {
      targets.devices.push_back(
          {&nets_[i]->guest(), nets_[i]->paths(), [this, i](Site& site, uint16_t domid) {
             site.wire(domid, i, *ports_[i]);
             return site.host().toolstack().attach_vif(domid, vif_config(i));
           }});
    }
    for (unsigned i = 0; i < disks_.size(); ++i) {
      targets.devices.push_back(
          {&disks_[i]->guest(), disks_[i]->paths(), [this, i](Site& site, uint16_t domid) {
             site.wire(domid, vbd_config(i).vdev, platters_[i]);
             return site.host().toolstack().attach_vbd(domid, vbd_config(i));
           }});
    }
    targets.cut_power = [this](const backends::FaultyDisk::Chooser& choose) {
      for (const auto& disk : platters_) disk->cut_power(choose);
      for (const auto& life : disks_) life->power_cut();
    };
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
  std::vector<std::unique_ptr<Site>> sites_;
  std::optional<RingTap> blk_tap_;
  std::vector<std::unique_ptr<backends::Link>> links_;
  std::vector<backends::Port*> ports_;  ///< by vif handle
  std::vector<std::shared_ptr<backends::MemoryDisk>> images_;
  std::vector<std::shared_ptr<backends::FaultyDisk>> platters_;
  std::vector<std::unique_ptr<DriverGuest>> guests_;
  std::vector<std::unique_ptr<NetLife>> nets_;
  std::vector<std::unique_ptr<DiskLife>> disks_;
  std::vector<platform::Box<xenbus::SuspendAgent>> agents_;
  std::unique_ptr<Injector> injector_;
};

}  // namespace

HostConfig host_config(uint64_t seed) {
  HostConfig config;
  config.seed = seed;
  config.machine.frames = 32768;  // three such guests leave enough for dom0
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
