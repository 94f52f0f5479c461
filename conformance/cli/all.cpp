#include <fmt/format.h>

#include <chrono>

#include "conformance/cli/conformance_run.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/replay/samples.hpp"
#include "conformance/report/terminal.hpp"
#include "conformance/rig/options.hpp"

namespace ringside::conformance {
namespace {

void print_row(const SampleRow& row) {
  fmt::print("{:<20} {}\n{:<20} {}, {:.1f} s: {}\n", row.name, row.account, "",
             row.integrity.empty() ? "nothing compared" : row.integrity, row.seconds,
             to_string(row.outcome));
  for (const std::string& finding : row.findings) fmt::print("{:<20}   {}\n", "", finding);
}

Outcome run_all(const std::string& folder) {
  const auto start = std::chrono::steady_clock::now();
  const auto samples = find_samples(folder);
  const RunReport conformance = run_conformance({});
  print_trouble(conformance);
  Outcome outcome = conformance.outcome();
  std::vector<SampleRow> rows;
  {
    Progress progress;
    ReplayOptions options;
    options.seed = ringside::conformance::options().seed;
    options.backend = ringside::conformance::options().backend;
    for (const Sample& sample : samples) {
      progress.show(rows.size(), samples.size(), "replaying " + sample.name());
      rows.push_back(replay_sample(sample, options));
      outcome = worse(outcome, rows.back().outcome);
    }
  }
  print_table(conformance);
  fmt::print("\nTraffic replayed\n");
  for (const SampleRow& row : rows) print_row(row);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print(
      "\n{} in {:.1f} s\n",
      coloured(to_string(outcome), outcome == Outcome::kSuccess ? Colour::kGreen : Colour::kRed),
      took.count());
  return outcome;
}

}  // namespace

void add_all(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("all", "Conformance, then every sample replayed, and one table");
  auto folder = std::make_shared<std::string>(RINGSIDE_SAMPLES);
  verb->add_option("--samples", *folder, "Folder of .pcap, .pcapng and .iolog files")
      ->capture_default_str();
  verb->add_option("--backend", options().backend, "Profile of the back ends")
      ->capture_default_str();
  verb->add_option("--seed", options().seed, "Which world")->capture_default_str();
  verb->callback([&action, folder] { action = [folder] { return run_all(*folder); }; });
}

}  // namespace ringside::conformance
