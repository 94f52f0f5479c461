#pragma once

#include <sys/types.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ringside::conformance {

/// A child process that reports in lines; what it prints is kept apart.
class Worker {
 public:
  /// Runs in the child, which ends when it returns. Both files are the child's to write to.
  using Body = std::function<void(int report, int output)>;

  /// Throws Problem when no process can be had.
  explicit Worker(const Body& body);
  /// The child must have been waited for.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// To be polled for reading.
  int report() const { return report_; }
  /// Reads what there is and hands out whole lines; false at the end of the report.
  bool read(const std::function<void(const std::string&)>& take_line);
  /// Ends the child when asked to, and whatever it left running; the status of waitpid().
  int wait(bool kill_it);
  /// Up to 64 KiB of what the child printed after `start`.
  std::string output_since(off_t start) const;

 private:
  int output_ = -1;
  int report_ = -1;
  pid_t pid_ = -1;
  std::string pending_;
};

/// The child's side: one line, whole or not at all. Ends the process when nobody listens.
void report_line(int report, const nlohmann::json& line);

/// How a child that did not end well ended: "killed by signal 6 (Aborted)". Empty when it did.
std::string describe_end(int status);

}  // namespace ringside::conformance
