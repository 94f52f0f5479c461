#include "protocols/xenvif/queue.hpp"

#include <array>
#include <cstdio>
#include <optional>
#include <set>
#include <vector>

#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/bus_fuzz.hpp"

using namespace ringside;

// One queue whose back end answers whatever the input says. Aborts when a packet ends twice or
// never, when the client is handed a page that the back end can still write, or when anything is
// kept. The number of hostile answers is printed at the end.
namespace {

uint64_t hostile_answers = 0;

class Driven final : xenvif::Client, xenvif::Queue::Owner {
 public:
  explicit Driven(FuzzInput input) : input_(input) {
    for (platform::Page& page : pages_) page = *world_.allocate_page();
    CHECK(ok(hash_.start(world_)));
    const uint8_t features = input_.byte();
    features_ = {.scatter_gather = (features & 1) != 0,
                 .gso_v4 = (features & 2) != 0,
                 .gso_v6 = (features & 4) != 0,
                 .checksum_v4 = (features & 8) != 0,
                 .checksum_v6 = (features & 16) != 0,
                 .split_channels = (features & 32) != 0,
                 .multicast = true};
    settings_.trusted = (features & 64) == 0;
    if ((features & 128) != 0) hash_.set({.types = xenvif::kAllHashTypes});
    hash_.set_accepted((features & 128) != 0);
    queue_.emplace(services_, 0, static_cast<xenvif::Client&>(*this),
                   static_cast<xenvif::Queue::Owner&>(*this));
  }

  void run() {
    connect();
    while (!input_.over()) step();
    world_.fail_in = 0;
    disconnect();
    give_back(kept_.size());
    queue_.reset();
    world_.let_go();
    CHECK(under_way_.empty() && world_.channels.empty());
    for (const platform::Page& page : pages_) world_.release_page(page);
    CHECK(world_.pages == 0 && world_.event_references == 0);
    // The lock of the hash is left.
    for (const FakeBus::Grant& grant : world_.grants) CHECK(!grant.live);
  }

 private:
  void connect() {
    connected_ = ok(queue_->prepare(7, features_, settings_, hash_));
    if (!connected_) return queue_->release();
    (void)queue_->publish(xenbus::Node(world_, xenbus::kNoTransaction, "q"));
    tx_ = ring("q/tx-ring-ref");
    rx_ = ring("q/rx-ring-ref");
    tx_done_ = rx_done_ = 0;
    queue_->start();
  }
  void disconnect() {
    queue_->stop();
    queue_->release();
    connected_ = false;
  }
  std::byte* ring(const char* node) { return world_.granted_page(world_.nodes.at(node)); }
  uint32_t& index(std::byte* ring, size_t which) {
    return reinterpret_cast<uint32_t*>(ring)[which];  // req_prod, req_event, rsp_prod, rsp_event
  }
  template <typename T>
  T& slot(std::byte* ring, uint32_t number, size_t stride) {
    return *reinterpret_cast<T*>(ring + 64 + number % 256 * stride);
  }

  void step() {
    const uint8_t what = input_.byte();
    if (!connected_ || failed_) {
      if (connected_) disconnect();
      failed_ = false;
      return connect();
    }
    switch (what % 11) {
      case 0: return transmit();
      case 1: return answer_tx(what / 11, false);
      case 2: return answer_tx(1 + what / 11, true);
      case 3: return answer_rx(what / 11, false);
      case 4: return answer_rx(1 + what / 11, true);
      case 5:
        for (const FakeBus::Channel* channel : std::vector(world_.channels)) channel->handler();
        return;
      case 6: return give_back(what / 11);
      case 7: return world_.fire_timers();
      case 8: return world_.hold(input_.word(), (what & 64) != 0);
      case 9: index((what & 64) ? tx_ : rx_, 2) += input_.byte() - 128u; return;
      default: return seldom(what / 11);
    }
  }
  void seldom(unsigned what) {
    switch (what % 4) {
      case 0: return disconnect();
      case 1: world_.fail_in = input_.byte(); return;
      case 2: world_.let_go(); return;
      default: {
        const xenvif::MacAddress address{1, 0, 0, 0, 0, input_.byte()};
        (void)queue_->set_multicast({&address, 1});
      }
    }
  }
  void transmit() {
    std::array<xenvif::Fragment, 24> fragments;
    const unsigned count = input_.byte() % fragments.size();
    for (unsigned i = 0; i < count; ++i) {
      const platform::Page& page = pages_[input_.byte() % pages_.size()];
      const auto offset = static_cast<uint16_t>(input_.byte() * 16);
      const auto length = static_cast<uint16_t>(input_.byte() * 17);
      fragments[i] = {page.address + offset % 4096, page.frame, offset, length};
    }
    const uint8_t how = input_.byte();
    const uint64_t cookie = ++cookie_;
    under_way_.insert(cookie);
    const Status status =
        queue_->transmit({.fragments = std::span(fragments).first(count),
                          .checksum = static_cast<xenvif::Checksum>(how % 3),
                          .gso = {static_cast<xenvif::GsoType>(how / 3 % 3), input_.byte()},
                          .hash = {xenvif::HashType::kIpv4, 5},
                          .cookie = cookie});
    if (!ok(status)) under_way_.erase(cookie);
    queue_->flush();
  }
  void answer_tx(unsigned count, bool hostile) {
    for (; count > 0 && tx_done_ != index(tx_, 0); --count, ++tx_done_) {
      const auto request = slot<netif_tx_request_t>(tx_, tx_done_, 12);
      netif_tx_response_t response{request.id, NETIF_RSP_OKAY};
      if (hostile) {
        ++hostile_answers;
        response.status = static_cast<int16_t>(static_cast<int8_t>(input_.byte()));
        if (input_.byte() > 240) response.id = input_.word();
      }
      slot<netif_tx_response_t>(tx_, tx_done_, 12) = response;
      index(tx_, 2) = tx_done_ + 1;
    }
  }
  void answer_rx(unsigned count, bool hostile) {
    for (; count > 0 && rx_done_ != index(rx_, 0); --count, ++rx_done_) {
      const auto request = slot<netif_rx_request_t>(rx_, rx_done_, 8);
      netif_rx_response_t response{request.id, 0, 0, 60};
      if (hostile) {
        ++hostile_answers;
        if (input_.byte() > 200) response.id = input_.word();
        response.offset = input_.word();
        response.flags = input_.byte() % 64;
        response.status = static_cast<int16_t>(input_.word());
      }
      slot<netif_rx_response_t>(rx_, rx_done_, 8) = response;
      index(rx_, 2) = rx_done_ + 1;
    }
  }
  void give_back(size_t count) {
    for (; count > 0 && !kept_.empty(); --count) {
      const xenvif::RxPacket packet = kept_.back();
      kept_.pop_back();
      queue_->give_back(packet);
    }
  }

  void transmitted(xenvif::Queue&, uint64_t cookie, xenvif::TxStatus status) override {
    CHECK(under_way_.erase(cookie) == 1);
    (void)status;
  }
  void room(xenvif::Queue&) override {}
  void received(xenvif::Queue&, const xenvif::RxPacket& packet) override {
    uint32_t length = 0;
    for (const xenvif::Fragment& fragment : packet.fragments) {
      CHECK(fragment.offset + fragment.length <= 4096);
      CHECK(fragment.address == world_.at.at(fragment.frame) + fragment.offset);
      CHECK(world_.granted[fragment.frame] == 0);
      length += fragment.length;
    }
    CHECK(length == packet.length && length >= 14);
    kept_.push_back(packet);
  }
  void link_changed(xenvif::LinkState) override {}
  void queue_failed(Status) override { failed_ = true; }
  void queue_started(xenvif::Queue&) override {}

  FuzzInput input_;
  FakeBus world_;
  xenbus::Services services_{world_, world_, world_, world_};
  xenvif::HashSettings hash_;
  xenvif::BackendFeatures features_;
  xenvif::Settings settings_;
  std::optional<xenvif::Queue> queue_;
  std::array<platform::Page, 32> pages_;
  std::byte* tx_ = nullptr;
  std::byte* rx_ = nullptr;
  uint32_t tx_done_ = 0;
  uint32_t rx_done_ = 0;
  bool connected_ = false;
  bool failed_ = false;
  uint64_t cookie_ = 0;
  std::set<uint64_t> under_way_;
  std::vector<xenvif::RxPacket> kept_;
};

void report() {
  std::fprintf(stderr, "%llu hostile answers\n", static_cast<unsigned long long>(hostile_answers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  [[maybe_unused]] static const int registered = std::atexit(report);
  Driven(FuzzInput{data, size}).run();
  return 0;
}
