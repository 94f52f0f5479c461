#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/byte_ring.hpp"
#include "protocols/xenbus/callback_list.hpp"
#include "protocols/xenbus/event_channels.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/console.hpp"

namespace ringside::xenbus {

/// The guest's end of the page it shares with its console daemon. Source: xen/io/console.h
class DomainConsole final : public Console {
 public:
  DomainConsole(platform::Platform& platform, Hypercalls& xen, EventChannels& events)
      : platform_(platform), xen_(xen), events_(events), wakeups_(platform) {}
  DomainConsole(const DomainConsole&) = delete;
  DomainConsole& operator=(const DomainConsole&) = delete;
  ~DomainConsole();

  /// kOk also in a domain without a console.
  Status start();
  /// The page is another domain's from here on. EARLY.
  void disconnect();
  /// LATE.
  Status resume();

  Result<size_t> readable() override;
  Result<size_t> writable() override;
  Result<size_t> read(std::span<std::byte> room) override;
  Result<size_t> write(std::string_view text) override;
  Result<Owned<Callback>> add_wakeup(Delegate changed) override { return wakeups_.add(changed); }

 private:
  Status attach();
  void detach();
  void changed() { wakeups_.run(); }
  /// Runs `operation` on the ring unless it is closed, and closes it when that finds a violation;
  /// tells the daemon when `moves` and there were bytes.
  template <typename Operation>
  Result<size_t> operate(bool moves, Operation operation);

  platform::Platform& platform_;
  Hypercalls& xen_;
  EventChannels& events_;
  CallbackList wakeups_;
  Owned<platform::Lock> lock_;        ///< guards the rest but for the channel
  Status state_ = Status::kNotFound;  ///< kOk while the ring can be used
  std::byte* page_ = nullptr;
  Port port_ = 0;
  ByteRingEnd out_;
  ByteRingEnd in_;
  Owned<EventChannel> channel_;
};

}  // namespace ringside::xenbus
