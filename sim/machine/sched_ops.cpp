#include <algorithm>

#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

/// System time as Xen has it: a deadline beyond the middle is a negative one, long over.
Nanoseconds deadline_of(uint64_t timeout) {
  if (timeout == 0) return platform::kForever;
  return static_cast<int64_t>(timeout) < 0 ? 0 : timeout;
}

int64_t yield(const Caller&) {
  if (Actor* self = Actor::current()) self->yield();
  return 0;
}

/// Upcalls are let through, then the vCPU stops until there is one.
int64_t block(const Caller& caller) {
  vcpu_info_t& info = caller.domain.vcpu_info(caller.vcpu);
  std::atomic_ref(info.evtchn_upcall_mask).store(0);
  Actor* self = Actor::current();
  if (self == nullptr) return 0;
  // Looked up each time: the structure may be moved meanwhile.
  self->wait([&caller] {
    vcpu_info_t& now = caller.domain.vcpu_info(caller.vcpu);
    return std::atomic_ref(now.evtchn_upcall_pending).load() != 0;
  });
  return 0;
}

/// 1: pending, 0: none of them, or why it can't be asked.
int64_t any_pending(const Caller& caller, const sched_poll_t& op) {
  EventChannels& events = caller.domain.events();
  const bool open_only = caller.knows(XenFeature::kPollOpenPorts);
  for (unsigned i = 0; i < op.nr_ports; ++i) {
    const Port port = op.ports.p[i];
    if (port >= events.max_ports() || (open_only && !events.open(port))) return error(XEN_EINVAL);
    if (port != 0 && events.pending(port)) return 1;
  }
  return 0;
}

int64_t poll(const Caller& caller, const sched_poll_t& op) {
  constexpr unsigned kMaxPorts = 128;
  if (op.nr_ports > kMaxPorts) return error(XEN_EINVAL);
  if (!accessible(op.ports.p, op.nr_ports)) return error(XEN_EFAULT);
  EventChannels& events = caller.domain.events();
  events.pollers.fetch_add(1);
  const uint64_t woken = events.poller_wakes.load();
  const int64_t pending = any_pending(caller, op);
  Actor* self = Actor::current();
  if (pending == 0 && self != nullptr) {
    // Whoever polls one port is woken for that, everybody else for any.
    const bool for_any = op.nr_ports != 1;
    self->wait(
        [&] {
          return (for_any && events.poller_wakes.load() != woken) || any_pending(caller, op) != 0;
        },
        deadline_of(op.timeout));
  }
  events.pollers.fetch_sub(1);
  return std::min<int64_t>(pending, 0);
}

int64_t remote_shutdown(const Caller& caller, const sched_remote_shutdown_t& op) {
  // DOMID_SELF is no domain here, and a guest may not even ask for itself.
  Domain* domain = caller.machine.find(op.domain_id);
  if (domain == nullptr) return error(XEN_ESRCH);
  if (!caller.privileged()) return error(XEN_EPERM);
  domain->set_shutdown(static_cast<uint8_t>(op.reason));
  return 0;
}

int64_t shut_down(const Caller& caller, const sched_shutdown_t& op) {
  const auto reason = static_cast<uint8_t>(op.reason);
  if (reason == SHUTDOWN_suspend) return caller.domain.suspend();
  caller.domain.set_shutdown(reason);
  return 0;
}

int64_t shutdown_code(const Caller& caller, const sched_shutdown_t& op) {
  caller.domain.latch_shutdown(static_cast<uint8_t>(op.reason));
  return 0;
}

int64_t watchdog(const Caller& caller, const sched_watchdog_t& op) {
  const bool named = caller.knows(XenFeature::kWatchdogErrors);
  if (op.id > Domain::kWatchdogs) return error(XEN_EINVAL);
  if (op.id == 0) {
    const unsigned id = caller.domain.start_watchdog(op.timeout * platform::kSecond);
    return id != 0 ? int64_t{id} : error(named ? XEN_ENOSPC : XEN_EEXIST);
  }
  const bool there = caller.domain.set_watchdog(op.id, op.timeout * platform::kSecond);
  return there ? 0 : error(named ? XEN_EINVAL : XEN_EEXIST);
}

}  // namespace

int64_t sched_op(const Caller& caller, unsigned command, uint64_t argument) {
  const bool watchdogs = command == SCHEDOP_watchdog || command == SCHEDOP_shutdown_code;
  if (watchdogs && !caller.knows(XenFeature::kWatchdog)) return error(XEN_ENOSYS);
  switch (command) {
    case SCHEDOP_yield: return yield(caller);
    case SCHEDOP_block: return block(caller);
    case SCHEDOP_shutdown: return with_argument<sched_shutdown_t>(caller, argument, shut_down);
    case SCHEDOP_poll: return with_argument<sched_poll_t>(caller, argument, poll);
    case SCHEDOP_remote_shutdown:
      return with_argument<sched_remote_shutdown_t>(caller, argument, remote_shutdown);
    case SCHEDOP_shutdown_code:
      return with_argument<sched_shutdown_t>(caller, argument, shutdown_code);
    case SCHEDOP_watchdog: return with_argument<sched_watchdog_t>(caller, argument, watchdog);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
