#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "conformance/ring/choices.hpp"
#include "conformance/ring/weak_machine.hpp"
#include "protocols/ring/back_ring.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::conformance {

/// A front end that sends requests through a ring of two slots and a back end that answers
/// each, both as drivers do: take while there is something, arm, sleep.
class RingModel {
 public:
  struct Plan {
    uint32_t start = 0;         ///< first index
    unsigned requests = 3;      ///< one more than the ring has slots
    unsigned batch = 1;         ///< puts before a publish
    unsigned preemptions = 2;   ///< see WeakMachine
    uint64_t executions = ~0u;  ///< at most
  };
  struct Outcome {
    std::optional<std::string> violation;  ///< of the first execution that has one
    uint64_t executions = 0;
  };

  static Outcome check(Choices choices, Broken broken, const Plan& plan) {
    RingModel model(broken, plan);
    Outcome outcome;
    do {
      ++outcome.executions;
      outcome.violation = model.execute(choices);
    } while (!outcome.violation && outcome.executions < plan.executions && choices.next());
    return outcome;
  }

 private:
  struct Request {
    uint32_t first;
    std::array<uint32_t, 502> between;
    uint32_t last;
  };
  struct Response {
    uint32_t first;
    uint32_t last;
  };
  using Front = ring::FrontRing<Request, Response, WeakMemory>;
  using Back = ring::BackRing<Request, Response, WeakMemory>;
  static_assert(ring::slots_in<Request, Response>(ring::kRingPageSize) == 2);
  static constexpr uint32_t kRequestTag = 0x100;
  static constexpr uint32_t kResponseTag = 0x200;

  RingModel(Broken broken, const Plan& plan) : plan_(plan), machine_(broken, plan.preemptions) {}

  std::optional<std::string> execute(Choices& choices) {
    violation_.reset();
    sent_ = received_ = answered_ = 0;
    area_.fill(std::byte{0xee});
    front_ = *Front::create(area_, plan_.start, WeakMemory(machine_));
    back_ = *Back::create(area_, WeakMemory(machine_));
    const bool live = machine_.run(choices, {[this] { front_end(); }, [this] { back_end(); }});
    if (!live && !violation_) {
      violation_ = "RING-007: lost wake-up: both ends sleep with " + std::to_string(sent_) +
                   " requests sent, " + std::to_string(received_) + " received, " +
                   std::to_string(answered_) + " answers seen";
    }
    return violation_;
  }

  void front_end() {
    while (answered_ < plan_.requests && !violation_) {
      for (unsigned put = 0; put < plan_.batch && sent_ < plan_.requests; ++put) {
        if (front_.free_slots() == 0) break;
        front_.put(Request{kRequestTag + sent_, {}, kRequestTag + sent_});
        ++sent_;
      }
      if (front_.publish()) machine_.notify();
      const bool took = take(front_, kResponseTag, answered_);
      const bool can_send = sent_ < plan_.requests && front_.free_slots() > 0;
      if (!took && !can_send && front_.arm() && !machine_.sleep()) return;
    }
    machine_.notify();
  }

  void back_end() {
    while (received_ < plan_.requests && !violation_) {
      const bool took = take(back_, kRequestTag, received_);
      if (took && back_.unanswered() >= plan_.batch) answer();
      if (took) continue;
      answer();
      if (back_.arm() && !machine_.sleep()) return;
    }
    answer();
  }

  void answer() {
    while (back_.unanswered() > 0) {
      const uint32_t number = back_.next_response() - plan_.start;
      back_.put(Response{kResponseTag + number, kResponseTag + number});
    }
    if (back_.publish()) machine_.notify();
  }

  /// Takes one slot and looks whether it is the one that was put.
  template <typename Ring>
  bool take(Ring& ring, uint32_t tag, uint32_t& count) {
    const auto slot = ring.take();
    if (!slot) {
      violation_ = "RING-008: a violation of an honest peer: " +
                   std::string(ringside::to_string(slot.status()));
      return false;
    }
    if (!slot->has_value()) return false;
    if ((*slot)->first != tag + count || (*slot)->last != tag + count) {
      violation_ = "RING-004: slot " + std::to_string(count) + " was read before it was written";
    }
    ++count;
    return true;
  }

  Plan plan_;
  alignas(ring::kRingPageSize) std::array<std::byte, ring::kRingPageSize> area_{};
  Front front_;
  Back back_;
  std::optional<std::string> violation_;
  uint32_t sent_ = 0;
  uint32_t received_ = 0;
  uint32_t answered_ = 0;
  WeakMachine machine_;  // last: its fibers end before what they use
};

}  // namespace ringside::conformance
