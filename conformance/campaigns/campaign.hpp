#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conformance/report/outcome.hpp"
#include "conformance/worlds/run_world.hpp"

namespace ringside::conformance {

/// Which worlds are run, and how.
struct CampaignOptions {
  uint64_t first = 1;
  uint64_t last = 1;                   ///< included
  std::optional<sim::FaultPlan> plan;  ///< the same for all; otherwise each seed's own
  std::vector<sim::FaultKind> kinds;   ///< what the seeds' own plans are drawn from
  /// What a world is; a test's own may misbehave.
  std::function<WorldResult(uint64_t seed, const sim::FaultPlan& plan)> run = run_world;
  unsigned jobs = 1;                          ///< worker processes
  unsigned timeout_seconds = 60;              ///< a world that takes longer hangs: CRASH
  std::optional<std::chrono::seconds> limit;  ///< no world is begun after it
  /// Called after each world, in no order.
  std::function<void(const struct WorldRecord& record, uint64_t done, uint64_t all)> progress;
};

/// One world as the campaign saw it.
struct WorldRecord {
  uint64_t seed = 0;
  sim::FaultPlan plan;
  Outcome outcome = Outcome::kError;
  std::string message;  ///< why it crashed or could not be run; empty otherwise
  std::string output;   ///< what it printed when it crashed
  WorldResult result;
  double seconds = 0;
};

struct CampaignReport {
  uint64_t first = 0;
  std::vector<WorldRecord> records;  ///< by seed, without gaps
  double seconds = 0;

  Outcome outcome() const;
  Injector::Counts struck() const;
  /// Over the seeds and digests of all worlds: two runs of one campaign have the same.
  std::string digest() const;
  double worlds_per_second() const;
};

/// Runs all worlds in worker processes; one that crashes or hangs costs its own result only.
CampaignReport run_campaign(const CampaignOptions& options);

/// Runs one world in a process of its own.
WorldRecord run_alone(uint64_t seed, const sim::FaultPlan& plan, unsigned timeout_seconds);

/// The smallest plan found, by leaving out faults of `plan`, for which `fails` still holds.
/// Precondition: it holds for `plan`. Source: Zeller, Hildebrandt, "Simplifying and Isolating
/// Failure-Inducing Input".
sim::FaultPlan shrink(sim::FaultPlan plan, const std::function<bool(const sim::FaultPlan&)>& fails);

/// The command that runs one world again.
std::string replay_command(uint64_t seed, const sim::FaultPlan& plan);

}  // namespace ringside::conformance
