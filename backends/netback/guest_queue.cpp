#include "backends/netback/guest_queue.hpp"

#include <sys/mman.h>

namespace ringside::backends {

std::unique_ptr<GuestQueue> GuestQueue::connect(Handles& handles, uint16_t domain,
                                                const QueueKeys& keys, const GuestFeatures& guest,
                                                const QueueContext& context) {
  std::unique_ptr<GuestQueue> queue(new GuestQueue(handles, domain, guest, context));
  if (!queue->attach(keys)) return nullptr;
  return queue;
}

void* GuestQueue::map(uint32_t ref) {
  return xengnttab_map_grant_ref(handles_.grants, domain_, ref, PROT_READ | PROT_WRITE);
}

bool GuestQueue::attach(const QueueKeys& keys) {
  constexpr size_t kPage = ring::kRingPageSize;
  tx_page_ = map(keys.tx_ref);
  if (tx_page_ == nullptr) return false;
  rx_page_ = map(keys.rx_ref);
  if (rx_page_ == nullptr) return false;
  auto tx = TxRing::create({static_cast<std::byte*>(tx_page_), kPage});
  auto rx = RxRing::create({static_cast<std::byte*>(rx_page_), kPage});
  if (!tx || !rx) return false;
  tx_ring_ = *tx;
  rx_ring_ = *rx;
  tx_port_ = xenevtchn_bind_interdomain(handles_.events, domain_, keys.tx_port);
  if (tx_port_ < 0) return false;
  if (!keys.rx_port) return true;
  rx_port_ = xenevtchn_bind_interdomain(handles_.events, domain_, *keys.rx_port);
  return rx_port_ >= 0;
}

GuestQueue::~GuestQueue() {
  if (tx_port_ >= 0) xenevtchn_unbind(handles_.events, static_cast<evtchn_port_t>(tx_port_));
  if (rx_port_ >= 0) xenevtchn_unbind(handles_.events, static_cast<evtchn_port_t>(rx_port_));
  if (tx_page_ != nullptr) xengnttab_unmap(handles_.grants, tx_page_, 1);
  if (rx_page_ != nullptr) xengnttab_unmap(handles_.grants, rx_page_, 1);
}

bool GuestQueue::event(evtchn_port_t port) {
  const auto number = static_cast<int>(port);
  if (number != tx_port_ && number != rx_port_) return false;
  // NETIF-CTL-047: with one channel an event speaks of both rings.
  if (number == tx_port_) tx_due_ = true;
  if (number == rx_port_ || rx_port_ < 0) rx_due_ = true;
  return true;
}

}  // namespace ringside::backends
