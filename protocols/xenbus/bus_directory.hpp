#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/directory.hpp"

namespace ringside::xenbus {

class Bus;

/// All that XENBUS provides, by identity and version, and who holds it.
class BusDirectory final : public Directory {
 public:
  /// One interface that is provided.
  struct Offer {
    InterfaceIdentity identity;
    VersionRange versions;
    Result<Owned<Lease>> (*lease)(BusDirectory& directory, const Offer& offer, uint16_t version,
                                  const char* consumer);
  };
  static std::span<const Offer> offers();

  /// What is not provided here is asked of `below`, unless that is null.
  BusDirectory(platform::Platform& platform, Bus& bus, Directory* below)
      : platform_(platform), bus_(bus), below_(below) {}
  BusDirectory(const BusDirectory&) = delete;
  BusDirectory& operator=(const BusDirectory&) = delete;
  /// Leases that are still held are reported by interface and consumer; they are good for nothing
  /// any more but to be released.
  ~BusDirectory();

  Status start();
  Result<Owned<Lease>> acquire(const InterfaceId& id, uint16_t version,
                               const char* consumer) override;
  /// Leases on the interface, of all consumers and versions.
  uint32_t references(const InterfaceId& id) const;

 private:
  struct Link;
  template <typename Leased>
  class LeaseOf;
  template <typename Leased>
  static Result<Owned<Lease>> lease(BusDirectory& directory, const Offer& offer, uint16_t version,
                                    const char* consumer);

  void enter(Link& link);
  void leave(Link& link);

  platform::Platform& platform_;
  Bus& bus_;
  Directory* below_;
  Owned<platform::Lock> lock_;  ///< guards the list
  Link* first_ = nullptr;
};

}  // namespace ringside::xenbus
