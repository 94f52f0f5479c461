#include "conformance/worlds/scenario.hpp"

#include "sim/world/random.hpp"

namespace ringside::conformance {
namespace {

constexpr uint64_t kMostGuests = 3;
constexpr uint64_t kMostCables = 2;
constexpr uint64_t kMostDisks = 2;

}  // namespace

Scenario draw_scenario(uint64_t seed) {
  sim::Random random(seed ^ 0x5ce7a410u);
  Scenario scenario;
  const uint64_t guests = 1 + random.below(kMostGuests);
  const auto guest = [&] { return static_cast<unsigned>(random.below(guests)); };
  for (uint64_t i = 0; i < guests; ++i) {
    scenario.vcpus.push_back(static_cast<unsigned>(1 + random.below(2)));
  }
  const uint64_t cables = random.below(kMostCables + 1);
  for (uint64_t i = 0; i < cables; ++i) scenario.cables.push_back({guest(), guest()});
  const uint64_t disks = random.below(kMostDisks + 1) + (cables == 0 ? 1 : 0);
  for (uint64_t i = 0; i < disks; ++i) {
    scenario.disks.push_back({guest(), 1024 * (1 + random.below(3))});
  }
  const auto nets = backends::netback_profiles();
  const auto blks = backends::blkback_profiles();
  scenario.net = nets[random.below(nets.size())];
  scenario.blk = blks[random.below(blks.size())];
  scenario.ring_page_order = static_cast<uint32_t>(random.below(5));
  scenario.frames = static_cast<unsigned>(4 + random.below(28));
  scenario.requests = static_cast<unsigned>(4 + random.below(28));
  scenario.rounds = static_cast<unsigned>(1 + random.below(3));
  // Frames that take several queues overtake each other, and vifs would have them too.
  scenario.queues = static_cast<uint32_t>(1 + random.below(2));
  scenario.persistent_grants = random.chance(0.7) ? 1 : 0;
  scenario.trusted = random.chance(0.7);
  return scenario;
}

}  // namespace ringside::conformance
