#pragma once

#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"
#include "protocols/xenvif/granted_page.hpp"

namespace ringside::xenvif {

/// The front end's end of the control ring: one request after the other, each answered once.
///
/// Besides the ring there is one page for parameters, granted to the peer as long as the
/// connection lasts. All but the event at passive level. Source: xen/io/netif.h, "Control ring".
/// [NETIF-CTL-013]
class ControlRing {
 public:
  /// Called at dispatch level when the peer broke the protocol.
  struct Owner {
    virtual void control_failed(Status why) = 0;

   protected:
    ~Owner() = default;
  };

  ControlRing(const xenbus::Services& services, Owner& owner)
      : services_(services), owner_(owner) {}
  ControlRing(const ControlRing&) = delete;
  ControlRing& operator=(const ControlRing&) = delete;

  Status prepare(xenbus::DomainId peer);
  /// Writes ctrl-ring-ref and event-channel-ctrl; nothing when it was not prepared.
  Status publish(const xenbus::Node& frontend) const;
  void start();
  /// Calls can be made.
  bool running() const;
  /// Ends a call under way with kClosed, as every later one.
  void stop();
  void release();

  /// Sends a request and waits for the answer's data. kNotSupported, kInvalidArgument, kTooLarge
  /// as XEN_NETIF_CTRL_STATUS_* say. After kTimedOut no other call is made before a new
  /// connection: the peer may still use the parameters. One at a time.
  Result<uint32_t> call(uint16_t type, uint32_t first = 0, uint32_t second = 0, uint32_t third = 0);

  /// The page for parameters: filled between calls.
  std::span<std::byte> parameters() const {
    return {parameters_.page().address, platform::kPageSize};
  }
  xenbus::GrantRef parameters_ref() const { return parameters_.ref(); }

 private:
  using Ring = ring::FrontRing<xen_netif_ctrl_request, xen_netif_ctrl_response>;

  Status create_parts();
  void await();
  void event();
  bool take_answers();

  xenbus::Services services_;
  Owner& owner_;
  Owned<platform::Event> answered_;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> channel_;
  GrantedPage ring_page_;
  GrantedPage parameters_;
  Owned<platform::Lock> lock_;  ///< guards all below
  Ring ring_;
  bool running_ = false;
  bool waiting_ = false;
  uint16_t id_ = 0;  ///< of the last request
  xen_netif_ctrl_response answer_{};
};

}  // namespace ringside::xenvif
