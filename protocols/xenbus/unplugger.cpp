#include "protocols/xenbus/unplugger.hpp"

#include "protocols/platform/line.hpp"

namespace ringside::xenbus {
namespace {

struct Kind {
  std::string_view count;  ///< the setting that counts requests
  std::string_view driver;
};
constexpr Kind kDisks{.count = "Unplug\\DISKS", .driver = "Enum\\VBD"};
constexpr Kind kNics{.count = "Unplug\\NICS", .driver = "Enum\\VIF"};

const Kind& settings_of(EmulatedKind kind) { return kind == EmulatedKind::kDisks ? kDisks : kNics; }

}  // namespace

Status Unplugger::start() {
  product_ = static_cast<uint16_t>(platform_.setting("UnplugProduct", kExperimental));
  build_ = platform_.setting("UnplugBuild", 0);
  // What is installed later does its part at the next start, not at a resume: the emulated device
  // may be in use by then.
  mask_ = wanted();
  return unplug();
}

void Unplugger::resume() {
  // UNPLUG-006: another host emulates all of them again.
  if (ok(unplug())) return;
  platform_.log(platform::LogLevel::kError, "this host refuses the drivers: nothing is unplugged");
}

Status Unplugger::unplug() {
  const Status status = ports_.open(product_, build_);
  if (status == Status::kNotFound) return Status::kOk;
  if (!ok(status) || mask_ == 0) return status;
  ports_.unplug(mask_);
  ports_.log(platform::Line().text("XENBUS: unplugged devices, mask ").number(mask_).view());
  return Status::kOk;
}

uint16_t Unplugger::wanted() {
  const bool forced = platform_.setting("ForceUnplug", 0) != 0;
  const auto taken_over = [&](const Kind& kind) {
    // UNPLUG-006: a system without its boot disk does not start again.
    return platform_.setting(kind.count, 0) != 0 &&
           (forced || platform_.setting(kind.driver, 0) != 0);
  };
  unsigned mask = 0;
  if (taken_over(kDisks)) {
    // UNPLUG-004
    mask |= boot_emulated() ? unsigned{PlatformPorts::kAuxiliaryIdeDisks}
                            : PlatformPorts::kIdeAndScsiDisks | PlatformPorts::kNvmeDisks;
  }
  if (taken_over(kNics)) mask |= PlatformPorts::kAllNics;
  return static_cast<uint16_t>(mask);
}

Status Unplugger::request(EmulatedKind kind, bool make) {
  if (changing_.exchange(true)) return Status::kBusy;
  const std::string_view name = settings_of(kind).count;
  const uint32_t count = platform_.setting(name, 0);
  Status status = Status::kNotFound;
  if (make || count != 0) status = platform_.store_setting(name, make ? count + 1 : count - 1);
  changing_.store(false);
  return status;
}

bool Unplugger::requested(EmulatedKind kind) {
  return platform_.setting(settings_of(kind).count, 0) != 0;
}

bool Unplugger::boot_emulated() { return platform_.setting("BootEmulated", 0) != 0; }

Status Unplugger::request_reboot() { return platform_.store_setting("RequestReboot", 1); }

}  // namespace ringside::xenbus
