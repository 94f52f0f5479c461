#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocols/platform/xen.hpp"
#include "sim/machine/event_channels.hpp"
#include "sim/machine/frames.hpp"
#include "sim/machine/grant_table.hpp"
#include "sim/machine/port_device.hpp"
#include "sim/machine/saved_memory.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {

/// One entry of a memory map as BIOS call INT 15h, AX=E820h gives it.
struct [[gnu::packed]] E820Entry {
  uint64_t address = 0;
  uint64_t bytes = 0;
  uint32_t type = 0;
};
static_assert(sizeof(E820Entry) == 20);

struct DomainConfig {
  std::string name = "guest";
  unsigned vcpus = 1;
  uint32_t max_pages = 32768;  ///< it may have; Domain::set_max_pages() changes it
  /// It has from the start, behind the frame numbers from 1 on. Without a number its kernel gets
  /// memory from Xen as it asks for it, up to max_pages.
  std::optional<uint32_t> pages = {};
  /// Frame numbers that can have memory; 0: as many as it may or does have pages.
  uint64_t memory_gfns = 0;
};

/// A domain: its guest frames, grants, event channels, HVM parameters and vCPUs.
class Domain {
 public:
  static constexpr uint64_t kNoFrame = ~uint64_t{0};

  Domain(Machine& machine, DomainId id, DomainConfig config);
  ~Domain();
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  Machine& machine() const { return machine_; }
  DomainId id() const { return id_; }
  const std::string& name() const { return config_.name; }
  unsigned vcpus() const { return config_.vcpus; }
  /// Runs in hardware's virtual machine; dom0 does not.
  bool hvm() const { return id_ != 0; }
  /// Its UUID, for a toolstack to set.
  std::array<uint8_t, 16> handle() const { return handle_; }
  void set_handle(const std::array<uint8_t, 16>& handle) { handle_ = handle; }
  Nanoseconds created() const { return created_; }
  bool dying() const { return dying_.load(std::memory_order_acquire); }

  // --- the guest kernel's pages ---------------------------------------------------------
  // A page that the kernel does not use is Xen's as much as any other, but as nobody can tell
  // which machine frame it is, the frame is chosen when the page comes into use.

  /// Takes `count` unused pages into use, zeroed and contiguous for the simulator (their numbers
  /// are not). Empty when there are not as many.
  std::vector<uint64_t> allocate_pages(uint32_t count = 1);
  /// Gives back pages allocated together. Pages that a peer still maps are a finding of the
  /// audit, and not reused before it lets go.
  void release_pages(std::span<const uint64_t> gfns);

  /// Takes up to `count` unused pages, the highest, from the kernel's stock: for it to give to Xen.
  std::vector<uint64_t> take_spare(size_t count);
  /// Makes pages with memory behind them part of that stock (again).
  void give_spare(std::span<const uint64_t> gfns);
  size_t spare_pages() const;

  // --- guest frames ---------------------------------------------------------------------
  /// `count` consecutive frame numbers without memory; the first, or kNoFrame.
  uint64_t reserve_frames(uint32_t count);
  void release_frames(uint64_t first, uint32_t count);
  /// Places memory behind `gfn` (freeing what was there when `owned`).
  bool place(uint64_t gfn, MachineFrame frame, bool owned);
  /// Takes the memory away from behind `gfn`; false when there was none.
  bool displace(uint64_t gfn);
  /// Adds memory behind 2^order numbers from `gfn` on, within max_pages().
  bool populate(uint64_t gfn, unsigned order);
  /// The same without a frame number: lost to the guest, but charged to it.
  bool add_unplaced(unsigned order);
  /// Sees to it that an unused page has a frame too; false when nothing is behind `gfn`.
  bool back(uint64_t gfn);
  /// What XENMEM_memory_map answers: entries in the form of BIOS call E820.
  std::vector<E820Entry> memory_map() const;
  void set_memory_map(std::vector<E820Entry> map);
  std::optional<MachineFrame> machine_frame(uint64_t gfn) const;
  /// Also a page that has no frame yet.
  bool has_memory(uint64_t gfn) const;
  /// The frame number behind which `frame` is, or kNoFrame.
  uint64_t gfn_of(MachineFrame frame) const;
  /// Where the simulator sees the page; nullptr when nothing is behind `gfn`.
  std::byte* page_address(uint64_t gfn) const;
  /// Moves the page behind `from` to `to` (XENMAPSPACE_gmfn), freeing what was there.
  void move_page(uint64_t from, uint64_t to);
  /// One more than the highest frame number.
  uint64_t max_gfn() const { return total_gfns_; }
  uint64_t memory_gfns() const { return memory_gfns_; }
  /// XEN_DOMCTL_max_mem: it may be less than the domain has.
  uint32_t max_pages() const { return max_pages_.load(); }
  void set_max_pages(uint32_t pages) { max_pages_.store(pages); }
  uint32_t populated_pages() const { return populated_.load(); }

  // --- Xen's objects --------------------------------------------------------------------
  GrantTable& grants() { return *grants_; }
  EventChannels& events() { return *events_; }
  shared_info_t& shared_info() const { return *shared_info_; }
  MachineFrame shared_info_frame() const { return shared_info_frame_; }
  vcpu_info_t& vcpu_info(unsigned vcpu) const { return *vcpu_info_[vcpu].load(); }
  /// VCPUOP_register_vcpu_info. False when there is no such page or the place straddles it.
  bool move_vcpu_info(unsigned vcpu, uint64_t gfn, uint32_t offset);
  bool vcpu_info_moved(unsigned vcpu) const {
    return &vcpu_info(vcpu) != &shared_info_->vcpu_info[vcpu];
  }

  /// By HVM_PARAM_* index; precondition: index < HVM_NR_PARAMS.
  uint64_t hvm_param(uint32_t index) const { return hvm_params_[index].load(); }
  void set_hvm_param(uint32_t index, uint64_t value) { hvm_params_[index].store(value); }
  std::optional<unsigned> shutdown_reason() const;
  /// Also tells dom0 (VIRQ_DOM_EXC). Of several reasons the first counts, or what was latched.
  void set_shutdown(unsigned reason);
  void latch_shutdown(unsigned reason);
  /// SCHEDOP_shutdown with SHUTDOWN_suspend: the calling vCPU stops until resume(), and gets
  /// what that says. Outside the actors it returns 0 at once.
  int64_t suspend();
  /// Lets a suspended domain go on: 1 tells it that the suspend was cancelled, 0 that it is in
  /// a new domain. Source: sched.h, SHUTDOWN_suspend
  void resume(int64_t answer);
  /// Keeps the vCPUs, from their next look for work on, from running; counted.
  void pause();
  void unpause();
  bool paused() const { return pauses_.load() > 0; }

  /// Tells the time anew, `offset` seconds beside the host's (XEN_DOMCTL_settimeoffset).
  void tell_time(int64_t offset = 0);

  /// What answers on the domain's I/O ports; null for nothing. It must outlive its use.
  PortDevice* port_device() const { return port_device_.load(); }
  void set_port_device(PortDevice* device) { port_device_.store(device); }

  // --- timers ---------------------------------------------------------------------------
  static constexpr unsigned kWatchdogs = 2;
  /// SCHEDOP_watchdog: the new one's id, counted from 1, or 0 when all are in use.
  unsigned start_watchdog(Nanoseconds timeout);
  /// Starts it anew, or with 0 ends it; false when it is not in use. Precondition: a valid id.
  bool set_watchdog(unsigned id, Nanoseconds timeout);
  /// VIRQ_TIMER to the vCPU each `period`; 0: no more.
  void set_periodic_timer(unsigned vcpu, Nanoseconds period);
  /// VIRQ_TIMER to the vCPU once; kForever: not any more.
  void set_single_timer(unsigned vcpu, Nanoseconds when);

  // --- save and restore -----------------------------------------------------------------
  /// Takes all memory from the domain; Xen's own frames stay behind.
  SavedMemory save_memory();
  /// Gives it back at the same frame numbers. Precondition: no memory, the same memory_gfns().
  void take_memory(SavedMemory saved);
  /// What moves with the memory: called by move_guest() with the domain it is in from then on.
  void set_mover(std::function<void(Domain&)> mover);
  void move_guest(Domain& to);

  // --- event upcalls --------------------------------------------------------------------
  void set_upcall_vector(unsigned vcpu, uint8_t vector) { upcall_vectors_[vcpu].store(vector); }
  /// By a vector of its own, or vCPU 0 by the callback line; else nobody interrupts the vCPU.
  bool upcall_connected(unsigned vcpu) const {
    return upcall_vectors_[vcpu].load() != 0 ||
           (vcpu == 0 && hvm_param(HVM_PARAM_CALLBACK_IRQ) != 0);
  }

  // --- execution ------------------------------------------------------------------------
  /// Woken when the vCPU has an upcall to take; null when nobody runs it.
  void set_runner(unsigned vcpu, Actor* actor);
  void kick(unsigned vcpu);

  /// Asked for findings by Machine::audit(); an empty function removes it.
  void set_auditor(std::function<void(std::vector<std::string>&)> auditor);
  void audit(std::vector<std::string>& findings);

  /// Closes ports, drops maps and memory. Called by the machine.
  void destroy();

 private:
  struct Slot {
    std::atomic<MachineFrame> frame{0};  // 0: nothing here, or a page without a frame yet
    bool owned = false;                  // the domain's own memory, not a map of something
    bool unbacked = false;               // a page without a frame yet
    bool spare = false;                  // in spare_
  };
  MachineFrame detach(uint64_t gfn);
  bool charge(uint32_t pages);
  void add_spare(uint64_t gfn);
  void drop_spare(size_t count);
  void forget_spare(uint64_t gfn);
  bool ask_for_spare(size_t count);
  void arm_watchdog(unsigned id, Nanoseconds timeout);

  Machine& machine_;
  DomainId id_;
  DomainConfig config_;
  const Nanoseconds created_;
  std::array<uint8_t, 16> handle_{};
  std::atomic<bool> dying_{false};
  std::atomic<uint32_t> populated_{0};

  mutable std::mutex mutex_;  // the free lists below, changes of slots_, auditor_, watchdogs_
  std::atomic<uint32_t> max_pages_;
  uint64_t memory_gfns_;
  uint64_t total_gfns_;
  std::unique_ptr<Slot[]> slots_;
  uint64_t next_gfn_ = 1;        // the first that never had memory
  std::vector<uint64_t> spare_;  // unused pages, all unbacked
  std::vector<MachineFrame> unplaced_;
  std::vector<E820Entry> memory_map_;
  uint64_t next_hole_;
  std::vector<std::pair<uint64_t, uint32_t>> free_holes_;
  std::function<void(std::vector<std::string>&)> auditor_;
  std::vector<std::string> misuses_;
  std::array<bool, kWatchdogs> watchdogs_{};  // in use

  MachineFrame shared_info_frame_;
  shared_info_t* shared_info_;
  std::unique_ptr<std::atomic<vcpu_info_t*>[]> vcpu_info_;
  std::unique_ptr<std::atomic<Actor*>[]> runners_;
  std::array<std::atomic<uint64_t>, HVM_NR_PARAMS> hvm_params_{};
  std::unique_ptr<std::atomic<uint8_t>[]> upcall_vectors_;
  std::atomic<int> shutdown_code_{-1};    // what it will be
  std::atomic<int> shutdown_reason_{-1};  // what it is
  std::atomic<int64_t> resume_answer_{-1};
  std::atomic<Actor*> suspended_{nullptr};
  std::atomic<unsigned> pauses_{0};
  std::atomic<PortDevice*> port_device_{nullptr};
  std::function<void(Domain&)> mover_;
  std::unique_ptr<GrantTable> grants_;
  std::unique_ptr<EventChannels> events_;
};

}  // namespace ringside::sim
