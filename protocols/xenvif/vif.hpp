#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/acquired_services.hpp"
#include "protocols/xenbus/device.hpp"
#include "protocols/xenvif/announcement.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/control_ring.hpp"
#include "protocols/xenvif/features.hpp"
#include "protocols/xenvif/queue.hpp"

namespace ringside::xenvif {

/// The netif front end: one network interface of the guest.
///
/// Negotiates with the back end, owns the queues, follows the link. There is a queue to a CPU, as
/// far as the back end goes along: who sends on the queue of its own CPU needs no lock, and a flow
/// that stays on a CPU stays in order. Source: xen/io/netif.h.
class Vif final : private xenbus::DeviceDriver, private Queue::Owner, private ControlRing::Owner {
 public:
  static constexpr xenbus::Consumer kConsumer{
      .name = "XENVIF", .gnttab = {2, 4}, .evtchn = {5, 9}, .store = {2, 2}, .suspend = {1, 1}};

  /// `path` is the front end's directory relative to the domain, such as "device/vif/0".
  /// `client` must outlive the vif.
  static Result<platform::Box<Vif>> create(const xenbus::Services& services, std::string_view path,
                                           Client& client);
  Vif(const xenbus::Services& services, std::string_view path, Client& client);
  ~Vif();

  /// Lets the handshake begin; link_changed(kUp) says when packets can flow.
  Status start() { return device_->start(); }
  /// Leaves the back end; device().closed() says when every packet has been completed.
  void close() { device_->close(); }
  /// Connects again after it was closed.
  Status reopen() { return device_->reopen(); }
  xenbus::Device& device() { return *device_; }

  /// Queues of this connection.
  unsigned queue_count() const { return active_; }
  /// Queues that any connection may have.
  unsigned max_queues() const { return static_cast<unsigned>(queues_.size()); }
  Queue& queue(unsigned index) { return *queues_[index]; }

  /// Hashes what is received, by the back end where it can, and has it steer by the hash. Now and
  /// after every reconnect. kInvalidArgument. Passive level. [NETIF-CTL-032]
  Status configure_hash(const HashConfig& config);
  /// The back end hashes and steers as configured.
  bool backend_hashes() const { return hash_.accepted(); }
  /// Whether the back end is to drop multicast frames but for those of Queue::set_multicast() on
  /// queue 0. A back end that does not follow changes learns of it at the next connection, one that
  /// can't filter never. Passive level. [NETIF-CTL-011]
  Status filter_multicast(bool on);
  /// What to announce at each connection: at most kMaxAddresses each, the rest is left out. Passive
  /// level. [NETIF-CTL-046]
  void set_addresses(std::span<const Ipv4Address> v4, std::span<const Ipv6Address> v6);

  MacAddress mac() const { return mac_; }
  uint16_t mtu() const { return settings_.mtu; }
  LinkState link() const { return link_; }
  const BackendFeatures& backend_features() const { return features_; }

 private:
  Status prepare(xenbus::DomainId backend_domain, const xenbus::Node& backend) override;
  Status publish(const xenbus::Node& frontend) override;
  Status connect(const xenbus::Node& backend) override;
  void backend_changed(const xenbus::Node& backend) override;
  bool may_eject() override { return client_.eject_requested(); }
  void stop() override;
  void release() override;
  void queue_failed(Status why) override;
  void queue_started(Queue& queue) override;
  void control_failed(Status why) override;
  void configure();
  Status create_parts();
  Status publish_features(const xenbus::Node& frontend) const;
  void set_link(LinkState link);

  static constexpr size_t kMaxPath = 64;
  static constexpr size_t kMaxAddresses = 16;

  struct Addresses {
    std::array<Ipv4Address, kMaxAddresses> v4{};
    std::array<Ipv6Address, kMaxAddresses> v6{};
    size_t v4_count = 0;
    size_t v6_count = 0;
  };

  xenbus::Services services_;
  Client& client_;
  std::array<char, kMaxPath> path_storage_{};
  std::string_view path_;
  platform::Box<xenbus::Device> device_;
  platform::Array<platform::Box<Queue>> queues_;
  ControlRing control_;
  Owned<platform::Work> configuring_;
  HashSettings hash_;
  uint32_t hash_told_ = 0;    ///< version of it
  bool grants_told_ = false;  ///< the static ones, in this connection
  std::atomic<bool> filtering_{false};
  Owned<platform::Lock> lock_;  ///< guards addresses_
  Addresses addresses_;
  BackendFeatures features_;
  Settings settings_;
  MacAddress mac_{};
  unsigned active_ = 1;
  LinkState link_ = LinkState::kDown;
};

}  // namespace ringside::xenvif
