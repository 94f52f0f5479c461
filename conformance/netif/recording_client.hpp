#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "conformance/netif/test_frames.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::conformance {

/// A client that remembers all it is told.
class RecordingClient final : public xenvif::Client {
 public:
  struct Received {
    Bytes bytes;
    xenvif::Checksum checksum = xenvif::Checksum::kUnknown;
    xenvif::Gso gso;
    xenvif::PacketHash hash;
    size_t fragments = 0;
  };

  void transmitted(xenvif::Queue&, uint64_t cookie, xenvif::TxStatus status) override {
    completions[cookie].push_back(status);
  }
  void room(xenvif::Queue& queue) override {
    ++rooms;
    if (on_room) on_room(queue);
  }
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override {
    Received copy{{}, packet.checksum, packet.gso, packet.hash, packet.fragments.size()};
    for (const xenvif::Fragment& fragment : packet.fragments) {
      copy.bytes.insert(copy.bytes.end(), fragment.address, fragment.address + fragment.length);
    }
    frames.push_back(std::move(copy));
    if (on_received) on_received(queue, packet);
    if (keep) {
      kept.emplace_back(&queue, packet);
    } else {
      queue.give_back(packet);
    }
  }
  void link_changed(xenvif::LinkState link) override { links.push_back(link); }

  /// Each packet that was taken ended once, as said.
  size_t completed(xenvif::TxStatus status) const {
    size_t count = 0;
    for (const auto& [cookie, statuses] : completions) {
      if (statuses.size() == 1 && statuses[0] == status) ++count;
    }
    return count;
  }
  bool any_completed_twice() const {
    for (const auto& [cookie, statuses] : completions) {
      if (statuses.size() > 1) return true;
    }
    return false;
  }
  void give_all_back() {
    for (auto& [queue, packet] : std::exchange(kept, {})) queue->give_back(packet);
  }

  std::map<uint64_t, std::vector<xenvif::TxStatus>> completions;
  std::vector<Received> frames;
  std::vector<xenvif::LinkState> links;
  std::vector<std::pair<xenvif::Queue*, xenvif::RxPacket>> kept;
  unsigned rooms = 0;
  bool keep = false;
  std::function<void(xenvif::Queue&)> on_room;
  std::function<void(xenvif::Queue&, const xenvif::RxPacket&)> on_received;
};

}  // namespace ringside::conformance
