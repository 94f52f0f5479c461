#pragma once

#include <atomic>
#include <string_view>

#include "protocols/platform/cpu_call.hpp"
#include "protocols/platform/memory.hpp"
#include "protocols/xennet/lane.hpp"
#include "protocols/xennet/ndis.hpp"
#include "protocols/xennet/oids.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::xennet {

/// An NDIS 6.30 miniport adapter over one vif, but for the calls into NDIS itself.
///
/// NDIS leads it: initialize(), restart(), pause(), halt(), one at a time and at passive
/// level; lists and OIDs come as NDIS sends them. Source: ndis.h, "Miniport Adapter States".
class Adapter final : private xenvif::Client,
                      private Sender::Owner,
                      private Receiver::Owner,
                      private Oids::Host {
 public:
  enum class State : uint8_t { kHalted, kPaused, kRunning, kPausing };
  static constexpr xenbus::Consumer kConsumer{
      .name = "XENNET", .gnttab = {2, 4}, .evtchn = {5, 9}, .store = {2, 2}, .suspend = {1, 1}};

  /// `path` is the vif's directory, such as "device/vif/0"; `ndis` must outlive the adapter.
  static Result<platform::Box<Adapter>> create(const xenbus::Services& services,
                                               std::string_view path, Ndis& ndis);
  Adapter(const xenbus::Services& services, Ndis& ndis)
      : platform_(services.platform), ndis_(ndis), oids_(*this) {}

  // --- states: passive level ----------------------------------------------------------------
  /// Connects the vif and reads the settings: Paused afterwards. `network_address` is what
  /// the administrator set it to, as text, or empty. kAdapterNotReady: no back end came.
  NdisStatus initialize(std::string_view network_address);
  void restart();
  /// Always kPending: Ndis::pause_complete() follows when all lists are where they belong.
  NdisStatus pause();
  /// From Paused: leaves the back end and waits until everything is given up.
  void halt();
  State state() const { return state_; }

  // --- lists: any CPU, up to dispatch level -------------------------------------------------
  void send(NetBufferList* chain);
  void cancel(uintptr_t cancel_id);
  void return_lists(NetBufferList* chain);

  // --- OIDs: passive level ------------------------------------------------------------------
  NdisStatus query(OidRequest& request) { return oids_.query(request); }
  NdisStatus set(OidRequest& request) { return oids_.set(request); }

  LinkState link_state() { return oids_.link_state(); }
  PowerState power() const { return power_; }
  xenvif::Vif& vif() { return *vif_; }

 private:
  static constexpr platform::Nanoseconds kConnectPatience = 120 * platform::kSecond;
  static constexpr platform::Nanoseconds kClosePatience = 10 * platform::kSecond;

  Status create_parts(const xenbus::Services& services, std::string_view path);
  void gates_changed();
  void leave();
  void part_drained();
  void tell_multicast();

  // xenvif::Client
  void transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) override;
  void room(xenvif::Queue& queue) override;
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override;
  void served(xenvif::Queue& queue) override;
  void link_changed(xenvif::LinkState link) override;
  // Sender::Owner, Receiver::Owner
  NdisStatus refusal() override;
  void sent(NetBufferList* chain) override { ndis_.send_complete(chain); }
  void received(NetBufferList* chain, uint32_t count, uint32_t flags) override {
    ndis_.receive(chain, count, flags);
  }
  void drained() override { part_drained(); }
  // Oids::Host
  Statistics statistics() override;
  bool link_is_up() override { return link_up_; }
  uint16_t mtu() override { return vif_->mtu(); }
  MacAddress permanent_address() override { return vif_->mac(); }
  NdisStatus set_power(PowerState state) override;
  void configured(const Configuration& configuration) override;
  void indicate(NdisStatus status, std::span<const std::byte> what) override {
    ndis_.status(status, what);
  }

  Lane& lane(xenvif::Queue& queue) { return *lanes_[queue.index()]; }

  platform::Platform& platform_;
  Ndis& ndis_;
  Oids oids_;
  platform::Array<platform::Box<Lane>> lanes_;
  platform::Box<xenvif::Vif> vif_;    ///< goes first: it may call until it is gone
  platform::CpuCall multicast_call_;  ///< on the CPU of the queue that tells the back end
  Configuration configuration_;       ///< as last applied
  std::atomic<State> state_ = State::kHalted;
  std::atomic<PowerState> power_ = PowerState::kD0;
  std::atomic<bool> link_up_ = false;
  std::atomic<uint32_t> undrained_ = 0;  ///< halves of lanes that a pause still waits for
};

}  // namespace ringside::xennet
