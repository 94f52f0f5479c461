#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ringside::conformance {

/// A program in a process of its own that goes down with this object, and with this process.
class ChildProcess {
 public:
  /// Starts `command`; its environment is ours with `settings` ("NAME=value") put in, its output
  /// goes to the file `log`. Throws RigError when there can be no process.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& settings,
               const std::string& log);
  /// Kills it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

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
