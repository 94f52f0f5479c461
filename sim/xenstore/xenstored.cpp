#include "sim/xenstore/xenstored.hpp"

#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "sim/machine/machine.hpp"
#include "sim/machine/profiles.hpp"
#include "sim/xenstore/ring_connection.hpp"

namespace ringside::sim {

using xenstore::RingConnection;

/// All rings in service; their lock comes before the server's.
struct Xenstored::Rings final : xenstore::DomainControl, EventSink {
  /// The domain's page while it is served.
  struct Held {
    MachineFrame frame = 0;
    bool granted = false;  // or mapped as a control domain may
    uint32_t handle = 0;   // of the grant's map
  };
  struct Ring {
    Held page;
    Port port;
    std::unique_ptr<RingConnection> connection;
    bool shutdown_told = false;
  };

  explicit Rings(Xenstored& daemon) : daemon_(daemon) {
    EventChannels& events = daemon.machine_.dom0().events();
    const int64_t port = events.bind_virq(VIRQ_DOM_EXC, 0);
    if (port <= 0) return;  // another daemon has it: deaths are then told by RELEASE alone
    exception_port_ = static_cast<Port>(port);
    events.route(exception_port_, this);
  }

  ~Rings() {
    while (!rings_.empty()) drop(rings_.begin()->first);
    if (exception_port_ != 0) close(exception_port_);
  }

  void raise(Port) override {
    if (Actor* actor = daemon_.actor_.load()) actor->wake();
  }

  int introduce(DomainId domain, uint64_t gfn, uint32_t port) override {
    const std::lock_guard lock(mutex_);
    drop(domain);
    Domain& dom0 = daemon_.machine_.dom0();
    const auto page = hold(domain, gfn);
    if (!page) return EINVAL;
    const int64_t local = dom0.events().bind_interdomain(domain, port);
    if (local <= 0) {
      let_go(*page);
      return EINVAL;
    }
    std::byte* address = daemon_.machine_.frames().address(page->frame);
    Ring ring{*page, static_cast<Port>(local),
              std::make_unique<RingConnection>(daemon_.server_, domain, address)};
    daemon_.server_.on_output(*ring.connection->connection(), [this] { raise(0); });
    // Whoever had the port before may have left it masked.
    dom0.events().unmask(ring.port);
    dom0.events().route(ring.port, this);
    rings_.emplace(domain, std::move(ring));
    raise(0);
    return 0;
  }

  void release(DomainId domain) override {
    const std::lock_guard lock(mutex_);
    drop(domain);
  }

  bool reset(DomainId domain) {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(domain);
    if (found == rings_.end() || found->second.connection->ignored()) return false;
    found->second.connection->ignore(XENSTORE_ERROR_COMM);
    daemon_.machine_.dom0().events().send(found->second.port);
    return true;
  }

  /// True when there is more to do at once.
  bool serve() {
    const std::lock_guard lock(mutex_);
    EventChannels& events = daemon_.machine_.dom0().events();
    bool more = false;
    for (auto& [domain, ring] : rings_) {
      events.take_pending(ring.port);
      const RingConnection::Outcome outcome = ring.connection->serve();
      if (outcome.notify) events.send(ring.port);
      more |= outcome.more;
    }
    return more;
  }

  void resume(DomainId domain) override {
    const std::lock_guard lock(mutex_);
    const auto ring = rings_.find(domain);
    if (ring != rings_.end()) ring->second.shutdown_told = false;
  }

  bool exists(DomainId domain) const override { return daemon_.machine_.find(domain) != nullptr; }

  struct Ends {
    std::vector<DomainId> dead;
    std::vector<DomainId> shut_down;
  };
  /// The domains that died or shut down since last asked.
  Ends take_ends() {
    const std::lock_guard lock(mutex_);
    Ends ends;
    if (exception_port_ != 0) daemon_.machine_.dom0().events().take_pending(exception_port_);
    for (auto& [id, ring] : rings_) {
      const Domain* domain = daemon_.machine_.find(id);
      if (domain == nullptr || domain->dying()) {
        ends.dead.push_back(id);
      } else if (domain->shutdown_reason() && !std::exchange(ring.shutdown_told, true)) {
        ends.shut_down.push_back(id);
      }
    }
    return ends;
  }

 private:
  void close(Port port) {
    EventChannels& events = daemon_.machine_.dom0().events();
    events.route(port, nullptr);
    events.close(port);
  }

  /// By the grant for it, or on a Xen whose toolstack makes none by its number.
  std::optional<Held> hold(DomainId id, uint64_t gfn) {
    Machine& machine = daemon_.machine_;
    if (has(machine.config().xen_version, XenFeature::kReservedGrants)) {
      const GrantMap map = machine.dom0().grants().map(id, GNTTAB_RESERVED_XENSTORE, false);
      if (map.status != GNTST_okay) return std::nullopt;
      return Held{map.frame, true, map.handle};
    }
    const Domain* domain = machine.find(id);
    const auto frame = domain == nullptr ? std::nullopt : domain->machine_frame(gfn);
    if (!frame) return std::nullopt;
    machine.frames().pin(*frame);
    return Held{*frame};
  }

  void let_go(const Held& page) {
    if (page.granted) {
      daemon_.machine_.dom0().grants().unmap(page.handle);
    } else {
      daemon_.machine_.frames().unpin(page.frame);
    }
  }

  void drop(DomainId domain) {
    const auto found = rings_.find(domain);
    if (found == rings_.end()) return;
    close(found->second.port);
    found->second.connection.reset();
    let_go(found->second.page);
    rings_.erase(found);
  }

  Xenstored& daemon_;
  Port exception_port_ = 0;
  std::mutex mutex_;
  std::map<DomainId, Ring> rings_;
};

Xenstored::Xenstored(Machine& machine, xenstore::Quotas quotas, xenstore::Features features)
    : StoreDaemon(machine), server_(quotas, &machine.trace(), features) {
  rings_ = std::make_unique<Rings>(*this);
  server_.set_domain_control(rings_.get());
  actor_ = &machine.world().spawn("xenstored", [this] { run(); }, {.host = machine.host()});
  enlist();
}

Xenstored::~Xenstored() {
  delist();
  server_.set_domain_control(nullptr);
  machine_.world().stop(*actor_.exchange(nullptr));
}

bool Xenstored::introduce(Domain& domain) {
  const uint64_t gfn = domain.hvm_param(HVM_PARAM_STORE_PFN);
  const auto port = static_cast<uint32_t>(domain.hvm_param(HVM_PARAM_STORE_EVTCHN));
  if (rings_->introduce(domain.id(), gfn, port) != 0) return false;
  server_.mark_introduced(domain.id());
  return true;
}

void Xenstored::release(uint16_t domid) {
  if (!server_.is_introduced(domid)) return;
  rings_->release(domid);
  server_.mark_released(domid);
}

bool Xenstored::reset_connection(uint16_t domid) { return rings_->reset(domid); }

std::unique_ptr<xenstore::Client> Xenstored::connect(uint16_t domid) {
  return std::make_unique<xenstore::LocalClient>(server_, domid);
}

void Xenstored::run() {
  for (Actor& self = *Actor::current();;) {
    while (machine_.world().now() < paused_until_.load()) self.sleep(paused_until_.load());
    const Rings::Ends ends = rings_->take_ends();
    for (const DomainId domain : ends.dead) release(domain);
    for (const DomainId domain : ends.shut_down) server_.tell_release(domain);
    // A domain that keeps asking gets no more than its turn.
    if (rings_->serve()) self.wake();
    self.sleep();
  }
}

}  // namespace ringside::sim
