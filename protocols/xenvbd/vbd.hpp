#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/acquired_services.hpp"
#include "protocols/xenbus/device.hpp"
#include "protocols/xenvbd/client.hpp"
#include "protocols/xenvbd/disk.hpp"
#include "protocols/xenvbd/queue.hpp"

namespace ringside::xenvbd {

/// The blkif front end: one disk of the guest.
///
/// Negotiates with the back end, owns the queues, follows the disk's size. Source:
/// xen/io/blkif.h.
class Vbd final : private xenbus::DeviceDriver, private Queue::Owner {
 public:
  static constexpr xenbus::Consumer kConsumer{
      .name = "XENVBD", .gnttab = {2, 4}, .evtchn = {5, 9}, .store = {2, 2}, .suspend = {1, 1}};

  /// `path` is the front end's directory relative to the domain, such as "device/vbd/51712".
  /// `client` must outlive the vbd.
  static Result<platform::Box<Vbd>> create(const xenbus::Services& services, std::string_view path,
                                           Client& client);
  Vbd(const xenbus::Services& services, std::string_view path, Client& client);
  ~Vbd();

  /// Lets the handshake begin; disk_changed() says when requests can be submitted.
  Status start() { return device_->start(); }
  /// Leaves the back end; what is not done by then completes with kClosed. Passive level;
  /// device().closed() says when every request has been completed.
  void close();
  /// Refuses requests from now on, lets those under way finish, flushes what the disk has in its
  /// cache, and then leaves the back end. A back end that never answers is waited for: close()
  /// cuts it short. Passive level. [BLKIF-IO-037]
  void shut_down();
  /// Connects again after it was closed or lost; what still waits is issued again, in order.
  /// [BLKIF-IO-031]
  Status reopen();
  xenbus::Device& device() { return *device_; }

  /// Queues of this connection, of which a client takes one for each CPU.
  unsigned queue_count() const { return active_; }
  /// A queue of a former connection, beyond queue_count(), hands on what it is given.
  Queue& queue(unsigned index) { return *queues_[index]; }

  const Disk& disk() const { return disk_; }
  bool connected() const { return connected_; }

 private:
  Status create_parts();
  Status prepare(xenbus::DomainId backend_domain, const xenbus::Node& backend) override;
  Status publish(const xenbus::Node& frontend) override;
  Status connect(const xenbus::Node& backend) override;
  void backend_changed(const xenbus::Node& backend) override;
  bool may_eject() override;
  void stop() override;
  void release() override;
  void queue_failed(Status why) override;
  void queue_drained() override;
  /// BLKIF-IO-031: what queues of a former connection still have is not lost with them.
  void queue_stranded(RequestList& requests) override { queues_[0]->adopt(requests); }
  void drain_queues();

  /// What is to follow when all queues are drained.
  enum class Ending : uint8_t { kNone, kEject, kClose };

  static constexpr size_t kMaxPath = 64;

  xenbus::Services services_;
  Client& client_;
  std::array<char, kMaxPath> path_storage_{};
  std::string_view path_;
  platform::Array<platform::Box<Queue>> queues_;
  platform::Box<xenbus::Device> device_;
  Disk disk_;
  Terms terms_;  ///< of this connection
  std::atomic<unsigned> active_ = 1;
  std::atomic<unsigned> undrained_ = 0;
  std::atomic<Ending> ending_ = Ending::kNone;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> closing_ = false;  ///< the client is leaving: nothing is to be issued again
};

}  // namespace ringside::xenvbd
