#include "conformance/rig/host.hpp"

#include <gtest/gtest.h>

#include "conformance/runner/child.hpp"

namespace ringside::conformance {

RigError::RigError(const std::string& what) : std::runtime_error("rig: " + what) {
  if (testing::UnitTest::GetInstance()->current_test_info() != nullptr) {
    testing::Test::RecordProperty(kOutcomeProperty, "ERROR");
  }
}

Host::Host(const HostConfig& config)
    : world_(config.threaded ? sim::World::threaded(config.seed)
                             : sim::World::deterministic(config.seed)),
      machine_(std::make_unique<sim::Machine>(*world_, config.machine)),
      store_(config.store ? config.store(*machine_) : std::make_unique<sim::Xenstored>(*machine_)),
      toolstack_(std::make_unique<sim::Toolstack>(*machine_, *store_)) {}

Host::Host(Host& neighbour, const sim::MachineConfig& machine)
    : world_(neighbour.world_),
      machine_(std::make_unique<sim::Machine>(*neighbour.machine_, machine)),
      store_(std::make_unique<sim::Xenstored>(*machine_)),
      toolstack_(std::make_unique<sim::Toolstack>(*machine_, *store_)) {}

Host::~Host() = default;

bool Host::run_until(const std::function<bool()>& done, sim::Nanoseconds budget) {
  return world_->run_until(done, budget);
}

void Host::require(const std::string& what, const std::function<bool()>& done,
                   sim::Nanoseconds budget) {
  if (!run_until(done, budget)) throw Stuck("waited in vain for " + what);
}

void Host::pass(sim::Nanoseconds span) {
  (void)run_until([] { return false; }, span);
}

std::vector<std::string> Host::audit() {
  toolstack_.reset();
  store_.reset();
  return machine_->audit();
}

}  // namespace ringside::conformance
