#pragma once

#include <cstddef>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/event_abi.hpp"

namespace ringside::xenbus {

/// The bitmaps of the shared info page, with a selector for each CPU. Source: xen.h. [EVTCHN-001]
class TwoLevelEvents final : public EventAbi {
 public:
  static constexpr unsigned kBitsPerWord = sizeof(xen_ulong_t) * 8;
  static constexpr Port kPorts = kBitsPerWord * kBitsPerWord;

  Status start(platform::Platform& platform, unsigned cpus);
  /// Keeps the bits in `shared` from now on, with every port masked.
  void attach(shared_info_t& shared);
  void mask_all();

  Status cover(Port port) override { return port < kPorts ? Status::kOk : Status::kNoResources; }
  void mask(Port port) override;
  bool unmask(Port port) override;
  bool masked(Port port) override;
  void set_pending(Port port) override;
  bool acknowledge(Port port) override;
  /// One look at every port that was pending when it began, so that a peer that raises its port
  /// without end delays nobody else. [EVTCHN-004]
  bool poll(unsigned cpu, Sink& sink) override;
  /// The word of a port is seen from all CPUs, its own one included.
  bool astray() const override { return false; }

 private:
  struct alignas(64) Cpu {
    Port next_port = 0;  ///< where the round robin goes on
  };

  shared_info_t* shared_ = nullptr;
  platform::Array<Cpu> cpus_;
};

}  // namespace ringside::xenbus
