#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ringside::conformance {

/// A program in a process of its own that goes down with this object, and with this process.
class Process {
 public:
  /// Starts `command`; its environment is ours with `settings` ("NAME=value") put in, its output
  /// goes to the file `log`. Throws RigError when there can be no process.
  Process(const std::vector<std::string>& command, const std::vector<std::string>& settings,
          const std::string& log);
  /// Kills it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool running();
  /// As with kill -9; waits until it is gone.
  void kill();
  pid_t pid() const { return pid_; }
  /// What it has printed so far.
  std::string output() const;

 private:
  std::string log_;
  pid_t pid_ = -1;
};

}  // namespace ringside::conformance
