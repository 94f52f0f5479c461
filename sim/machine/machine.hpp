#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sim/machine/domain.hpp"
#include "sim/machine/frames.hpp"
#include "sim/machine/host_clock.hpp"
#include "sim/machine/timers.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {

struct MachineConfig {
  uint32_t frames = 65536;             ///< machine memory, 256 MiB, touched lazily
  uint32_t max_grant_frames = 64;      ///< per domain; 512 version 1 entries each
  uint32_t max_maptrack_frames = 128;  ///< per domain; 256 maps of others' grants each
  uint32_t max_ports = EventChannels::kTwoLevelPorts;
  bool direct_maps =
      false;  ///< libxengnttab reaches frames in place: fast, and unmap revokes nothing
  HostClock clock{};

  // What a release of Xen decides: on_xen() of profiles.hpp sets it all. Every difference that
  // is not named here goes by the version.
  uint32_t xen_version = 4 << 16 | 17;
  uint32_t max_grant_version = 2;  ///< as gnttab=max-ver; 1: no version 2 tables
  bool grant_versions = true;      ///< GNTTABOP_set_version and _get_version exist
  bool grant_swap = true;          ///< GNTTABOP_swap_grant_ref exists
  bool upcall_vector = true;       ///< HVMOP_set_evtchn_upcall_vector exists
  bool fifo_events = true;         ///< EVTCHNOP_init_control and its like exist
  bool physmap_batch = true;       ///< XENMEM_add_to_physmap_batch exists
};

/// A simulated Xen host: memory, domains, hypercalls. Domain 0 exists from the start and
/// may do what a control domain may.
class Machine {
 public:
  static constexpr DomainId kMaxDomains = 256;

  explicit Machine(World& world, MachineConfig config = {});
  /// Another host of the same world, to which guests can migrate: it shares the memory of
  /// `neighbour`, so that what a guest sees stays at its address, and nothing else.
  Machine(Machine& neighbour, MachineConfig config);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// The machine where the current actor is; outside actors the one created last. nullptr when
  /// there is none.
  static Machine* current();

  World& world() { return world_; }
  const MachineConfig& config() const { return config_; }
  FrameStore& frames() { return *frames_; }
  std::shared_ptr<FrameStore> shared_frames() const { return frames_; }
  /// Which host of its world this is, from 0.
  unsigned host() const { return host_; }

  /// Domain ids count up from 1 and are not used twice.
  Domain& create_domain(DomainConfig config = {});
  /// Closes its ports, drops its maps and memory; find() no longer knows it. Raises
  /// VIRQ_DOM_EXC in dom0. The object stays until the machine goes.
  void destroy_domain(DomainId id);
  /// A living domain, or nullptr.
  Domain* find(DomainId id) const;
  /// Also a destroyed one.
  Domain* find_even_dead(DomainId id) const;
  Domain& dom0() { return *find_even_dead(0); }

  /// The hypercall dispatcher: `number` is a __HYPERVISOR_* constant, pointers are addresses
  /// of this process. Returns what Xen returns.
  int64_t hypercall(Domain& caller, unsigned vcpu, unsigned number, uint64_t a1 = 0,
                    uint64_t a2 = 0, uint64_t a3 = 0, uint64_t a4 = 0, uint64_t a5 = 0);

  /// What is left over, one line each, over all domains; empty when all is clean.
  std::vector<std::string> audit();
  std::vector<std::string> audit(Domain& domain);

  Timers& timers() { return timers_; }
  Trace& trace() { return world_.trace(); }
  /// Held while channels of two domains are joined or parted.
  std::mutex& event_mutex() { return event_mutex_; }
  /// What judges each event of a deterministic machine; null for none.
  EventGate* event_gate() const { return event_gate_; }
  void set_event_gate(EventGate* gate) { event_gate_ = gate; }

 private:
  Machine(World& world, MachineConfig config, std::shared_ptr<FrameStore> frames, unsigned host);

  World& world_;
  MachineConfig config_;
  std::shared_ptr<FrameStore> frames_;
  unsigned host_ = 0;
  std::mutex event_mutex_;
  EventGate* event_gate_ = nullptr;
  std::mutex mutex_;  // creation and destruction of domains
  std::vector<std::unique_ptr<Domain>> owned_;
  std::atomic<DomainId> count_{0};
  std::unique_ptr<std::atomic<Domain*>[]> domains_;
  Timers timers_;  // goes first: it acts on domains
};

}  // namespace ringside::sim
