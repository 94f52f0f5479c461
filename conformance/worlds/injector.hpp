#pragma once

#include <array>
#include <list>
#include <vector>

#include "conformance/worlds/trip.hpp"
#include "sim/faults/event_gate.hpp"
#include "sim/faults/plan.hpp"
#include "sim/faults/vandal.hpp"

namespace ringside::conformance {

/// Carries out a plan: an actor of the world that does each fault when its time has come.
class Injector {
 public:
  using Counts = std::array<uint64_t, sim::kFaultKinds>;

  Injector(Targets targets, sim::FaultPlan plan);
  /// Ends what still goes on; the world must not have to go on for that.
  ~Injector();
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  /// How many faults of each kind have struck.
  const Counts& struck() const { return struck_; }
  /// Nothing that a fault took from a guest is still held, and nobody is on the way.
  bool quiet() const { return takers_ == 0 && trips_.empty(); }

 private:
  struct Vandalism {
    sim::Nanoseconds ends;
    sim::FaultKind kind;
    Targets::Device* device;
    sim::Vandal vandal;
  };

  void run();
  bool strike(const sim::Fault& fault);
  template <typename Backend>
  bool strike_backend(const sim::Fault& fault, BackendActor<Backend>& backend);
  void take_grants(DriverGuest& guest, sim::Nanoseconds span);
  void take_ports(DriverGuest& guest, sim::Nanoseconds span);
  bool cut_power(const sim::Fault& fault);
  bool travel(DriverGuest& guest, const sim::Fault& fault);
  /// When to look after those on the way again.
  sim::Nanoseconds follow_trips();
  void vandalise();
  std::vector<uint32_t> ring_refs(const Targets::Device& device);

  Targets targets_;
  sim::FaultPlan plan_;
  sim::Nanoseconds start_;
  sim::Random random_;
  sim::EventFaults events_;
  std::vector<Vandalism> vandals_;
  std::list<Trip> trips_;
  Counts struck_{};
  unsigned takers_ = 0;
  sim::Actor* actor_;
};

}  // namespace ringside::conformance
