#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "protocols/platform/xen.hpp"

namespace ringside::sim {

using DomainId = uint16_t;
using Port = uint32_t;  ///< evtchn_port_t of event_channel.h

class Domain;
class FifoEvents;
class Machine;

/// Where a port's events go instead of to the vCPU's upcall: a handle of the event channel
/// device of a domain's kernel (see libxen).
class EventSink {
 public:
  /// The port is pending and unmasked; may be called again for the same event. Called on
  /// the sender's thread; must not block.
  virtual void raise(Port port) = 0;

 protected:
  ~EventSink() = default;
};

/// Stands between a sender and a port: a deterministic world's faults.
class EventGate {
 public:
  enum class Verdict : uint8_t {
    kPass,
    kHold,    ///< not even pending; the gate calls deliver_late()
    kSilent,  ///< pending, nobody is told; the gate calls deliver_late()
  };
  virtual Verdict judge(Domain& owner, Port port) = 0;

 protected:
  ~EventGate() = default;
};

/// One domain's event channels. Under the two-level ABI, in force until init_control(), the
/// bits live in the shared info page and sending takes no lock but the target port's own;
/// under the FIFO ABI they live in pages of the guest. Results are 0 (or a port), or -errno
/// with Xen's numbers. Source: xen/event_channel.h, xen.h. Thread-safe.
class EventChannels {
 public:
  static constexpr Port kTwoLevelPorts = 4096;  ///< EVTCHN_2L_NR_CHANNELS of a 64-bit guest
  static constexpr Port kMaxPorts = EVTCHN_FIFO_NR_CHANNELS;

  EventChannels(Machine& machine, Domain& owner, Port max_ports);
  ~EventChannels();

  int64_t alloc_unbound(DomainId remote);
  int64_t bind_interdomain(DomainId remote, Port remote_port);
  int64_t bind_virq(uint32_t virq, unsigned vcpu);
  int64_t bind_ipi(unsigned vcpu);
  int64_t bind_vcpu(Port port, unsigned vcpu);
  int64_t close(Port port);
  int64_t send(Port port);
  int64_t unmask(Port port);
  int64_t status(evtchn_status_t& status) const;
  /// Closes every port and goes back to the two-level ABI.
  void reset();
  /// Gives the vCPU its control block; the first one puts the FIFO ABI in force, with what is
  /// pending kept until its event word exists. -ENOSYS when this Xen has no FIFO.
  int64_t init_control(unsigned vcpu, uint64_t gfn, uint32_t offset);
  int64_t expand_array(uint64_t gfn);  ///< -EOPNOTSUPP under the two-level ABI
  int64_t set_priority(Port port, uint32_t priority);

  /// Delivers a virtual interrupt when the domain has bound it.
  void raise_virq(uint32_t virq, unsigned vcpu = 0);
  /// What the machine's gate held: pending, and the owner told once more. Nothing when the
  /// port was closed meanwhile.
  void deliver_late(Port port);
  bool pending(Port port) const;
  bool masked(Port port) const;
  bool take_pending(Port port);  ///< clears the pending bit, tells whether it was set
  bool mask(Port port);          ///< sets the mask bit, tells whether it was set
  bool open(Port port) const;
  Port max_ports() const { return max_ports_; }

  /// Routes a port's events to `sink`, or back to the upcall when null. After return the
  /// former sink is not called any more; an event that is pending goes to the new one.
  void route(Port port, EventSink* sink);
  /// Who may be asleep in SCHEDOP_poll; counted so that senders needn't look otherwise.
  std::atomic<uint32_t> pollers{0};
  /// Changes with each event that may end a poll, while there are pollers.
  std::atomic<uint64_t> poller_wakes{0};

  void audit(std::vector<std::string>& findings) const;

 private:
  enum class State : uint8_t { kFree, kUnbound, kInterdomain, kVirq, kIpi };
  /// What a port is connected to, in one word so that a sender reads it at once.
  struct alignas(8) Binding {
    State state = State::kFree;
    uint8_t vcpu = 0;  // of this side, notified
    DomainId remote = 0;
    Port number = 0;  // remote port, or virq
  };
  struct Channel {
    static_assert(std::atomic<Binding>::is_always_lock_free);
    std::atomic<Binding> binding{};
    std::atomic<bool> sink_busy{false};
    std::atomic<EventSink*> sink{nullptr};
  };

  /// Binds the lowest free port. The machine's event mutex is held.
  int64_t claim(Binding binding);
  /// Ports of the ABI in force.
  Port ports() const {
    return fifo() == nullptr ? std::min(max_ports_, kTwoLevelPorts) : max_ports_;
  }
  bool valid(Port port) const { return port != 0 && port < ports(); }
  void set_pending(Port port);
  bool mark_pending(Port port);  ///< tells whether it was
  void deliver(Port port);
  void wake_pollers();
  /// Null under the two-level ABI.
  FifoEvents* fifo() const { return fifo_in_use_.load(); }

  Machine& machine_;
  Domain& owner_;
  Port max_ports_;
  std::unique_ptr<Channel[]> channels_;
  std::unique_ptr<FifoEvents> fifo_;  // stays once it exists: senders may be looking at it
  std::atomic<FifoEvents*> fifo_in_use_{nullptr};
};

}  // namespace ringside::sim
