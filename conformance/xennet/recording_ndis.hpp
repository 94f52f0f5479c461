#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "conformance/netif/test_frames.hpp"
#include "protocols/xennet/adapter.hpp"
#include "protocols/xennet/packet_info.hpp"

namespace ringside::conformance {

/// NDIS that remembers all it is told.
class RecordingNdis final : public xennet::Ndis {
 public:
  struct Received {
    Bytes bytes;
    uint32_t checksum = 0;
    uint32_t vlan = 0;
    uint32_t coalesced = 0;
    uint32_t hash_value = 0;
    uint32_t hash_info = 0;
    uint32_t flags = 0;
    unsigned cpu = 0;
  };

  explicit RecordingNdis(platform::Platform& platform) : platform_(platform) {}

  void send_complete(xennet::NetBufferList* chain) override {
    while (chain != nullptr) {
      xennet::NetBufferList* list = std::exchange(chain, chain->next);
      list->next = nullptr;
      completions[list].push_back(list->status);
    }
  }
  void receive(xennet::NetBufferList* chain, uint32_t count, uint32_t flags) override {
    if (paused) received_while_paused += count;
    for (xennet::NetBufferList* list = chain; list != nullptr; list = list->next, --count) {
      frames.push_back({bytes_of(*list), list->checksum, list->vlan, list->coalesced,
                        list->hash_value, list->hash_info, flags, platform_.cpu()});
      if (keep && !(flags & xennet::kReceiveResources)) kept.push_back(list);
    }
    wrong_counts += count != 0 ? 1 : 0;
    if (!keep && !(flags & xennet::kReceiveResources)) adapter->return_lists(chain);
  }
  void status(xennet::NdisStatus status, std::span<const std::byte> what) override {
    statuses.emplace_back(status, Bytes(what.begin(), what.end()));
  }
  void pause_complete() override {
    ++pauses;
    paused = true;
  }

  /// The bytes of a list's only packet.
  static Bytes bytes_of(const xennet::NetBufferList& list) {
    Bytes all;
    for (const xennet::Mdl* mdl = list.first->mdl; mdl != nullptr; mdl = mdl->next) {
      all.insert(all.end(), mdl->address, mdl->address + mdl->length);
    }
    if (all.size() != list.first->length) all.clear();
    return all;
  }
  size_t indications(xennet::NdisStatus status) const {
    size_t count = 0;
    for (const auto& [one, what] : statuses) count += one == status ? 1 : 0;
    return count;
  }
  /// The structure that came with the last indication of this status.
  template <typename T>
  T last(xennet::NdisStatus status) const {
    T value{};
    for (const auto& [one, what] : statuses) {
      if (one == status && what.size() == sizeof(T)) std::memcpy(&value, what.data(), sizeof(T));
    }
    return value;
  }

  xennet::Adapter* adapter = nullptr;
  std::map<const xennet::NetBufferList*, std::vector<xennet::NdisStatus>> completions;
  std::vector<Received> frames;
  std::vector<xennet::NetBufferList*> kept;
  std::vector<std::pair<xennet::NdisStatus, Bytes>> statuses;
  bool keep = false;
  bool paused = false;
  unsigned pauses = 0;
  unsigned received_while_paused = 0;
  unsigned wrong_counts = 0;

 private:
  platform::Platform& platform_;
};

}  // namespace ringside::conformance
