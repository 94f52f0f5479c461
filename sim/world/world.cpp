#include "sim/world/world.hpp"

#include <utility>

#include "sim/world/current.hpp"

namespace ringside::sim {
namespace {

thread_local Actor* current_actor = nullptr;

}  // namespace

Actor* Actor::current() { return current_actor; }

bool Actor::wait(const std::function<bool()>& done, Nanoseconds deadline) {
  if (done()) return true;
  bool in_time = true;
  do {
    in_time = world().now() < deadline;
    if (in_time) sleep(deadline);
  } while (!done() && in_time);
  wake();
  return in_time || done();
}

Actor* set_current_actor(Actor* actor) { return std::exchange(current_actor, actor); }

}  // namespace ringside::sim
