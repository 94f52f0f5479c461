#include <benchmark/benchmark.h>

#include "benches/guest_rig.hpp"

namespace ringside::benches {
namespace {

using xenbus::Access;

/// One operation: a page granted to dom0 and taken back.
void grant_permit_revoke(benchmark::State& state) {
  GuestRig rig;
  rig.run([&] {
    auto cache = rig.services().grants.create_cache("bench", 32, 32);
    const auto page = rig.platform().allocate_page();
    if (!cache || !page) return state.SkipWithError("no grants or no page");
    timed(state, [&] {
      const auto ref = (*cache)->permit(0, page->frame, Access::kReadWrite);
      const bool held = ref && ok((*cache)->revoke(*ref));
      if (!held) state.SkipWithError("a grant was refused or is still in use");
      return held;
    });
    rig.platform().release_page(*page);
  });
  state.SetItemsProcessed(state.iterations());
}

/// A pair of channels between the guest and itself, the receiving end of which counts.
struct Loop {
  Owned<platform::Event> arrived;
  Owned<xenbus::EventChannel> receiver;
  Owned<xenbus::EventChannel> sender;
  bool answering = false;

  void on_event() { answering ? receiver->notify() : arrived->signal(); }
  void on_reply() {
    if (answering) arrived->signal();
  }

  bool open(GuestRig& rig) {
    auto event = rig.platform().create_event();
    if (!event) return false;
    arrived = *std::move(event);
    const auto self = rig.guest().domid();
    auto unbound =
        rig.services().events.open_unbound(self, Delegate::to<&Loop::on_event>(*this), 0);
    if (!unbound) return false;
    receiver = *std::move(unbound);
    auto bound = rig.services().events.open_interdomain(self, receiver->port(),
                                                        Delegate::to<&Loop::on_reply>(*this), 0);
    if (!bound) return false;
    sender = *std::move(bound);
    return true;
  }
};

/// One operation: EVTCHNOP_send, the upcall, the handler, and the sender awake again.
void event_notify(benchmark::State& state) {
  GuestRig rig;
  rig.run([&] {
    Loop loop;
    if (!loop.open(rig)) return state.SkipWithError("no event channels");
    timed(state, [&] {
      loop.sender->notify();
      return rig.await(*loop.arrived, state);
    });
  });
  state.SetItemsProcessed(state.iterations());
}

/// One operation: an event, answered by the handler at the other end with another one.
void event_round_trip(benchmark::State& state, uint32_t use_fifo) {
  GuestRig rig({{"UseEvtchnFifoAbi", use_fifo}});
  rig.run([&] {
    Loop loop;
    if (!loop.open(rig)) return state.SkipWithError("no event channels");
    loop.arrived->reset();
    loop.answering = true;
    timed(state, [&] {
      loop.sender->notify();
      return rig.await(*loop.arrived, state);
    });
  });
  state.SetItemsProcessed(state.iterations());
}

/// One operation: a node read through the store ring, answered by xenstored.
void store_read(benchmark::State& state) {
  GuestRig rig;
  rig.run([&] {
    timed(state, [&] {
      const auto name = rig.services().store.read(xenbus::kNoTransaction, "name");
      if (!name) state.SkipWithError("the node could not be read");
      return name.ok();
    });
  });
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(grant_permit_revoke)->Name("grant/permit_revoke");
BENCHMARK(event_notify)->Name("event/notify");
BENCHMARK_CAPTURE(event_round_trip, fifo, 1)->Name("event_round_trip/ours");
BENCHMARK_CAPTURE(event_round_trip, two_level, 0)->Name("event_round_trip/two_level");
BENCHMARK(store_read)->Name("store/read");

}  // namespace
}  // namespace ringside::benches
