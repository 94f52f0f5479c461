#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/acquired_services.hpp"
#include "protocols/xenbus/device.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/features.hpp"
#include "protocols/xenvif/queue.hpp"

namespace ringside::xenvif {

using MacAddress = std::array<uint8_t, 6>;

/// The netif front end: one network interface of the guest.
///
/// Negotiates with the back end, owns the queues, follows the link. Source: xen/io/netif.h.
class Vif final : private xenbus::DeviceDriver, private Queue::Owner {
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
  Status create_parts();
  Status publish_features(const xenbus::Node& frontend) const;
  void set_link(LinkState link);

  static constexpr size_t kMaxPath = 64;

  xenbus::Services services_;
  Client& client_;
  std::array<char, kMaxPath> path_storage_{};
  std::string_view path_;
  platform::Box<xenbus::Device> device_;
  platform::Array<platform::Box<Queue>> queues_;
  BackendFeatures features_;
  Settings settings_;
  MacAddress mac_{};
  unsigned active_ = 1;
  LinkState link_ = LinkState::kDown;
};

}  // namespace ringside::xenvif
