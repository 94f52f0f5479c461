#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

/// The vCPU a call is about, which need not be the one that makes it.
struct VcpuCall {
  const Caller& caller;
  unsigned vcpu;

  bool own() const { return vcpu == caller.vcpu; }
  Domain& domain() const { return caller.domain; }
  Nanoseconds now() const { return caller.machine.world().now(); }
};

int64_t register_info(const VcpuCall& call, const vcpu_register_vcpu_info_t& op) {
  const bool nxio = call.caller.knows(XenFeature::kVcpuInfoNxio);
  const int64_t impossible = error(nxio ? XEN_ENXIO : XEN_EINVAL);
  if (op.offset > kPageSize - sizeof(vcpu_info_t)) return impossible;
  // Before 4.14 Xen did not look; atomic words across a boundary are of no use to anybody here.
  if (op.offset % alignof(vcpu_info_t) != 0) return impossible;
  // Others must not run meanwhile, and here they always do.
  if (call.domain().vcpu_info_moved(call.vcpu) || !call.own()) return error(XEN_EINVAL);
  const bool moved = call.domain().move_vcpu_info(call.vcpu, op.mfn, op.offset);
  return moved ? 0 : error(XEN_EINVAL);
}

/// Nobody takes a processor away from a vCPU here: it has run ever since.
int64_t get_runstate(const VcpuCall& call, vcpu_runstate_info_t& info) {
  info = {};
  info.state = RUNSTATE_running;
  info.state_entry_time = call.domain().created();
  info.time[RUNSTATE_running] = call.now() - call.domain().created();
  return 0;
}

int64_t register_runstate(const VcpuCall& call, const vcpu_register_runstate_memory_area_t& op) {
  if (!accessible(op.addr.v, 1)) return error(XEN_EFAULT);
  return get_runstate(call, *op.addr.v);
}

/// The master copy of these times is in the vCPU's vcpu_info.
int64_t register_time(const VcpuCall& call, const vcpu_register_time_memory_area_t& op) {
  if (!accessible(op.addr.v, 1)) return error(XEN_EFAULT);
  *op.addr.v = call.domain().vcpu_info(call.vcpu).time;
  return 0;
}

int64_t set_periodic(const VcpuCall& call, const vcpu_set_periodic_timer_t& op) {
  constexpr uint64_t kLongest = ~uint64_t{0} >> 2;
  if (op.period_ns < platform::kMillisecond || op.period_ns > kLongest) return error(XEN_EINVAL);
  call.domain().set_periodic_timer(call.vcpu, op.period_ns);
  return 0;
}

int64_t set_single(const VcpuCall& call, const vcpu_set_singleshot_timer_t& op) {
  const bool late = op.timeout_abs_ns < call.now();
  if (late && (op.flags & VCPU_SSHOTTMR_future) != 0) return error(XEN_ETIME);
  call.domain().set_single_timer(call.vcpu, op.timeout_abs_ns);
  return 0;
}

/// Xen lets HVM guests have some of what there is.
bool allowed(const Caller& caller, unsigned command) {
  switch (command) {
    case VCPUOP_get_runstate_info:
    case VCPUOP_register_runstate_memory_area: return true;
    case VCPUOP_set_periodic_timer:
    case VCPUOP_stop_periodic_timer:
    case VCPUOP_set_singleshot_timer:
    case VCPUOP_stop_singleshot_timer: return caller.knows(XenFeature::kVcpuTimers);
    case VCPUOP_register_vcpu_info: return caller.knows(XenFeature::kVcpuInfo);
    case VCPUOP_register_vcpu_time_memory_area: return caller.knows(XenFeature::kVcpuTimeArea);
    default: return caller.knows(XenFeature::kVcpuAll);
  }
}

template <typename Op, typename Function>
int64_t with(const VcpuCall& call, uint64_t argument, Function function) {
  if (!accessible(argument, sizeof(Op))) return error(XEN_EFAULT);
  return function(call, *argument_at<Op>(argument));
}

}  // namespace

int64_t vcpu_op(const Caller& caller, unsigned command, uint64_t vcpu, uint64_t argument) {
  if (caller.domain.hvm() && !allowed(caller, command)) return error(XEN_ENOSYS);
  if (vcpu >= caller.domain.vcpus()) return error(XEN_ENOENT);
  const VcpuCall call{caller, static_cast<unsigned>(vcpu)};
  switch (command) {
    case VCPUOP_up: return 0;
    case VCPUOP_is_up: return 1;
    case VCPUOP_get_runstate_info: return with<vcpu_runstate_info_t>(call, argument, get_runstate);
    case VCPUOP_register_runstate_memory_area:
      return with<vcpu_register_runstate_memory_area_t>(call, argument, register_runstate);
    case VCPUOP_set_periodic_timer:
      return with<vcpu_set_periodic_timer_t>(call, argument, set_periodic);
    case VCPUOP_stop_periodic_timer: caller.domain.set_periodic_timer(call.vcpu, 0); return 0;
    case VCPUOP_set_singleshot_timer:
      if (!call.own()) return error(XEN_EINVAL);
      return with<vcpu_set_singleshot_timer_t>(call, argument, set_single);
    case VCPUOP_stop_singleshot_timer:
      if (!call.own()) return error(XEN_EINVAL);
      caller.domain.set_single_timer(call.vcpu, platform::kForever);
      return 0;
    case VCPUOP_register_vcpu_info:
      return with<vcpu_register_vcpu_info_t>(call, argument, register_info);
    case VCPUOP_register_vcpu_time_memory_area:
      return with<vcpu_register_time_memory_area_t>(call, argument, register_time);
    case VCPUOP_get_physid: return error(XEN_EINVAL);  // for pinned vCPUs of dom0
    default: return error(XEN_ENOSYS);  // nothing here brings vCPUs down, or sends them NMIs
  }
}

}  // namespace ringside::sim
