#include "sim/guest/lock.hpp"

namespace ringside::sim {

void GuestLock::acquire() {
  Vcpu* self = platform_.current_vcpu();
  RINGSIDE_ASSERT(platform_, self == nullptr || holder_.load(std::memory_order_relaxed) != self);
  while (held_.exchange(true, std::memory_order_acquire)) {
    if (Actor* actor = Actor::current()) actor->yield();
  }
  holder_.store(self, std::memory_order_relaxed);
  if (self != nullptr) self->note_lock(1);
}

void GuestLock::release() {
  RINGSIDE_ASSERT(platform_, held_.load(std::memory_order_relaxed));
  if (Vcpu* holder = holder_.exchange(nullptr, std::memory_order_relaxed)) holder->note_lock(-1);
  held_.store(false, std::memory_order_release);
}

}  // namespace ringside::sim
