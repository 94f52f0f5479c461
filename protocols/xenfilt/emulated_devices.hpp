#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/directory.hpp"
#include "protocols/xenbus/interfaces/emulated.hpp"

namespace ringside::xenfilt {

/// XENFILT: keeps account of the emulated devices that the buses below it report, and answers
/// other drivers' questions about them. Must outlive the leases on it.
class EmulatedDevices final : public xenbus::Directory, private xenbus::Emulated {
 public:
  static constexpr xenbus::VersionRange kVersions{1, 3};

  explicit EmulatedDevices(platform::Platform& platform);  ///< see start()
  EmulatedDevices(const EmulatedDevices&) = delete;
  EmulatedDevices& operator=(const EmulatedDevices&) = delete;
  ~EmulatedDevices();
  Status start();

  /// A device that Plug and Play found on a bus, or did not find again. Adding one twice is
  /// kExists, removing one that is not there kNotFound.
  Status add_device(std::string_view device, std::string_view instance);
  Status remove_device(std::string_view device, std::string_view instance);
  Status add_disk(unsigned controller, unsigned target, unsigned lun);
  Status remove_disk(unsigned controller, unsigned target, unsigned lun);

  Result<Owned<xenbus::Lease>> acquire(const xenbus::InterfaceId& id, uint16_t version,
                                       const char* consumer) override;
  uint32_t references() const { return references_.load(); }

 private:
  class Held;
  struct Entry;

  bool is_device_present(std::string_view device, std::string_view instance) const override;
  bool is_disk_present(unsigned controller, unsigned target, unsigned lun) const override;
  Status add(std::string_view device, std::string_view instance);
  Status remove(std::string_view device, std::string_view instance);
  bool present(std::string_view device, std::string_view instance) const;
  /// The pointer to the entry, or to the null at the end. The lock is held.
  platform::Box<Entry>* find(std::string_view device, std::string_view instance);

  platform::Platform& platform_;
  Owned<platform::Lock> lock_;  ///< guards the list
  platform::Box<Entry> first_;
  std::atomic<uint32_t> references_ = 0;
};

}  // namespace ringside::xenfilt
