#include "backends/netback/vif_backend.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "protocols/xenvif/headers.hpp"

namespace ringside::backends {

VifBackend::VifBackend(Handles& handles, const NetbackProfile& profile, std::string path,
                       uint16_t domain, Port* port, const std::function<void()>& wake)
    : BackendDevice(handles, std::move(path), domain, XenbusStateConnected),
      profile_(profile),
      port_(port) {
  if (port_ == nullptr) return;
  port_->set_wake(this, [this, wake] {
    port_due_ = true;
    wake();
  });
}

VifBackend::~VifBackend() {
  if (port_ != nullptr) port_->forget(this);
  VifBackend::disconnect();
}

bool VifBackend::publish_features() {
  Entries entries{{"feature-rx-copy", 1}};
  if (profile_.rx_flip_node) entries.emplace_back("feature-rx-flip", 0);
  if (profile_.scatter_gather) entries.emplace_back("feature-sg", 1);
  if (profile_.gso_v4) entries.emplace_back("feature-gso-tcpv4", 1);
  if (profile_.gso_v6) entries.emplace_back("feature-gso-tcpv6", 1);
  if (!profile_.checksum_v4) entries.emplace_back("feature-no-csum-offload", 1);
  if (profile_.checksum_v6) entries.emplace_back("feature-ipv6-csum-offload", 1);
  if (profile_.split_channels) entries.emplace_back("feature-split-event-channels", 1);
  if (profile_.max_queues > 0) entries.emplace_back("multi-queue-max-queues", profile_.max_queues);
  return publish(entries);
}

void VifBackend::connect() {
  std::vector<QueueKeys> keys;
  std::string why;
  if (!read_keys(keys, why)) return fail(why);
  const GuestFeatures guest = read_guest_features();
  for (const QueueKeys& one : keys) {
    auto queue = GuestQueue::connect(handles(), domain(), one, guest, profile_, statistics_);
    if (queue == nullptr) return fail("mapping the rings or binding the event channels");
    queues_.push_back(std::move(queue));
  }
  ++statistics_.connections;
  become(XenbusStateConnected);
  port_due_ = true;
  pump();
}

bool VifBackend::read_keys(std::vector<QueueKeys>& keys, std::string& why) const {
  const uint32_t count = store().number(frontend() + "/multi-queue-num-queues").value_or(1);
  if (count == 0 || count > std::max(1u, profile_.max_queues)) {  // NETIF-NEG-005
    why = "multi-queue-num-queues is " + std::to_string(count);
    return false;
  }
  if (!store().flag(frontend() + "/request-rx-copy", false)) {  // NETIF-NEG-010
    why = "no request-rx-copy: there is no other way to receive";
    return false;
  }
  for (uint32_t i = 0; i < count; ++i) {
    const std::string directory =
        count == 1 ? frontend() : frontend() + "/queue-" + std::to_string(i);
    keys.emplace_back();
    if (!read_queue(directory, keys.back(), why)) return false;
  }
  return true;
}

bool VifBackend::read_queue(const std::string& directory, QueueKeys& keys, std::string& why) const {
  const auto tx_ref = store().number(directory + "/tx-ring-ref");
  const auto rx_ref = store().number(directory + "/rx-ring-ref");
  if (!tx_ref || !rx_ref) {
    why = "reading " + directory + "/{tx,rx}-ring-ref";
    return false;
  }
  keys.tx_ref = *tx_ref;
  keys.rx_ref = *rx_ref;
  if (profile_.split_channels) {  // NETIF-NEG-003
    const auto tx_port = store().number(directory + "/event-channel-tx");
    const auto rx_port = store().number(directory + "/event-channel-rx");
    if (tx_port && rx_port) {
      keys.tx_port = *tx_port;
      keys.rx_port = *rx_port;
      return true;
    }
  }
  const auto port = store().number(directory + "/event-channel");
  if (!port) {
    why = "reading " + directory + "/event-channel";
    return false;
  }
  keys.tx_port = *port;
  return true;
}

GuestFeatures VifBackend::read_guest_features() const {
  GuestFeatures guest;
  guest.scatter_gather = profile_.scatter_gather && store().flag(frontend() + "/feature-sg", false);
  guest.gso_v4 = profile_.gso_v4 && store().flag(frontend() + "/feature-gso-tcpv4", false);
  guest.gso_v6 = profile_.gso_v6 && store().flag(frontend() + "/feature-gso-tcpv6", false);
  guest.checksum_v4 = !store().flag(frontend() + "/feature-no-csum-offload", false);
  guest.checksum_v6 = store().flag(frontend() + "/feature-ipv6-csum-offload", false);
  guest.rx_notify = store().flag(frontend() + "/feature-rx-notify", false);
  return guest;
}

void VifBackend::disconnect() {
  for (const auto& queue : queues_) statistics_.port_dropped += queue->backlog().size();
  queues_.clear();
}

bool VifBackend::event(evtchn_port_t port) {
  return std::any_of(queues_.begin(), queues_.end(),
                     [port](const auto& queue) { return queue->event(port); });
}

GuestQueue& VifBackend::queue_for(const Frame& frame) {
  // NETIF-NEG-006: one flow stays on one queue: its addresses and ports choose.
  if (queues_.size() == 1) return *queues_[0];
  constexpr size_t kMaxHeaders = 512;
  const auto head = std::span(frame.bytes).first(std::min(frame.bytes.size(), kMaxHeaders));
  const xenvif::Headers headers = xenvif::parse_headers(head);
  size_t hash = 0;
  const auto add = [&](size_t from, size_t count) {
    const size_t end = std::min(from + count, head.size());
    for (size_t i = from; i < end; ++i) hash = hash * 31 + std::to_integer<size_t>(head[i]);
  };
  if (headers.ip_version == 4) add(headers.network + size_t{12}, 8);
  if (headers.ip_version == 6) add(headers.network + size_t{8}, 32);
  if (headers.protocol != 0) add(headers.transport, 4);
  return *queues_[hash % queues_.size()];
}

void VifBackend::pump() {
  if (queues_.empty()) return;
  if (port_due_.exchange(false)) {
    for (const auto& queue : queues_) queue->look_at_transmit();
  }
  bool sane = true;
  for (const auto& queue : queues_) sane = sane && queue->serve_transmit(port_);
  Frame frame;
  size_t waiting = 0;
  for (const auto& queue : queues_) {
    sane = sane && queue->serve_receive();
    waiting += queue->backlog().size();
  }
  while (sane && port_ != nullptr && waiting < kBacklog && port_->receive(frame)) {
    GuestQueue& queue = queue_for(frame);
    queue.backlog().push_back(std::move(frame));
    frame = Frame{};
    if (++waiting < kBacklog) continue;
    waiting = 0;
    for (const auto& each : queues_) {
      sane = sane && each->serve_receive();
      waiting += each->backlog().size();
    }
  }
  for (const auto& queue : queues_) sane = sane && queue->serve_receive();
  if (sane) return;
  ++statistics_.violations;
  fail("the front end's ring makes no sense");
}

}  // namespace ringside::backends
