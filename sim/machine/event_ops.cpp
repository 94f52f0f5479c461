#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

template <typename Op>
int64_t keep_port(Op& op, int64_t result) {
  if (result < 0) return result;
  op.port = static_cast<evtchn_port_t>(result);
  return 0;
}

int64_t alloc_unbound(const Caller& caller, evtchn_alloc_unbound_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.dom, why);
  if (domain == nullptr) return why;
  const DomainId remote = op.remote_dom == DOMID_SELF ? caller.domain.id() : op.remote_dom;
  return keep_port(op, domain->events().alloc_unbound(remote));
}

int64_t bind_interdomain(const Caller& caller, evtchn_bind_interdomain_t& op) {
  const int64_t port = caller.domain.events().bind_interdomain(op.remote_dom, op.remote_port);
  if (port < 0) return port;
  op.local_port = static_cast<evtchn_port_t>(port);
  return 0;
}

int64_t status(const Caller& caller, evtchn_status_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.dom, why);
  return domain == nullptr ? why : domain->events().status(op);
}

int64_t reset(const Caller& caller, const evtchn_reset_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.dom, why);
  if (domain == nullptr) return why;
  domain->events().reset();
  return 0;
}

int64_t init_control(const Caller& caller, evtchn_init_control_t& op) {
  op.link_bits = EVTCHN_FIFO_LINK_BITS;
  return caller.domain.events().init_control(op.vcpu, op.control_gfn, op.offset);
}

}  // namespace

int64_t event_channel_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (argument == 0) return error(XEN_EFAULT);
  EventChannels& events = caller.domain.events();
  switch (command) {
    case EVTCHNOP_send: return events.send(argument_at<evtchn_send_t>(argument)->port);
    case EVTCHNOP_unmask: return events.unmask(argument_at<evtchn_unmask_t>(argument)->port);
    case EVTCHNOP_close: return events.close(argument_at<evtchn_close_t>(argument)->port);
    case EVTCHNOP_alloc_unbound:
      return alloc_unbound(caller, *argument_at<evtchn_alloc_unbound_t>(argument));
    case EVTCHNOP_bind_interdomain:
      return bind_interdomain(caller, *argument_at<evtchn_bind_interdomain_t>(argument));
    case EVTCHNOP_bind_virq: {
      auto& op = *argument_at<evtchn_bind_virq_t>(argument);
      return keep_port(op, events.bind_virq(op.virq, op.vcpu));
    }
    case EVTCHNOP_bind_ipi: {
      auto& op = *argument_at<evtchn_bind_ipi_t>(argument);
      return keep_port(op, events.bind_ipi(op.vcpu));
    }
    case EVTCHNOP_bind_vcpu: {
      const auto& op = *argument_at<evtchn_bind_vcpu_t>(argument);
      return events.bind_vcpu(op.port, op.vcpu);
    }
    case EVTCHNOP_status: return status(caller, *argument_at<evtchn_status_t>(argument));
    case EVTCHNOP_reset: return reset(caller, *argument_at<evtchn_reset_t>(argument));
    case EVTCHNOP_init_control:
      return init_control(caller, *argument_at<evtchn_init_control_t>(argument));
    case EVTCHNOP_expand_array:
      return events.expand_array(argument_at<evtchn_expand_array_t>(argument)->array_gfn);
    case EVTCHNOP_set_priority: {
      const auto& op = *argument_at<evtchn_set_priority_t>(argument);
      return events.set_priority(op.port, op.priority);
    }
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
