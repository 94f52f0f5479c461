#include <benchmark/benchmark.h>

#include <array>
#include <memory>

#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"
#include "protocols/ring/front_ring.hpp"

// The barriers that <xen/io/ring.h> leaves to its user: what HardwareMemory takes.
#define xen_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

namespace ringside::benches {
namespace {

/// One page, as both ends see it.
struct alignas(4096) RingPage {
  std::array<std::byte, 4096> bytes{};
};

netif_tx_request_t request_of(uint32_t n, netif_tx_request_t*) {
  return {.gref = n, .offset = 0, .flags = 0, .id = static_cast<uint16_t>(n), .size = 64};
}
netif_tx_response_t answer(const netif_tx_request_t& request, netif_tx_response_t*) {
  return {.id = request.id, .status = NETIF_RSP_OKAY};
}
blkif_request_t request_of(uint32_t n, blkif_request_t*) {
  blkif_request_t request{};
  request.operation = BLKIF_OP_READ;
  request.nr_segments = 1;
  request.id = n;
  request.sector_number = n * 8;
  request.seg[0] = {.gref = n, .first_sect = 0, .last_sect = 7};
  return request;
}
blkif_response_t answer(const blkif_request_t& request, blkif_response_t*) {
  return {.id = request.id, .operation = request.operation, .status = BLKIF_RSP_OKAY};
}

/// This project's rings.
template <typename Request, typename Response>
class OurRings {
 public:
  explicit OurRings(RingPage& page)
      : front_(*ring::FrontRing<Request, Response>::create(page.bytes)),
        back_(*ring::BackRing<Request, Response>::create(page.bytes)) {}

  bool send(uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      front_.put(request_of(first + i, static_cast<Request*>(nullptr)));
    }
    return front_.publish();
  }
  bool serve() {
    do {
      for (Request request; back_.take(request).value_or(false);) {
        back_.put(answer(request, static_cast<Response*>(nullptr)));
      }
    } while (!back_.arm());
    return back_.publish();
  }
  uint32_t collect() {
    uint32_t taken = 0;
    do {
      for (Response response; front_.take(response).value_or(false);) {
        benchmark::DoNotOptimize(response);
        ++taken;
      }
    } while (!front_.arm());
    return taken;
  }

 private:
  ring::FrontRing<Request, Response> front_;
  ring::BackRing<Request, Response> back_;
};

/// The peer: the macros of <xen/io/ring.h>, used as Linux's drivers use them.
template <typename Request, typename Response, typename Shared, typename Front, typename Back>
class XenRings {
 public:
  explicit XenRings(RingPage& page) {
    auto* shared = new (page.bytes.data()) Shared;
    SHARED_RING_INIT(shared);
    FRONT_RING_INIT(&front_, shared, sizeof(page));
    BACK_RING_INIT(&back_, shared, sizeof(page));
  }

  bool send(uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      *RING_GET_REQUEST(&front_, front_.req_prod_pvt) =
          request_of(first + i, static_cast<Request*>(nullptr));
      ++front_.req_prod_pvt;
    }
    int notify = 0;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front_, notify);
    return notify != 0;
  }
  bool serve() {
    int more = 0;
    do {
      const RING_IDX end = back_.sring->req_prod;
      xen_rmb();
      while (back_.req_cons != end) {
        Request request;
        RING_COPY_REQUEST(&back_, back_.req_cons, &request);
        ++back_.req_cons;
        *RING_GET_RESPONSE(&back_, back_.rsp_prod_pvt) =
            answer(request, static_cast<Response*>(nullptr));
        ++back_.rsp_prod_pvt;
      }
      RING_FINAL_CHECK_FOR_REQUESTS(&back_, more);
    } while (more != 0);
    int notify = 0;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back_, notify);
    return notify != 0;
  }
  uint32_t collect() {
    uint32_t taken = 0;
    int more = 0;
    do {
      const RING_IDX end = front_.sring->rsp_prod;
      xen_rmb();
      for (; front_.rsp_cons != end; ++front_.rsp_cons) {
        Response response;
        RING_COPY_RESPONSE(&front_, front_.rsp_cons, &response);
        benchmark::DoNotOptimize(response);
        ++taken;
      }
      RING_FINAL_CHECK_FOR_RESPONSES(&front_, more);
    } while (more != 0);
    return taken;
  }

 private:
  Front front_{};
  Back back_{};
};

using OurNetif = OurRings<netif_tx_request_t, netif_tx_response_t>;
using XenNetif = XenRings<netif_tx_request_t, netif_tx_response_t, netif_tx_sring_t,
                          netif_tx_front_ring_t, netif_tx_back_ring_t>;
using OurBlkif = OurRings<blkif_request_t, blkif_response_t>;
using XenBlkif = XenRings<blkif_request_t, blkif_response_t, blkif_sring_t, blkif_front_ring_t,
                          blkif_back_ring_t>;

/// One operation: a request pushed and popped, its response pushed and popped.
template <typename Rings>
void ring_push_pop(benchmark::State& state) {
  const auto page = std::make_unique<RingPage>();
  Rings rings(*page);
  const auto batch = static_cast<uint32_t>(state.range(0));
  uint32_t next = 0;
  for (auto _ : state) {
    const bool notified = rings.send(next, batch) && rings.serve();
    if (!notified || rings.collect() != batch) {
      state.SkipWithError("a request or its notification was lost");
      break;
    }
    next += batch;
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(ring_push_pop<OurNetif>)->Name("ring/netif_tx/ours")->Arg(1)->Arg(32);
BENCHMARK(ring_push_pop<XenNetif>)->Name("ring/netif_tx/xen_macros")->Arg(1)->Arg(32);
BENCHMARK(ring_push_pop<OurBlkif>)->Name("ring/blkif/ours")->Arg(1)->Arg(32);
BENCHMARK(ring_push_pop<XenBlkif>)->Name("ring/blkif/xen_macros")->Arg(1)->Arg(32);

}  // namespace
}  // namespace ringside::benches
