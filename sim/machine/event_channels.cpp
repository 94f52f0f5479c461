#include "sim/machine/event_channels.hpp"

#include <algorithm>

#include "sim/machine/fifo_events.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr unsigned kWordBits = 64;

uint64_t bit_of(Port port) { return uint64_t{1} << (port % kWordBits); }

bool set_bit(unsigned long& word, uint64_t bit) {
  return (std::atomic_ref(word).fetch_or(bit) & bit) != 0;
}
bool clear_bit(unsigned long& word, uint64_t bit) {
  return (std::atomic_ref(word).fetch_and(~bit) & bit) != 0;
}
bool test_bit(unsigned long& word, uint64_t bit) {
  return (std::atomic_ref(word).load() & bit) != 0;
}

bool global_virq(uint32_t virq) {
  switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU: return false;
    default: return true;
  }
}

}  // namespace

EventChannels::EventChannels(Machine& machine, Domain& owner, Port max_ports)
    : machine_(machine),
      owner_(owner),
      max_ports_(std::min(max_ports, kMaxPorts)),
      channels_(std::make_unique<Channel[]>(max_ports_)) {}

EventChannels::~EventChannels() = default;

int64_t EventChannels::claim(Binding binding) {
  for (Port port = 1; port < ports(); ++port) {
    if (channels_[port].binding.load().state != State::kFree) continue;
    if (FifoEvents* fifo = this->fifo()) {
      // Its former owner's event is still in a queue.
      if (fifo->test(port, EVTCHN_FIFO_LINKED)) continue;
      fifo->set_priority(port, EVTCHN_FIFO_PRIORITY_DEFAULT);
    }
    channels_[port].binding.store(binding);
    return port;
  }
  return error(XEN_ENOSPC);
}

int64_t EventChannels::alloc_unbound(DomainId remote) {
  if (remote == DOMID_SELF) remote = owner_.id();
  const std::lock_guard lock(machine_.event_mutex());
  return claim({.state = State::kUnbound, .remote = remote});
}

int64_t EventChannels::bind_interdomain(DomainId remote, Port remote_port) {
  if (remote == DOMID_SELF) remote = owner_.id();
  Domain* other = machine_.find(remote);
  if (other == nullptr) return error(XEN_ESRCH);
  EventChannels& peer = other->events();
  const std::lock_guard lock(machine_.event_mutex());
  if (!peer.valid(remote_port)) return error(XEN_EINVAL);
  Binding theirs = peer.channels_[remote_port].binding.load();
  if (theirs.state != State::kUnbound || theirs.remote != owner_.id()) return error(XEN_EINVAL);
  const int64_t port =
      claim({.state = State::kInterdomain, .remote = remote, .number = remote_port});
  if (port < 0) return port;
  theirs.state = State::kInterdomain;
  theirs.number = static_cast<Port>(port);
  peer.channels_[remote_port].binding.store(theirs);
  // What the peer sent before there was another end would be lost otherwise.
  set_pending(static_cast<Port>(port));
  return port;
}

int64_t EventChannels::bind_virq(uint32_t virq, unsigned vcpu) {
  if (virq >= NR_VIRQS) return error(XEN_EINVAL);
  if (global_virq(virq) && vcpu != 0) return error(XEN_EINVAL);
  if (vcpu >= owner_.vcpus()) return error(XEN_ENOENT);
  const std::lock_guard lock(machine_.event_mutex());
  for (Port port = 1; port < max_ports_; ++port) {
    const Binding bound = channels_[port].binding.load();
    const bool same_vcpu = global_virq(virq) || bound.vcpu == vcpu;
    if (bound.state == State::kVirq && bound.number == virq && same_vcpu) return error(XEN_EEXIST);
  }
  return claim({.state = State::kVirq, .vcpu = static_cast<uint8_t>(vcpu), .number = virq});
}

int64_t EventChannels::bind_ipi(unsigned vcpu) {
  if (vcpu >= owner_.vcpus()) return error(XEN_ENOENT);
  const std::lock_guard lock(machine_.event_mutex());
  return claim({.state = State::kIpi, .vcpu = static_cast<uint8_t>(vcpu)});
}

int64_t EventChannels::bind_vcpu(Port port, unsigned vcpu) {
  if (vcpu >= owner_.vcpus()) return error(XEN_ENOENT);
  if (!valid(port)) return error(XEN_EINVAL);
  const std::lock_guard lock(machine_.event_mutex());
  Binding binding = channels_[port].binding.load();
  const bool movable = binding.state == State::kUnbound || binding.state == State::kInterdomain ||
                       (binding.state == State::kVirq && global_virq(binding.number));
  if (!movable) return error(XEN_EINVAL);
  binding.vcpu = static_cast<uint8_t>(vcpu);
  channels_[port].binding.store(binding);
  return 0;
}

int64_t EventChannels::close(Port port) {
  if (!valid(port)) return error(XEN_EINVAL);
  const std::lock_guard lock(machine_.event_mutex());
  const Binding binding = channels_[port].binding.load();
  if (binding.state == State::kFree) return error(XEN_EINVAL);
  if (binding.state == State::kInterdomain) {
    Channel& other = machine_.find_even_dead(binding.remote)->events().channels_[binding.number];
    Binding theirs = other.binding.load();
    theirs.state = State::kUnbound;
    theirs.number = 0;
    other.binding.store(theirs);
  }
  (void)take_pending(port);
  channels_[port].binding.store({});
  return 0;
}

int64_t EventChannels::send(Port port) {
  if (!valid(port)) return error(XEN_EINVAL);
  const Binding binding = channels_[port].binding.load();
  switch (binding.state) {
    case State::kInterdomain:
      machine_.find_even_dead(binding.remote)->events().set_pending(binding.number);
      break;
    case State::kIpi: set_pending(port); break;
    case State::kUnbound: break;
    default: return error(XEN_EINVAL);
  }
  machine_.trace().record(Trace::Kind::kEvent, "send", {owner_.id(), port});
  return 0;
}

bool EventChannels::mark_pending(Port port) {
  if (FifoEvents* fifo = this->fifo()) return fifo->set(port, EVTCHN_FIFO_PENDING);
  return set_bit(owner_.shared_info().evtchn_pending[port / kWordBits], bit_of(port));
}

void EventChannels::set_pending(Port port) {
  auto verdict = EventGate::Verdict::kPass;
  if (EventGate* gate = machine_.event_gate()) verdict = gate->judge(owner_, port);
  if (verdict == EventGate::Verdict::kHold) return;
  const bool was_pending = mark_pending(port);
  // In a FIFO a pending event may be out of its queue: it is linked when sent again.
  if (was_pending && fifo() == nullptr) return;
  if (verdict == EventGate::Verdict::kSilent) return;
  if (!masked(port)) deliver(port);
  if (!was_pending) wake_pollers();
}

void EventChannels::wake_pollers() {
  if (pollers.load() == 0) return;
  poller_wakes.fetch_add(1);
  for (unsigned vcpu = 0; vcpu < owner_.vcpus(); ++vcpu) owner_.kick(vcpu);
}

void EventChannels::deliver_late(Port port) {
  if (!open(port)) return;
  const bool was_pending = mark_pending(port);
  if (!masked(port)) deliver(port);
  if (!was_pending) wake_pollers();
}

void EventChannels::deliver(Port port) {
  Channel& channel = channels_[port];
  if (channel.sink.load() != nullptr) {
    while (channel.sink_busy.exchange(true)) {
    }
    EventSink* sink = channel.sink.load();
    if (sink != nullptr) sink->raise(port);
    channel.sink_busy.store(false);
    if (sink != nullptr) return;
  }
  const unsigned vcpu = channel.binding.load().vcpu;
  vcpu_info_t& info = owner_.vcpu_info(vcpu);
  if (FifoEvents* fifo = this->fifo()) {
    if (!fifo->link(port, vcpu)) return;
  } else if (set_bit(info.evtchn_pending_sel, bit_of(port / kWordBits))) {
    return;
  }
  if (std::atomic_ref(info.evtchn_upcall_pending).exchange(1) == 0) owner_.kick(vcpu);
}

int64_t EventChannels::unmask(Port port) {
  if (!valid(port)) return error(XEN_EINVAL);
  if (FifoEvents* fifo = this->fifo()) {
    (void)fifo->reset(port, EVTCHN_FIFO_MASKED);
    if (pending(port) && !masked(port)) deliver(port);
    return 0;
  }
  shared_info_t& info = owner_.shared_info();
  const bool was_masked = clear_bit(info.evtchn_mask[port / kWordBits], bit_of(port));
  if (was_masked && test_bit(info.evtchn_pending[port / kWordBits], bit_of(port))) deliver(port);
  return 0;
}

int64_t EventChannels::status(evtchn_status_t& status) const {
  // Port 0 is never used, but it can be asked about.
  if (status.port != 0 && !valid(status.port)) return error(XEN_EINVAL);
  const Binding binding = channels_[status.port].binding.load();
  status.vcpu = binding.vcpu;
  switch (binding.state) {
    case State::kFree: status.status = EVTCHNSTAT_closed; break;
    case State::kUnbound:
      status.status = EVTCHNSTAT_unbound;
      status.u.unbound.dom = binding.remote;
      break;
    case State::kInterdomain:
      status.status = EVTCHNSTAT_interdomain;
      status.u.interdomain.dom = binding.remote;
      status.u.interdomain.port = binding.number;
      break;
    case State::kVirq:
      status.status = EVTCHNSTAT_virq;
      status.u.virq = binding.number;
      break;
    case State::kIpi: status.status = EVTCHNSTAT_ipi; break;
  }
  return 0;
}

void EventChannels::reset() {
  for (Port port = 1; port < max_ports_; ++port) {
    if (open(port)) close(port);
  }
  const std::lock_guard lock(machine_.event_mutex());
  if (FifoEvents* fifo = fifo_in_use_.exchange(nullptr)) fifo->clear();
}

int64_t EventChannels::init_control(unsigned vcpu, uint64_t gfn, uint32_t offset) {
  if (!machine_.config().fifo_events) return error(XEN_ENOSYS);
  if (vcpu >= owner_.vcpus()) return error(XEN_ENOENT);
  constexpr size_t kBlock = sizeof(evtchn_fifo_control_block_t);
  if (offset > kPageSize - kBlock || offset % sizeof(uint64_t) != 0) return error(XEN_EINVAL);
  const std::lock_guard lock(machine_.event_mutex());
  if (!fifo_) fifo_ = std::make_unique<FifoEvents>(owner_, max_ports_);
  const int64_t result = fifo_->map_control_block(vcpu, gfn, offset);
  if (result != 0 || fifo() != nullptr) return result;
  for (Port port = 1; port < max_ports_; ++port) {
    fifo_->set_priority(port, EVTCHN_FIFO_PRIORITY_DEFAULT);
    if (port < kTwoLevelPorts && pending(port)) {
      fifo_->remember(port);
    } else {
      (void)fifo_->take_remembered(port);
    }
  }
  fifo_in_use_.store(fifo_.get());
  return 0;
}

int64_t EventChannels::expand_array(uint64_t gfn) {
  if (!machine_.config().fifo_events) return error(XEN_ENOSYS);
  const std::lock_guard lock(machine_.event_mutex());
  FifoEvents* fifo = this->fifo();
  if (fifo == nullptr) return error(XEN_EOPNOTSUPP);
  const Port first = fifo->words();
  const int64_t result = fifo->expand_array(gfn);
  if (result != 0) return result;
  for (Port port = first; port < std::min(fifo->words(), max_ports_); ++port) {
    if (fifo->take_remembered(port)) deliver_late(port);
  }
  return 0;
}

int64_t EventChannels::set_priority(Port port, uint32_t priority) {
  if (!machine_.config().fifo_events) return error(XEN_ENOSYS);
  if (!valid(port)) return error(XEN_EINVAL);
  FifoEvents* fifo = this->fifo();
  if (fifo == nullptr) return error(XEN_ENOSYS);
  if (priority > EVTCHN_FIFO_PRIORITY_MIN) return error(XEN_EINVAL);
  fifo->set_priority(port, static_cast<uint8_t>(priority));
  return 0;
}

void EventChannels::raise_virq(uint32_t virq, unsigned vcpu) {
  for (Port port = 1; port < max_ports_; ++port) {
    const Binding bound = channels_[port].binding.load();
    if (bound.state != State::kVirq || bound.number != virq) continue;
    if (global_virq(virq) || bound.vcpu == vcpu) set_pending(port);
  }
}

bool EventChannels::pending(Port port) const {
  if (FifoEvents* fifo = this->fifo()) return fifo->test(port, EVTCHN_FIFO_PENDING);
  return test_bit(owner_.shared_info().evtchn_pending[port / kWordBits], bit_of(port));
}

bool EventChannels::masked(Port port) const {
  if (FifoEvents* fifo = this->fifo()) return fifo->test(port, EVTCHN_FIFO_MASKED);
  return test_bit(owner_.shared_info().evtchn_mask[port / kWordBits], bit_of(port));
}

bool EventChannels::take_pending(Port port) {
  if (FifoEvents* fifo = this->fifo()) return fifo->reset(port, EVTCHN_FIFO_PENDING);
  return clear_bit(owner_.shared_info().evtchn_pending[port / kWordBits], bit_of(port));
}

bool EventChannels::mask(Port port) {
  if (FifoEvents* fifo = this->fifo()) return fifo->set(port, EVTCHN_FIFO_MASKED);
  return set_bit(owner_.shared_info().evtchn_mask[port / kWordBits], bit_of(port));
}

bool EventChannels::open(Port port) const {
  return valid(port) && channels_[port].binding.load().state != State::kFree;
}

void EventChannels::route(Port port, EventSink* sink) {
  Channel& channel = channels_[port];
  channel.sink.store(sink);
  // A sender that saw the former sink holds this flag while it calls it.
  while (channel.sink_busy.load()) {
  }
  if (sink != nullptr && pending(port) && !masked(port)) deliver(port);
}

void EventChannels::audit(std::vector<std::string>& findings) const {
  for (Port port = 1; port < max_ports_; ++port) {
    if (!open(port)) continue;
    const bool platforms = port == owner_.hvm_param(HVM_PARAM_STORE_EVTCHN) ||
                           port == owner_.hvm_param(HVM_PARAM_CONSOLE_EVTCHN);
    if (platforms) continue;
    evtchn_status_t status{};
    status.port = port;
    this->status(status);
    const char* kind = status.status == EVTCHNSTAT_unbound       ? "unbound"
                       : status.status == EVTCHNSTAT_interdomain ? "interdomain"
                       : status.status == EVTCHNSTAT_virq        ? "virq"
                                                                 : "ipi";
    findings.push_back("domain " + std::to_string(owner_.id()) + ": port " + std::to_string(port) +
                       " is still open (" + kind + ")");
  }
}

}  // namespace ringside::sim
