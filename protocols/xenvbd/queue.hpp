#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "protocols/platform/cpu_call.hpp"
#include "protocols/platform/memory.hpp"
#include "protocols/ring/front_ring.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"
#include "protocols/xenvbd/bounce.hpp"
#include "protocols/xenvbd/client.hpp"
#include "protocols/xenvbd/disk.hpp"
#include "protocols/xenvbd/indirect.hpp"
#include "protocols/xenvbd/request.hpp"
#include "protocols/xenvbd/ring_area.hpp"
#include "protocols/xenvbd/slots.hpp"
#include "protocols/xenvbd/splitter.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {

/// Counters of one queue, over all its connections.
struct Statistics {
  uint64_t requests = 0;       ///< taken from the client
  uint64_t completions = 0;    ///< given back to the client
  uint64_t direct = 0;         ///< ring requests with their segments in the slot
  uint64_t indirect = 0;       ///< ring requests with their segments in pages of their own
  uint64_t segments = 0;       ///< of both kinds
  uint64_t bounced = 0;        ///< segments that went through a bounce page
  uint64_t kept = 0;           ///< of those, by a grant that stays
  uint64_t ring_full = 0;      ///< times a request had to wait for a slot
  uint64_t bad_responses = 0;  ///< of an id that is not outstanding, ignored
  uint64_t fallbacks = 0;      ///< operations that the back end turned out not to support
  uint64_t reissued = 0;       ///< requests sent again after a reconnect
  uint64_t busy_grants = 0;    ///< grants that the back end still held when it answered
};

/// What a connection was agreed on before the disk itself is known.
struct Terms {
  uint32_t ring_page_order = 0;
  uint16_t handle = 0;      ///< virtual device number [BLKIF-NEG-025]
  bool persistent = false;  ///< the peer was told that grants are used again [BLKIF-IO-023]
  bool trusted = true;      ///< the peer may see what else lies in a page [BLKIF-IO-038]
};

/// One blkif ring with its grants and event channel.
///
/// Belongs to one CPU: submit(), kick() and the event handler must run there, at dispatch level,
/// and a connection begins and ends there too. Only requests that pass from one queue to another
/// need a lock. The pool of bounce pages grows with the demand; apart from that nothing is
/// allocated while there is a connection. Source: xen/io/blkif.h.
class Queue {
 public:
  /// What the vbd is told, at dispatch level.
  struct Owner {
    /// The peer broke the protocol.
    virtual void queue_failed(Status why) = 0;
    /// drain() has come to its end.
    virtual void queue_drained() = 0;
    /// An idle queue has requests for another to adopt().
    virtual void queue_stranded(RequestList& requests) = 0;

   protected:
    ~Owner() = default;
  };

  Queue(const xenbus::Services& services, unsigned index, Client& client, Owner& owner);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Takes `request`, in order; completed() ends it, possibly before submit() returns. What
  /// doesn't fit on the ring waits, also for a reconnect. Not taken: kInvalidArgument (past
  /// the disk's end, not a whole number of its sectors, segments that don't add up),
  /// kReadOnly, kNotSupported (a discard), kClosed (never connected, or closed).
  ///
  /// A flush covers the writes completed before it was submitted. A discard is a hint: parts
  /// of discard extents at its ends are left alone, unless it is secure.
  Status submit(Request& request);
  /// Shows the peer what was submitted since the last kick and notifies it if it asked.
  void kick();

  unsigned index() const { return index_; }
  const Statistics& statistics() const { return statistics_; }
  /// Slots of the ring of this connection.
  uint32_t ring_size() const { return ring_.size(); }
  /// `tap` sees the ring's traffic from now on; nullptr for none.
  void attach(ring::Tap* tap);

  // --- for the vbd, at passive level ----------------------------------------------------
  Status create_parts();
  Status prepare(xenbus::DomainId peer, const Terms& terms);
  /// Writes this queue's transport nodes. [BLKIF-NEG-004]
  Status publish(const xenbus::Node& directory) const;
  /// Writes what all queues of the disk have alike: the ring's size. [BLKIF-NEG-006]
  Status publish_ring_size(const xenbus::Node& frontend) const;
  /// The peer is connected: what waits is issued, or completed when it no longer fits.
  Status start(const Disk& disk);
  /// The peer serves fewer queues: what this one has and gets is for another to adopt().
  void idle(const Disk& disk);
  /// Takes over what an idle queue can't do, behind its own; `requests` is empty then. At dispatch
  /// level on any CPU. [BLKIF-IO-031]
  void adopt(RequestList& requests);
  /// Refuses requests from now on; when those it has are done it flushes, then tells its owner.
  /// A connection that is lost meanwhile ends it. [BLKIF-IO-037]
  void drain();
  void resize(uint64_t sectors);
  /// No more goes to the ring; answers are still taken.
  void stop();
  /// Takes everything back from the peer; what was under way waits to be issued again.
  /// Memory the peer still maps is kept until it lets go. [BLKIF-IO-031]
  void disconnect();
  /// Refuses requests from now on.
  void refuse() { closed_ = true; }
  /// Completes with kClosed all that waits, and what lingers once the peer lets go of it.
  void close();
  /// Does so where there is no connection to end first; may overlap with the rest of these.
  void close_detached();

  /// Operations the back end turned out not to support are missing here. [BLKIF-IO-017]
  const Disk& disk() const { return disk_; }

 private:
  Status check(const Request& request) const;
  Status check_segments(const Request& request) const;
  void event();
  void poll();
  void on_cpu(Delegate call) { call_.run(call); }
  void clear();
  void lay();
  void begin();
  void become_idle();
  void take_size();
  void halt();
  void let_go();
  void release();
  void end();
  void end_detached();
  void take_adopted();
  void hand_on();
  void timer_expired();
  bool take_responses(uint32_t& budget);
  Status judge(Slot& slot, int16_t response);
  void finish(uint32_t index, Status status);
  void release_slot(uint32_t index);
  void release_lingering();
  bool release_pieces(Slot& slot);
  void settle(Request& request);
  void take_out(Request& request);
  void complete(Request& request, Status status);
  void flush_if_drained();
  void pump();
  bool issue(Request& request);
  bool issue_data(Request& request);
  bool issue_flush(Request& request);
  bool issue_discard(Request& request);
  std::optional<uint32_t> take_slot(Request& request, uint8_t operation);
  uint32_t fill(Request& request, Slot& slot, uint32_t limit);
  bool add_piece(Request& request, Slot& slot);
  Result<xenbus::GrantRef> grant_in_place(const Request& request, Piece& piece);
  Result<xenbus::GrantRef> grant_bounced(const Request& request, Piece& piece);
  void put_direct(uint32_t index, uint64_t sector, uint32_t count);
  void put_indirect(uint32_t index, uint64_t sector, uint32_t count);
  void recheck();
  bool anything_held() const { return lingering_ > 0 || area_held_; }

  enum class Drain : uint8_t { kNo, kWaiting, kFlushing, kDone };

  xenbus::Services services_;
  unsigned index_;
  Client& client_;
  Owner& owner_;
  Disk disk_;
  xenbus::DomainId peer_ = 0;
  Terms terms_;
  bool persistent_ = false;             ///< bounce pages keep their grants
  bool bounces_all_ = false;            ///< no page of the client's is granted
  std::atomic<bool> draining_ = false;  ///< to drain as soon as on its own CPU
  std::atomic<bool> closed_ = true;     ///< requests are refused
  bool attached_ = false;               ///< has a ring and a channel
  bool running_ = false;                ///< requests may go to the ring
  bool idle_ = false;                   ///< has no ring in this connection
  bool area_held_ = false;              ///< a former peer still maps the ring
  Drain drain_ = Drain::kNo;
  bool pumping_ = false;    ///< a completion may submit(): the outer round sees to it
  uint32_t seen_ = 0;       ///< responses taken by the end of the last event
  uint32_t lingering_ = 0;  ///< slots answered while the peer still held their memory
  ring::Tap* tap_ = nullptr;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> channel_;
  Owned<platform::Timer> timer_;
  platform::CpuCall call_;           ///< for the vbd's device
  platform::CpuCall close_call_;     ///< for the vbd's owner
  Owned<platform::Lock> give_lock_;  ///< of adopted_
  RequestList adopted_;              ///< on their way to requests_
  Disk given_;                       ///< what is to become of disk_
  uint32_t indirect_limit_ = 0;      ///< this side's, in segments
  Status result_ = Status::kOk;      ///< of what was called
  RingArea area_;
  Ring ring_;
  SlotTable slots_;
  PiecePool pieces_;
  BouncePool bounce_;
  IndirectPool indirect_;
  Request last_;                 ///< the flush that ends drain()
  RequestList requests_;         ///< all that are taken and not completed
  Request* unissued_ = nullptr;  ///< the first of them that is not wholly on the ring
  Statistics statistics_;
};

}  // namespace ringside::xenvbd
