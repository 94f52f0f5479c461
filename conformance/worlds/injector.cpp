#include "conformance/worlds/injector.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ringside::conformance {
namespace {

using sim::Fault;
using sim::FaultKind;
using sim::Nanoseconds;

constexpr Nanoseconds kVandalsPause = 3'000;

/// Waits in a guest's job; other jobs of its vCPU go on.
void pause(platform::Platform& platform, Nanoseconds span) {
  const auto never = platform.create_event();
  if (never) (void)platform.wait_until(**never, platform.now() + span);
}

}  // namespace

Injector::Injector(Targets targets, sim::FaultPlan plan)
    : targets_(std::move(targets)),
      plan_(std::move(plan)),
      start_(targets_.host().world().now()),
      random_(targets_.host().world().random().fork()),
      events_(targets_.host().machine()),
      actor_(&targets_.host().world().spawn("injector", [this] { run(); },
                                            {.host = targets_.host().machine().host()})) {
  events_.on_held([this] { actor_->wake(); });
}

Injector::~Injector() { targets_.host().world().stop(*actor_); }

void Injector::run() {
  sim::World& world = targets_.host().world();
  for (size_t next = 0;;) {
    for (; next < plan_.size() && start_ + plan_[next].at <= world.now(); ++next) {
      if (strike(plan_[next])) ++struck_[static_cast<size_t>(plan_[next].kind)];
    }
    vandalise();
    Nanoseconds wake = std::min(events_.release_due(), follow_trips());
    if (next < plan_.size()) wake = std::min(wake, start_ + plan_[next].at);
    if (!vandals_.empty()) wake = std::min(wake, world.now() + 1 + random_.below(kVandalsPause));
    actor_->sleep(wake);
  }
}

bool Injector::strike(const Fault& fault) {
  Host& host = targets_.host();
  DriverGuest& guest = *targets_.guests[fault.target % targets_.guests.size()];
  switch (fault.kind) {
    case FaultKind::kEventDelay:
    case FaultKind::kEventMerge:
    case FaultKind::kEventLost: events_.begin(fault); return true;
    case FaultKind::kStoreStuck:
      host.xenstored().pause(host.world().now() + fault.span);
      return true;
    case FaultKind::kStoreReset: return guest.host().xenstored().reset_connection(guest.domid());
    case FaultKind::kBackendCrash:
    case FaultKind::kBackendSlow:
    case FaultKind::kBackendStuck: {
      Site& site = *targets_.sites[fault.target / 2 % targets_.sites.size()];
      const bool net = site.blkback() == nullptr || fault.target % 2 == 0;
      if (net && site.netback() != nullptr) return strike_backend(fault, *site.netback());
      return site.blkback() != nullptr && strike_backend(fault, *site.blkback());
    }
    case FaultKind::kPowerCut: return cut_power(fault);
    case FaultKind::kSuspend:
    case FaultKind::kMigration:
    case FaultKind::kSave: return travel(guest, fault);
    case FaultKind::kAllocation: guest.guest().fail_allocation_at(fault.amount); return true;
    case FaultKind::kGrantsTaken: take_grants(guest, fault.span); return true;
    case FaultKind::kPortsTaken: take_ports(guest, fault.span); return true;
    case FaultKind::kRingGarbage:
    case FaultKind::kTornMemory: {
      auto& device = targets_.devices[fault.target % targets_.devices.size()];
      sim::Machine& machine = device.guest->host().machine();
      vandals_.push_back({host.world().now() + fault.span, fault.kind, &device,
                          sim::Vandal(machine, device.guest->domid())});
      return true;
    }
  }
  return false;
}

template <typename Backend>
bool Injector::strike_backend(const Fault& fault, BackendActor<Backend>& backend) {
  const Nanoseconds now = targets_.host().world().now();
  switch (fault.kind) {
    case FaultKind::kBackendCrash: backend.crash(fault.span); return true;
    case FaultKind::kBackendSlow: backend.hinder(now + fault.span, fault.amount); return true;
    default: backend.hinder(now + fault.span, fault.span); return true;
  }
}

bool Injector::cut_power(const Fault& fault) {
  BlkbackActor* blkback = targets_.sites[fault.target % targets_.sites.size()]->blkback();
  if (blkback == nullptr) return false;
  targets_.cut_power([this](uint64_t bound) { return random_.below(bound); });
  blkback->crash(fault.span);
  return true;
}

bool Injector::travel(DriverGuest& guest, const Fault& fault) {
  const auto same = [&](const Trip& trip) { return &trip.guest() == &guest; };
  if (std::any_of(trips_.begin(), trips_.end(), same)) return false;
  trips_.emplace_back(targets_, guest, fault);
  return true;
}

Nanoseconds Injector::follow_trips() {
  Nanoseconds next = platform::kForever;
  for (Trip& trip : trips_) next = std::min(next, trip.step());
  trips_.remove_if([](const Trip& trip) { return trip.over(); });
  return next;
}

void Injector::take_grants(DriverGuest& guest, Nanoseconds span) {
  ++takers_;
  guest.guest().post(0, [this, &guest, span] {
    platform::Platform& platform = guest.platform();
    auto cache = guest.services().grants.create_cache("competitor", 0, UINT32_MAX);
    const auto page = platform.allocate_page();
    if (cache && page) {
      std::vector<uint32_t> refs;
      for (;;) {
        const auto ref = (*cache)->permit(0, page->frame, xenbus::Access::kReadOnly);
        if (!ref) break;
        refs.push_back(*ref);
      }
      pause(platform, span);
      for (const uint32_t ref : refs) (void)(*cache)->revoke(ref);
    }
    if (cache) cache->reset();
    if (page) platform.release_page(*page);
    --takers_;
  });
}

void Injector::take_ports(DriverGuest& guest, Nanoseconds span) {
  ++takers_;
  guest.guest().post(0, [this, &guest, span] {
    std::vector<Owned<xenbus::EventChannel>> channels;
    for (;;) {
      auto channel = guest.services().events.open_unbound(0, {}, 0);
      if (!channel) break;
      channels.push_back(*std::move(channel));
    }
    pause(guest.platform(), span);
    channels.clear();
    --takers_;
  });
}

void Injector::vandalise() {
  const Nanoseconds now = targets_.host().world().now();
  std::erase_if(vandals_, [now](const Vandalism& one) { return now >= one.ends; });
  for (Vandalism& one : vandals_) {
    const auto refs = ring_refs(*one.device);
    if (refs.empty()) continue;
    const uint32_t ref = refs[random_.below(refs.size())];
    if (one.kind == FaultKind::kRingGarbage) {
      (void)one.vandal.scribble(ref);
    } else {
      (void)one.vandal.tear(ref);
    }
  }
}

/// The ring pages that the device's front end has published.
std::vector<uint32_t> Injector::ring_refs(const Targets::Device& device) {
  std::vector<uint32_t> refs;
  for (const char* key : {"tx-ring-ref", "rx-ring-ref", "ring-ref", "ring-ref0", "ring-ref1",
                          "ring-ref2", "ring-ref3"}) {
    const auto text = device.guest->host().toolstack().read(device.paths.frontend + "/" + key);
    uint32_t ref = 0;
    if (!text) continue;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ref);
    if (error == std::errc{}) refs.push_back(ref);
  }
  return refs;
}

}  // namespace ringside::conformance
