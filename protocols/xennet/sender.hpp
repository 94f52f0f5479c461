#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/xennet/outgoing.hpp"
#include "protocols/xennet/port.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/connection.hpp"
#include "protocols/xenvif/index_stack.hpp"

namespace ringside::xennet {

/// The sending half of the miniport for one queue: lists in, packets out, each list
/// completed exactly once, when the last of its packets has ended. [XENNET-005]
///
/// Lists come from any CPU; the queue is used on its own. A list that can't go at once waits
/// in order until the queue has room again.
class Sender {
 public:
  class Owner {
   public:
    /// kSuccess when packets may go out, or why lists are to be completed with at once.
    virtual NdisStatus refusal() = 0;
    /// `chain` is done; it may be sent again from within. No lock of ours is held.
    virtual void sent(NetBufferList* chain) = 0;
    /// All lists have been handed to sent() since drain().
    virtual void drained() = 0;

   protected:
    ~Owner() = default;
  };

  Sender(platform::Platform& platform, unsigned cpu, Port& port, Owner& owner)
      : platform_(platform), cpu_(cpu), port_(port), owner_(owner) {}
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  Status create_parts();

  // --- from NDIS: any CPU, up to dispatch level ---------------------------------------------
  void send(NetBufferList* chain);
  /// Ends what has not gone out of the lists with this id. [XENNET-007]
  void cancel(uintptr_t cancel_id);

  // --- from the adapter: any CPU, up to dispatch level --------------------------------------
  /// Owner::refusal() may answer otherwise: what waits is ended when it refuses. [XENNET-008]
  void gate_changed();
  /// Owner::drained() follows, once, when there is no list (any more).
  void drain();
  Traffic statistics();
  uint32_t outstanding();

  // --- from XENVIF: on the queue's CPU, or from a closing device ----------------------------
  void transmitted(uint64_t cookie, xenvif::TxStatus status);
  void room();
  void served();

 private:
  // One more than XENVIF takes, so that it is XENVIF that says when there is no room.
  static constexpr unsigned kSlots = xenvif::kRingSlots + 1;

  /// Lists to hand over, and how many of them a pause waits for.
  struct Finished {
    Chain chain;
    uint32_t counted = 0;
  };

  void accept(NetBufferList* list);
  void step();
  void pump();
  bool transmit(NetBufferList& list);
  void abandon(NetBufferList& list, NdisStatus why);
  void abort_waiting(NdisStatus why);
  void ended(Outgoing& slot, xenvif::TxStatus status);
  void part_done(NetBufferList& list);
  void deliver();
  void expired();

  platform::Platform& platform_;
  unsigned cpu_;
  Port& port_;
  Owner& owner_;
  Owned<platform::Lock> lock_;  ///< all below; never held across a call of the owner's
  Owned<platform::Timer> timer_;
  platform::Array<Outgoing> slots_;
  xenvif::IndexStack<kSlots> free_slots_;
  Chain waiting_;
  Finished finished_;
  NdisStatus refusal_ = NdisStatus::kPaused;
  uint32_t outstanding_ = 0;
  bool pumping_ = false;  ///< this CPU is inside pump(), with the lock
  bool blocked_ = false;  ///< XENVIF has no room; room() follows
  bool draining_ = false;
  Traffic statistics_;
};

/// How NDIS calls what became of a packet. [XENNET-006]
NdisStatus status_of(xenvif::TxStatus status);

}  // namespace ringside::xennet
