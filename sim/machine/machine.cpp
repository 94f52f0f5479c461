#include "sim/machine/machine.hpp"

#include <algorithm>
#include <stdexcept>

namespace ringside::sim {
namespace {

std::mutex registry_mutex;
std::vector<Machine*> registry;

}  // namespace

Machine::Machine(World& world, MachineConfig config)
    : Machine(world, config, std::make_shared<FrameStore>(config.frames), 0) {}

Machine::Machine(Machine& neighbour, MachineConfig config)
    : Machine(neighbour.world_, config, neighbour.frames_, neighbour.host_ + 1) {}

Machine::Machine(World& world, MachineConfig config, std::shared_ptr<FrameStore> frames,
                 unsigned host)
    : world_(world),
      config_(config),
      frames_(std::move(frames)),
      host_(host),
      domains_(std::make_unique<std::atomic<Domain*>[]>(kMaxDomains)),
      timers_(world) {
  create_domain({.name = "dom0"});
  const std::lock_guard lock(registry_mutex);
  registry.push_back(this);
}

Machine::~Machine() {
  const std::lock_guard lock(registry_mutex);
  std::erase(registry, this);
}

Machine* Machine::current() {
  Actor* actor = Actor::current();
  const std::lock_guard lock(registry_mutex);
  for (auto machine = registry.rbegin(); machine != registry.rend(); ++machine) {
    if (actor == nullptr) return *machine;
    if (&(*machine)->world() != &actor->world()) continue;
    if ((*machine)->host() == actor->place().host) return *machine;
  }
  return nullptr;
}

Domain& Machine::create_domain(DomainConfig config) {
  const std::lock_guard lock(mutex_);
  const DomainId id = count_.load();
  if (id == kMaxDomains) throw std::length_error("no domain id left");
  owned_.push_back(std::make_unique<Domain>(*this, id, std::move(config)));
  domains_[id].store(owned_.back().get());
  count_.store(static_cast<DomainId>(id + 1));
  return *owned_.back();
}

void Machine::destroy_domain(DomainId id) {
  Domain* domain = find(id);
  if (domain == nullptr) return;
  domain->destroy();
  trace().record(Trace::Kind::kWorld, "domain destroyed", {id});
  dom0().events().raise_virq(VIRQ_DOM_EXC);
}

Domain* Machine::find(DomainId id) const {
  Domain* domain = find_even_dead(id);
  return domain == nullptr || domain->dying() ? nullptr : domain;
}

Domain* Machine::find_even_dead(DomainId id) const {
  return id < kMaxDomains ? domains_[id].load(std::memory_order_acquire) : nullptr;
}

std::vector<std::string> Machine::audit() {
  std::vector<std::string> findings;
  for (DomainId id = 0; id < count_.load(); ++id) {
    if (Domain* domain = find(id)) domain->audit(findings);
  }
  return findings;
}

std::vector<std::string> Machine::audit(Domain& domain) {
  std::vector<std::string> findings;
  domain.audit(findings);
  return findings;
}

}  // namespace ringside::sim
