#include "protocols/xenfilt/emulated_devices.hpp"

#include <algorithm>
#include <utility>

#include "protocols/platform/line.hpp"

namespace ringside::xenfilt {
namespace {

constexpr std::string_view kDisk = "disk";  // no device id of Plug and Play is without a bus

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, upper, upper);
}

platform::Line disk(unsigned controller, unsigned target, unsigned lun) {
  return platform::Line().number(controller).text(":").number(target).text(":").number(lun);
}

}  // namespace

struct EmulatedDevices::Entry {
  platform::Buffer device;
  platform::Buffer instance;
  platform::Box<Entry> next;
};

/// One consumer's reference.
class EmulatedDevices::Held final : public xenbus::Lease {
 public:
  Held(EmulatedDevices& home, uint16_t version) : home_(home), version_(version) {
    ++home_.references_;
  }
  ~Held() { --home_.references_; }
  void keep(platform::Box<Held> self) { self_ = std::move(self); }

  void* interface() override { return static_cast<xenbus::Emulated*>(&home_); }
  uint16_t version() const override { return version_; }
  uint32_t outstanding() const override { return 0; }
  void destroy() override { const platform::Box<Held> last = std::move(self_); }

 private:
  EmulatedDevices& home_;
  uint16_t version_;
  platform::Box<Held> self_;
};

EmulatedDevices::EmulatedDevices(platform::Platform& platform) : platform_(platform) {}

EmulatedDevices::~EmulatedDevices() {
  // One by one, as a list's end destroyed by its begin could be deep.
  while (first_) {
    platform::Box<Entry> rest = std::move(first_->next);
    first_ = std::move(rest);
  }
}

Status EmulatedDevices::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  return Status::kOk;
}

Status EmulatedDevices::add_device(std::string_view device, std::string_view instance) {
  return add(device, instance);
}
Status EmulatedDevices::remove_device(std::string_view device, std::string_view instance) {
  return remove(device, instance);
}
Status EmulatedDevices::add_disk(unsigned controller, unsigned target, unsigned lun) {
  return add(kDisk, disk(controller, target, lun).view());
}
Status EmulatedDevices::remove_disk(unsigned controller, unsigned target, unsigned lun) {
  return remove(kDisk, disk(controller, target, lun).view());
}
bool EmulatedDevices::is_device_present(std::string_view device, std::string_view instance) const {
  return present(device, instance);
}
bool EmulatedDevices::is_disk_present(unsigned controller, unsigned target, unsigned lun) const {
  return present(kDisk, disk(controller, target, lun).view());
}

Result<Owned<xenbus::Lease>> EmulatedDevices::acquire(const xenbus::InterfaceId& id,
                                                      uint16_t version, const char*) {
  if (id != xenbus::Emulated::kIdentity.id) return Status::kNotFound;
  if (!kVersions.contains(version)) return Status::kNotSupported;
  auto box = platform::Box<Held>::create(platform_, *this, version);
  if (!box) return box.status();
  Held* made = box->get();
  made->keep(*std::move(box));
  return Owned<xenbus::Lease>(made);
}

platform::Box<EmulatedDevices::Entry>* EmulatedDevices::find(std::string_view device,
                                                             std::string_view instance) {
  platform::Box<Entry>* at = &first_;
  while (*at && !(same((*at)->device.view(), device) && same((*at)->instance.view(), instance))) {
    at = &(*at)->next;
  }
  return at;
}

Status EmulatedDevices::add(std::string_view device, std::string_view instance) {
  auto entry = platform::Box<Entry>::create(platform_);
  auto device_copy = platform::Buffer::copy(platform_, device);
  auto instance_copy = platform::Buffer::copy(platform_, instance);
  if (!entry || !device_copy || !instance_copy) return Status::kNoMemory;
  (*entry)->device = *std::move(device_copy);
  (*entry)->instance = *std::move(instance_copy);
  const platform::LockGuard guard(*lock_);
  platform::Box<Entry>* at = find(device, instance);
  if (*at) return Status::kExists;
  *at = *std::move(entry);
  return Status::kOk;
}

Status EmulatedDevices::remove(std::string_view device, std::string_view instance) {
  platform::Box<Entry> removed;  // freed outside of the lock
  const platform::LockGuard guard(*lock_);
  platform::Box<Entry>* at = find(device, instance);
  if (!*at) return Status::kNotFound;
  removed = std::move(*at);
  *at = std::move(removed->next);
  return Status::kOk;
}

bool EmulatedDevices::present(std::string_view device, std::string_view instance) const {
  const platform::LockGuard guard(*lock_);
  for (const Entry* entry = first_.get(); entry != nullptr; entry = entry->next.get()) {
    if (same(entry->device.view(), device) && same(entry->instance.view(), instance)) return true;
  }
  return false;
}

}  // namespace ringside::xenfilt
