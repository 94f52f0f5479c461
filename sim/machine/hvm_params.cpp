#include "sim/machine/hvm_params.hpp"

#include <algorithm>
#include <iterator>

namespace ringside::sim {
namespace {

// Deprecated numbers, whose names are for tools only. Source: hvm/params.h
constexpr uint32_t kPaeEnabled = 4;
constexpr uint32_t kDmDomain = 13;
constexpr uint32_t kNestedHvm = 24;
constexpr uint32_t kBufioreqEvtchn = 26;
constexpr uint32_t kMemoryEvents[] = {20, 21, 22, 23, 25, 30};

template <size_t count>
bool one_of(const uint32_t (&list)[count], uint32_t index) {
  return std::find(std::begin(list), std::end(list), index) != std::end(list);
}

bool retired(uint32_t index) {
  constexpr uint32_t kOthers[] = {kPaeEnabled, kDmDomain, kNestedHvm, kBufioreqEvtchn};
  return one_of(kOthers, index) || one_of(kMemoryEvents, index);
}

/// Of what a guest may write: all of it is also read.
bool for_guests(uint32_t index) {
  constexpr uint32_t kParams[] = {HVM_PARAM_CALLBACK_IRQ,          HVM_PARAM_VM86_TSS,
                                  HVM_PARAM_VM86_TSS_SIZED,        HVM_PARAM_ACPI_IOPORTS_LOCATION,
                                  HVM_PARAM_VM_GENERATION_ID_ADDR, HVM_PARAM_STORE_EVTCHN,
                                  HVM_PARAM_CONSOLE_EVTCHN,        HVM_PARAM_X87_FIP_WIDTH};
  return one_of(kParams, index);
}

bool read_by_guests(uint32_t index) {
  constexpr uint32_t kParams[] = {HVM_PARAM_STORE_PFN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_ALTP2M};
  return for_guests(index) || one_of(kParams, index);
}

/// Before there were lists a guest was kept from a few.
bool withheld(const Caller& caller, uint32_t index) {
  constexpr uint32_t kParams[] = {HVM_PARAM_IDENT_PT, kDmDomain, HVM_PARAM_ACPI_S_STATE};
  constexpr uint32_t kServers[] = {HVM_PARAM_VIRIDIAN, HVM_PARAM_IOREQ_SERVER_PFN,
                                   HVM_PARAM_NR_IOREQ_SERVER_PAGES};
  const bool servers = caller.xen_version() >= xen_release(4, 5);
  return one_of(kParams, index) || (servers && one_of(kServers, index)) ||
         one_of(kMemoryEvents, index);
}

/// What a toolstack sets only once.
bool settled(const Caller& caller, uint32_t index) {
  constexpr uint32_t kParams[] = {HVM_PARAM_VIRIDIAN, HVM_PARAM_IOREQ_SERVER_PFN,
                                  HVM_PARAM_NR_IOREQ_SERVER_PAGES, HVM_PARAM_ALTP2M,
                                  HVM_PARAM_MCA_CAP};
  constexpr uint32_t kRings[] = {HVM_PARAM_IOREQ_PFN, HVM_PARAM_BUFIOREQ_PFN};
  if (!caller.knows(XenFeature::kParamsListed)) return false;
  return one_of(kParams, index) ||
         (caller.knows(XenFeature::kParamsRetired) && one_of(kRings, index));
}

int64_t may_set(const Caller& caller, const Domain& domain, uint32_t index, uint64_t value) {
  const bool own = &domain == &caller.domain;
  if (caller.knows(XenFeature::kParamsRetired) && retired(index)) return error(XEN_EINVAL);
  const bool allowed =
      caller.knows(XenFeature::kParamsListed) ? for_guests(index) : !withheld(caller, index);
  if (own && !allowed) return error(XEN_EPERM);
  const uint64_t former = domain.hvm_param(index);
  if (settled(caller, index) && former != 0 && former != value) return error(XEN_EEXIST);
  return 0;
}

bool sensible(const Domain& domain, uint32_t index, uint64_t value) {
  switch (index) {
    case HVM_PARAM_TIMER_MODE: return value <= HVMPTM_one_missed_tick_pending;
    case HVM_PARAM_TRIPLE_FAULT_REASON: return value <= SHUTDOWN_MAX;
    case HVM_PARAM_X87_FIP_WIDTH: return value == 0 || value == 4 || value == 8;
    case HVM_PARAM_ACPI_IOPORTS_LOCATION: {
      // The two places there are, 0 and 1.
      const uint64_t former = domain.hvm_param(index);
      return value == former || (value ^ former) == 1;
    }
    case HVM_PARAM_ACPI_S_STATE: return value == 0 || value == 3;
    case HVM_PARAM_ALTP2M: return value <= XEN_ALTP2M_limited;
    case kBufioreqEvtchn: return false;
    default: return true;
  }
}

}  // namespace

int64_t set_hvm_param(const Caller& caller, Domain& domain, uint32_t index, uint64_t value) {
  if (const int64_t why = may_set(caller, domain, index, value); why != 0) return why;
  if (!sensible(domain, index, value)) return error(XEN_EINVAL);
  domain.set_hvm_param(index, value);
  return 0;
}

int64_t get_hvm_param(const Caller& caller, const Domain& domain, uint32_t index, uint64_t& value) {
  const bool own = &domain == &caller.domain;
  if (caller.knows(XenFeature::kParamsRetired) && retired(index)) return error(XEN_EINVAL);
  const bool servers =
      index == HVM_PARAM_IOREQ_SERVER_PFN || index == HVM_PARAM_NR_IOREQ_SERVER_PAGES;
  const bool allowed = caller.knows(XenFeature::kParamsListed) ? read_by_guests(index) : !servers;
  if (own && !allowed) return error(XEN_EPERM);
  value = domain.hvm_param(index);
  return 0;
}

}  // namespace ringside::sim
