#pragma once

#include "sim/world/world.hpp"

namespace ringside::sim {

/// What Actor::current() answers on this thread; the worlds set it. Returns the former one.
Actor* set_current_actor(Actor* actor);

}  // namespace ringside::sim
