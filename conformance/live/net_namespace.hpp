#pragma once

#include <functional>
#include <string>

namespace ringside::conformance {

/// Makes network namespaces possible for this process: where it may not have any, in a user
/// namespace of its own. Before there are threads. What nsenter needs to follow it there, or
/// nothing. Throws Problem when there is no way.
std::string prepare_for_namespaces();

/// A network namespace of this process: it goes with the object and the last process inside.
class NetNamespace {
 public:
  /// Throws Problem.
  NetNamespace();
  ~NetNamespace();
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;

  /// Runs `body` on a thread inside and waits for it; passes on what it throws.
  void run(const std::function<void()>& body) const;
  /// Takes the calling thread inside, and the processes that it starts from now on.
  void enter() const;
  /// Ends all processes inside but this one.
  void end_processes() const;
  /// What nsenter --net takes while the object lives.
  std::string path() const;

 private:
  int file_ = -1;
};

}  // namespace ringside::conformance
