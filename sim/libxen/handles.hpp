#pragma once

#include "sim/machine/machine.hpp"

namespace ringside::sim {

/// On whose behalf a libxen* handle acts: the domain of the actor that opened it, dom0 when it
/// was opened outside actors. Null when there is no machine.
inline Domain* domain_of_caller() {
  Machine* machine = Machine::current();
  if (machine == nullptr) return nullptr;
  const Actor* actor = Actor::current();
  return machine->find(actor == nullptr ? DomainId{0} : actor->place().domain);
}

}  // namespace ringside::sim
