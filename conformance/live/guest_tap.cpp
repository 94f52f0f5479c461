#include "conformance/live/guest_tap.hpp"

#include <utility>

namespace ringside::conformance {

void GuestTap::attach(DriverGuest& guest, xenvif::Vif& vif,
                      std::vector<backends::TapDevice> devices, backends::Poller& poller) {
  for (unsigned i = 0; i < devices.size(); ++i) {
    lanes_.push_back(std::make_unique<TapLane>(guest, i, std::move(devices[i])));
  }
  attached_ = true;
  for (unsigned i = 0; i < lanes_.size(); ++i) lanes_[i]->start(vif.queue(i), poller);
}

void GuestTap::stop() {
  for (const auto& lane : lanes_) lane->stop();
}

TapLane::Counters GuestTap::counters() const {
  TapLane::Counters sum;
  for (const auto& lane : lanes_) sum += lane->counters();
  return sum;
}

void GuestTap::transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) {
  lanes_[queue.index()]->transmitted(cookie, status);
}

void GuestTap::room(xenvif::Queue& queue) { lanes_[queue.index()]->go_on(); }

void GuestTap::received(xenvif::Queue& queue, const xenvif::RxPacket& packet) {
  // The back end may send before this end is wired up.
  if (attached_) lanes_[queue.index()]->received(packet);
  queue.give_back(packet);
}

void GuestTap::link_changed(xenvif::LinkState link) {
  up_ = link == xenvif::LinkState::kUp;
  if (!attached_) return;
  for (const auto& lane : lanes_) {
    if (up_) {
      lane->connect();
    } else {
      lane->disconnect();
    }
  }
}

}  // namespace ringside::conformance
