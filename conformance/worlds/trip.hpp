#pragma once

#include <optional>

#include "conformance/worlds/targets.hpp"
#include "sim/faults/plan.hpp"
#include "sim/toolstack/domain_image.hpp"

namespace ringside::conformance {

/// A guest's way through a suspend: it is asked to, suspends, and goes on where it was
/// (kSuspend, the suspend is cancelled) or on one of the hosts (kMigration and kSave, with the
/// amount drawing which). An actor takes it on, step by step.
class Trip {
 public:
  Trip(Targets& targets, DriverGuest& guest, const sim::Fault& fault);

  /// Goes on as far as is possible now. The time to call again, kForever once it is over.
  sim::Nanoseconds step();
  bool over() const { return phase_ == Phase::kOver; }
  const DriverGuest& guest() const { return guest_; }

 private:
  enum class Phase : uint8_t { kAsked, kSuspended, kDetaching, kSaved, kResuming, kOver };
  static constexpr sim::Nanoseconds kLook = 20'000;

  bool advance();
  void detach();
  void arrive();

  Targets& targets_;
  DriverGuest& guest_;
  sim::Fault fault_;
  Phase phase_ = Phase::kAsked;
  sim::Nanoseconds since_ = 0;
  std::optional<sim::DomainImage> image_;
};

}  // namespace ringside::conformance
