#include "backends/netback/vif_backend.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace ringside::backends {
namespace {

constexpr const char* kRequestMulticast = "/request-multicast-control";

}  // namespace

VifBackend::VifBackend(Handles& handles, const NetbackProfile& profile, std::string path,
                       uint16_t domain, Port* port, const std::function<void()>& wake)
    : BackendDevice(handles, std::move(path), domain, XenbusStateConnected),
      profile_(profile),
      port_(port) {
  if (port_ == nullptr) return;
  port_->set_wake(this, [this, wake] {
    port_due_ = true;
    due_ = true;
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
  if (profile_.control_ring) entries.emplace_back("feature-ctrl-ring", 1);
  if (profile_.multicast) entries.emplace_back("feature-multicast-control", 1);
  if (profile_.multicast_dynamic) entries.emplace_back("feature-dynamic-multicast-control", 1);
  if (profile_.max_queues > 0) entries.emplace_back("multi-queue-max-queues", profile_.max_queues);
  return publish(entries);
}

void VifBackend::connect() {
  std::vector<QueueKeys> keys;
  std::string why;
  if (!read_keys(keys, why)) return fail(why);
  const GuestFeatures guest = read_guest_features();
  for (size_t i = 0; i < keys.size(); ++i) {
    grants_.emplace_back(handles(), domain(), profile_.max_static_grants);
  }
  if (!connect_control(static_cast<unsigned>(keys.size()), why)) return fail(why);
  for (size_t i = 0; i < keys.size(); ++i) {
    auto queue = GuestQueue::connect(handles(), domain(), keys[i], guest,
                                     {profile_, statistics_, multicast_, grants_[i], pool_});
    if (queue == nullptr) return fail("mapping the rings or binding the event channels");
    queues_.push_back(std::move(queue));
  }
  // NETIF-CTL-011: sampled at this point, and again only by a dynamic one.
  multicast_.apply(profile_.multicast && store().flag(frontend() + kRequestMulticast, false));
  if (profile_.multicast_dynamic) {
    xs_watch(handles().store, (frontend() + kRequestMulticast).c_str(), path().c_str());
  }
  ++statistics_.connections;
  become(XenbusStateConnected);
  port_due_ = true;
  pump();
}

/// NETIF-CTL-013: a front end that has no use for it gives no control ring.
bool VifBackend::connect_control(unsigned queues, std::string& why) {
  if (!profile_.control_ring) return true;
  const auto ref = store().number(frontend() + "/ctrl-ring-ref");
  const auto port = store().number(frontend() + "/event-channel-ctrl");
  if (!ref || !port) return true;
  control_ = Control::connect(handles(), domain(), *ref, *port, profile_, steering_,
                              std::span(grants_).first(queues));
  if (control_ == nullptr) why = "mapping the control ring or binding its event channel";
  return control_ != nullptr;
}

void VifBackend::reread() {
  if (!profile_.multicast_dynamic) return;
  multicast_.apply(store().flag(frontend() + kRequestMulticast, false));
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
  if (!queues_.empty() && profile_.multicast_dynamic) {
    xs_unwatch(handles().store, (frontend() + kRequestMulticast).c_str(), path().c_str());
  }
  queues_.clear();
  control_.reset();
  grants_.clear();
  steering_ = {};
  multicast_.clear();
}

bool VifBackend::event(evtchn_port_t port) {
  const bool ours = (control_ != nullptr && control_->event(port)) ||
                    std::any_of(queues_.begin(), queues_.end(),
                                [port](const auto& queue) { return queue->event(port); });
  if (ours) due_ = true;
  return ours;
}

bool VifBackend::serve_queues(size_t& waiting) {
  waiting = 0;
  for (const auto& queue : queues_) {
    if (!queue->serve_receive()) return false;
    waiting += queue->backlog().size();
  }
  return true;
}

void VifBackend::pump() {
  due_ = false;
  if (queues_.empty()) return;
  if (port_due_.exchange(false)) {
    for (const auto& queue : queues_) queue->look_at_transmit();
  }
  bool sane = control_ == nullptr || control_->serve();
  for (const auto& queue : queues_) sane = sane && queue->serve_transmit(port_);
  Frame frame = pool_.take();
  size_t waiting = 0;
  sane = sane && serve_queues(waiting);
  while (sane && port_ != nullptr && waiting < kBacklog && port_->receive(frame)) {
    if (!multicast_.wants(frame)) {
      ++statistics_.filtered;
      frame.clear();
      continue;
    }
    const unsigned queue = steering_.choose(frame, static_cast<unsigned>(queues_.size()));
    queues_[queue]->backlog().push_back(std::exchange(frame, pool_.take()));
    if (++waiting >= kBacklog) sane = serve_queues(waiting);
  }
  pool_.give(std::move(frame));
  if (sane && serve_queues(waiting)) return;
  ++statistics_.violations;
  fail("the front end's ring makes no sense");
}

}  // namespace ringside::backends
