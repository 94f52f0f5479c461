#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/hypercall.hpp"
#include "protocols/xenbus/interfaces/events.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenbus {

/// The Status for a hypercall's -errno; kOk for anything >= 0. Source: xen/errno.h.
Status status_of(int64_t result);
/// The Status for a GNTST_* code. Source: grant_table.h.
Status status_of_grant(int16_t code);

/// The hypercalls XENBUS makes, typed; all of them act on the calling domain.
class Hypercalls {
 public:
  struct GrantTableSize {
    uint32_t frames = 0;      ///< in use now
    uint32_t max_frames = 0;  ///< as far as it may grow
  };

  struct RemotePort {
    DomainId domain = 0;
    Port port = 0;  ///< 0: that domain has not bound to ours yet
  };

  explicit Hypercalls(Hypercall& xen) : xen_(xen) {}

  /// Places Xen's own frame number `index` of `space` (XENMAPSPACE_*) at `where`.
  Status add_to_physmap(unsigned space, uint64_t index, platform::Frame where);
  Status remove_from_physmap(platform::Frame where);
  /// XENMEM_decrease_reservation and XENMEM_populate_physmap of single pages: how many of the
  /// first ones were done, or an error when none could be. Source: memory.h
  Result<size_t> give_to_xen(std::span<const platform::Frame> frames);
  Result<size_t> populate(std::span<const platform::Frame> frames);
  /// HVMOP_get_param of HVM_PARAM_`parameter`.
  Result<uint64_t> parameter(uint32_t parameter);
  Status set_parameter(uint32_t parameter, uint64_t value);
  /// Where the event upcall of `vcpu` goes: an interrupt vector of its own.
  Status set_upcall_vector(unsigned vcpu, uint8_t vector);
  Result<GrantTableSize> grant_table_size();
  /// GNTTABOP_set_version; what is not reserved is cleared when it changes.
  Status set_grant_version(uint32_t version);
  Result<uint32_t> grant_version();
  /// The highest frame number that this domain has ever used.
  Result<platform::Frame> maximum_frame();
  /// Places what `peer` granted behind `where`; the handle to end it with.
  Result<uint32_t> map_grant(DomainId peer, GrantRef ref, Access access, platform::Frame where);
  Status unmap_grant(uint32_t handle, platform::Frame where);

  Result<Port> alloc_unbound(DomainId peer);
  Result<Port> bind_interdomain(DomainId peer, Port remote);
  Result<Port> bind_virq(uint32_t virq, unsigned vcpu);
  Status bind_vcpu(Port port, unsigned vcpu);
  Status send(Port port);
  /// Clears the mask bit, and raises the event again if it was pending.
  Status unmask(Port port);
  Status close(Port port);
  /// Who is, or may come to, the other end of a channel; kNotFound for one of another kind.
  Result<RemotePort> remote_of(Port port);
  /// EVTCHNOP_reset: closes all ports and puts the two-level ABI in force.
  Status reset_events();
  Status init_fifo_control(unsigned vcpu, platform::Frame frame, uint32_t offset);
  Status expand_fifo_array(platform::Frame frame);

  /// SCHEDOP_shutdown with SHUTDOWN_suspend: returns once the domain goes on, false when the
  /// suspend was cancelled. Source: sched.h
  Result<bool> suspend();

 private:
  template <typename Argument>
  int64_t operate(unsigned number, uint64_t command, Argument& argument);
  template <typename Argument>
  Status event_op(uint64_t command, Argument& argument);
  Result<size_t> change_reservation(unsigned command, std::span<const platform::Frame> frames);

  Hypercall& xen_;
};

}  // namespace ringside::xenbus
