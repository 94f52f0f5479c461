#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "backends/libxen.hpp"
#include "conformance/netif/vif_fixture.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"

namespace ringside::conformance {

/// Tests that are the back end themselves: they read each slot and choose each answer.
class PlayedBackendFixture : public VifFixture {
 protected:
  using Nodes = std::initializer_list<std::pair<const char*, const char*>>;
  using TxRing = ring::BackRing<netif_tx_request_t, netif_tx_response_t>;
  using RxRing = ring::BackRing<netif_rx_request_t, netif_rx_response_t>;

  /// All that a Linux back end offers.
  static constexpr Nodes kAll{{"feature-sg", "1"},
                              {"feature-gso-tcpv4", "1"},
                              {"feature-gso-tcpv6", "1"},
                              {"feature-ipv6-csum-offload", "1"},
                              {"feature-split-event-channels", "1"},
                              {"feature-rx-copy", "1"}};

  /// Attaches a vif, goes through the handshake and maps the rings.
  void connect(Nodes nodes, Nodes frontend_nodes = {}) {
    offer(nodes, frontend_nodes);
    accept();
  }

  void offer(Nodes nodes, Nodes frontend_nodes = {}) {
    attach();
    for (const auto& [key, value] : frontend_nodes) toolstack().write(front(key), value);
    for (const auto& [key, value] : nodes) toolstack().write(back(key), value);
    become(XenbusStateInitWait);
    guest_->run([this] { EXPECT_EQ(vif().start(), Status::kOk); });
    wait_for_frontend(XenbusStateConnected);
  }

  void accept() {
    map_rings();
    become(XenbusStateConnected);
    host_->require("the link to come up",
                   [this] { return vif().link() == xenvif::LinkState::kUp; });
  }

  void map_rings() {
    grants_ = xengnttab_open(nullptr, 0);
    events_ = xenevtchn_open(nullptr, 0);
    if (grants_ == nullptr || events_ == nullptr) throw RigError("no libxen handles");
    tx_page_ = map(number("tx-ring-ref"));
    rx_page_ = map(number("rx-ring-ref"));
    ASSERT_NE(tx_page_, nullptr);
    ASSERT_NE(rx_page_, nullptr);
    tx_ = *TxRing::create({static_cast<std::byte*>(tx_page_), ring::kRingPageSize});
    rx_ = *RxRing::create({static_cast<std::byte*>(rx_page_), ring::kRingPageSize});
    const bool split = front_value("event-channel-tx").has_value();
    tx_port_ = bind(number(split ? "event-channel-tx" : "event-channel"));
    rx_port_ = split ? bind(number("event-channel-rx")) : tx_port_;
  }

  /// Lets go of all that is the front end's.
  void let_go() {
    if (grants_ == nullptr) return;
    xenevtchn_unbind(events_, tx_port_);
    if (rx_port_ != tx_port_) xenevtchn_unbind(events_, rx_port_);
    for (void* page : {tx_page_, rx_page_}) {
      if (page != nullptr) xengnttab_unmap(grants_, page, 1);
    }
    tx_page_ = rx_page_ = nullptr;
    xenevtchn_close(events_);
    xengnttab_close(grants_);
    grants_ = nullptr;
    events_ = nullptr;
  }

  void leave() {
    let_go();
    become(XenbusStateClosed);
  }

  void TearDown() override {
    if (device_ && grants_ != nullptr) leave();
    if (device_) settle();
    VifFixture::TearDown();
  }

  void become(xenbus_state state) { toolstack().write(back("state"), std::to_string(state)); }
  void wait_for_frontend(xenbus_state state) {
    host_->require("the front end to reach state " + std::to_string(state),
                   [&] { return front_value("state") == std::to_string(static_cast<int>(state)); });
  }

  /// All requests that are on the transmit ring by now.
  std::vector<netif_tx_request_t> take_tx() {
    std::vector<netif_tx_request_t> slots;
    for (;;) {
      auto taken = tx_.take();
      if (!taken || !*taken) return slots;
      slots.push_back(**taken);
    }
  }

  /// What the guest granted; fails the test when the grant does not hold.
  Bytes read(uint32_t ref, uint16_t offset, uint16_t length) {
    Bytes bytes(length);
    xengnttab_grant_copy_segment_t copy{};
    copy.source.foreign = {ref, offset, guest_->domid()};
    copy.dest.virt = bytes.data();
    copy.len = length;
    copy.flags = GNTCOPY_source_gref;
    EXPECT_EQ(xengnttab_grant_copy(grants_, 1, &copy), 0);
    EXPECT_EQ(copy.status, GNTST_okay);
    return bytes;
  }

  /// The packet that `slots` (without extras) carry.
  Bytes read_packet(const std::vector<netif_tx_request_t>& slots) {
    unsigned first = slots[0].size;
    for (size_t i = 1; i < slots.size(); ++i) first -= slots[i].size;
    Bytes bytes = read(slots[0].gref, slots[0].offset, static_cast<uint16_t>(first));
    for (size_t i = 1; i < slots.size(); ++i) {
      const Bytes more = read(slots[i].gref, slots[i].offset, slots[i].size);
      bytes.insert(bytes.end(), more.begin(), more.end());
    }
    return bytes;
  }

  void answer(uint16_t id, int status) {
    tx_.put(netif_tx_response_t{id, static_cast<int16_t>(status)});
  }
  void answer_all(const std::vector<netif_tx_request_t>& slots, int status = NETIF_RSP_OKAY) {
    for (const netif_tx_request_t& slot : slots) answer(slot.id, status);
  }
  /// Shows the answers, whether the front end asked to be notified or not.
  void push_tx() {
    (void)tx_.publish();
    xenevtchn_notify(events_, tx_port_);
    settle();
  }

  netif_rx_request_t take_rx() {
    auto taken = rx_.take();
    if (!taken || !*taken) {
      ADD_FAILURE() << "no receive request on the ring";
      return {};
    }
    return **taken;
  }
  /// Writes `bytes` into the page of `request`.
  void fill(const netif_rx_request_t& request, const Bytes& bytes, uint16_t offset = 0) {
    if (bytes.empty()) return;
    Bytes source = bytes;
    xengnttab_grant_copy_segment_t copy{};
    copy.source.virt = source.data();
    copy.dest.foreign = {request.gref, offset, guest_->domid()};
    copy.len = static_cast<uint16_t>(bytes.size());
    copy.flags = GNTCOPY_dest_gref;
    EXPECT_EQ(xengnttab_grant_copy(grants_, 1, &copy), 0);
    EXPECT_EQ(copy.status, GNTST_okay);
  }
  /// Takes a request, fills its page and answers it.
  void receive(const Bytes& bytes, unsigned flags = 0, uint16_t offset = 0) {
    const netif_rx_request_t request = take_rx();
    fill(request, bytes, offset);
    rx_.put(netif_rx_response_t{request.id, offset, static_cast<uint16_t>(flags),
                                static_cast<int16_t>(bytes.size())});
  }
  void receive_extra(const netif_extra_info_t& extra) {
    (void)take_rx();
    rx_.put(extra);
  }
  void push_rx() {
    (void)rx_.publish();
    xenevtchn_notify(events_, rx_port_);
    settle();
  }

  uint32_t number(const char* key) {
    const auto value = front_value(key);
    EXPECT_TRUE(value) << key;
    return value ? static_cast<uint32_t>(std::stoul(*value)) : ~0u;
  }
  void* map(uint32_t ref) {
    return xengnttab_map_grant_ref(grants_, guest_->domid(), ref, PROT_READ | PROT_WRITE);
  }
  evtchn_port_t bind(uint32_t remote) {
    const int port = xenevtchn_bind_interdomain(events_, guest_->domid(), remote);
    EXPECT_GE(port, 0);
    return static_cast<evtchn_port_t>(port);
  }

  xengnttab_handle* grants_ = nullptr;
  xenevtchn_handle* events_ = nullptr;
  void* tx_page_ = nullptr;
  void* rx_page_ = nullptr;
  TxRing tx_;
  RxRing rx_;
  evtchn_port_t tx_port_ = 0;
  evtchn_port_t rx_port_ = 0;
};

}  // namespace ringside::conformance
