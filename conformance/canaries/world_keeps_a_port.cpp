// A driver that forgets to close one event channel of a device: worlds must see it, whatever else
// goes on in them.
// Caught by: port [0-9]+ is still open

#include <gtest/gtest.h>

#include <utility>

#include "conformance/worlds/run_world.hpp"

namespace ringside::conformance {
namespace {

/// Answers the first EVTCHNOP_close as if it had been carried out.
class Forgetful final : public DriverGuest::Interposer, private xenbus::Hypercall {
 public:
  void enter(sim::Guest&) override {}
  xenbus::Hypercall& hypercall(xenbus::Hypercall& real) override {
    real_ = &real;
    return *this;
  }
  xenbus::Services services(const xenbus::Services& real) override { return real; }

 private:
  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    const bool close = number == __HYPERVISOR_event_channel_op && a1 == EVTCHNOP_close;
    if (close && !std::exchange(forgotten_, true)) return 0;
    return real_->call(number, a1, a2, a3, a4, a5);
  }

  xenbus::Hypercall* real_ = nullptr;
  bool forgotten_ = false;
};

TEST(WorldKeepsAPortCanary, IsSeenAtTheEndOfTheWorld) {
  constexpr uint64_t kSeed = 1;
  Forgetful forgetful;
  HostConfig config = host_config(kSeed);
  // FIFO events end with a reset of all ports, which would mend it.
  config.machine.fifo_events = false;
  const WorldResult result =
      run_scenario(draw_scenario(kSeed), config, {}, {.interposer = &forgetful});
  for (const std::string& finding : result.findings) ADD_FAILURE() << finding;
}

}  // namespace
}  // namespace ringside::conformance
