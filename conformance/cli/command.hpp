#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringside::conformance {

/// Runs `command` beside this process and waits for it: its exit code, or 128 and the number of
/// the signal that ended it. Signals that would end this program are for the command to decide.
///
/// Its environment is ours with `settings` ("NAME=value") put in, without what else begins with
/// `prefix`.
/// Throws Problem when it can't be run.
int run_command(const std::vector<std::string>& command, const std::vector<std::string>& settings,
                std::string_view prefix);

/// From its making on remembers the signals that end programs instead of ending this one.
class EndSignal {
 public:
  EndSignal();
  ~EndSignal();
  EndSignal(const EndSignal&) = delete;
  EndSignal& operator=(const EndSignal&) = delete;

  bool came() const;
};

}  // namespace ringside::conformance
