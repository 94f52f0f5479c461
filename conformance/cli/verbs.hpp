#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {

/// Set by the verb that the command line names; run once parsing has succeeded.
using Action = std::function<Outcome()>;

/// Thrown by an action that ends the program with a code of its own.
struct ExitCode {
  int code;
};

void add_conformance(CLI::App& app, Action& action);
void add_replay(CLI::App& app, Action& action);
void add_record(CLI::App& app, Action& action);
void add_net(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_rules(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_worlds(CLI::App& app, Action& action);
void add_host(CLI::App& app, Action& action);
void add_all(CLI::App& app, Action& action);

/// The whole program: parses, runs, prints errors; returns the exit code.
int run_program(int argc, char** argv);

}  // namespace ringside::conformance
