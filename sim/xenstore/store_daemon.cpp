#include "sim/xenstore/store_daemon.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

/// The daemons of this process, oldest first.
struct Directory {
  std::mutex mutex;
  std::vector<StoreDaemon*> daemons;
};

Directory& directory() {
  static Directory instance;
  return instance;
}

}  // namespace

void StoreDaemon::enlist() {
  Directory& all = directory();
  const std::lock_guard lock(all.mutex);
  all.daemons.push_back(this);
}

void StoreDaemon::delist() {
  Directory& all = directory();
  const std::lock_guard lock(all.mutex);
  std::erase(all.daemons, this);
}

StoreDaemon* StoreDaemon::current() {
  const Machine* machine = Actor::current() == nullptr ? nullptr : Machine::current();
  Directory& all = directory();
  const std::lock_guard lock(all.mutex);
  const auto serves = [&](StoreDaemon* daemon) {
    return machine == nullptr || &daemon->machine_ == machine;
  };
  const auto found = std::find_if(all.daemons.rbegin(), all.daemons.rend(), serves);
  return found == all.daemons.rend() ? nullptr : *found;
}

}  // namespace ringside::sim
