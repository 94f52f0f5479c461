#include <gtest/gtest.h>

#include <string>

#include "conformance/worlds/run_world.hpp"

namespace ringside::conformance {
namespace {

/// Guests, xenstored and back ends on threads of their own: what the thread sanitizer looks at.
HostConfig threads() {
  HostConfig config;
  config.threaded = true;
  return config;
}

Scenario two_guests() {
  Scenario scenario;
  scenario.vcpus = {2, 1};
  scenario.net = *backends::find_netback_profile("linux");
  scenario.blk = *backends::find_blkback_profile("linux");
  scenario.ring_page_order = 1;
  scenario.frames = 40;
  scenario.requests = 40;
  scenario.rounds = 3;
  return scenario;
}

void expect_clean(const WorldResult& result) {
  for (const std::string& finding : result.findings) ADD_FAILURE() << finding;
}

class ThreadedNetTest : public testing::TestWithParam<const char*> {};

// Connect, traffic both ways, close, three times over.
TEST_P(ThreadedNetTest, FramesArriveAndTheVifsComeBack) {
  Scenario scenario = two_guests();
  scenario.net = *backends::find_netback_profile(GetParam());
  scenario.cables = {{0, 1}, {1, 0}};
  const WorldResult result = run_scenario(scenario, threads(), {});
  expect_clean(result);
  EXPECT_EQ(result.frames, 4u * 3 * 40);
}

INSTANTIATE_TEST_SUITE_P(Profiles, ThreadedNetTest, testing::Values("linux", "classic", "qnic"));

class ThreadedDiskTest : public testing::TestWithParam<const char*> {};

TEST_P(ThreadedDiskTest, RequestsCompleteAndTheDisksComeBack) {
  Scenario scenario = two_guests();
  scenario.blk = *backends::find_blkback_profile(GetParam());
  scenario.disks = {{0, 2048}, {1, 1024}};
  const WorldResult result = run_scenario(scenario, threads(), {});
  expect_clean(result);
  EXPECT_GT(result.requests, 0u);
}

INSTANTIATE_TEST_SUITE_P(Profiles, ThreadedDiskTest, testing::Values("linux", "classic", "qdisk"));

TEST(ThreadedHostTest, BackEndsThatDieAndComeBackLoseNoRequest) {
  Scenario scenario = two_guests();
  scenario.cables = {{0, 1}};
  scenario.disks = {{0, 2048}, {1, 1024}};
  unsigned restarts = 0;
  const WorldResult result =
      run_scenario(scenario, threads(), {}, {.meanwhile = [&](Targets& targets) {
                     Site& site = *targets.sites.front();
                     for (unsigned i = 1; i <= 3; ++i) {
                       site.netback()->crash(0);
                       site.blkback()->crash(0);
                       targets.host().require("the back ends to come back", [&] {
                         return site.netback()->restarts() >= i && site.blkback()->restarts() >= i;
                       });
                     }
                     restarts = site.netback()->restarts() + site.blkback()->restarts();
                   }});
  expect_clean(result);
  EXPECT_EQ(restarts, 6u);
}

}  // namespace
}  // namespace ringside::conformance
