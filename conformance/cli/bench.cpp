#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "conformance/cli/verbs.hpp"

namespace ringside::conformance {
namespace {

Outcome bench(const std::vector<std::string>& arguments) {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string program = here / "ringside-bench";
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  throw Problem(fmt::format("can't run {}: {}; build the target ringside-bench", program,
                            std::strerror(errno)));
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("bench", "Run the benchmarks; arguments go to Google Benchmark");
  verb->prefix_command();
  verb->callback(
      [&action, verb] { action = [arguments = verb->remaining()] { return bench(arguments); }; });
}

}  // namespace ringside::conformance
