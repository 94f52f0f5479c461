#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

using sim::EmulatedDevice;
using Kind = EmulatedDevice::Kind;

const std::vector<EmulatedDevice> kDevices{
    {Kind::kIdeDisk, 0}, {Kind::kIdeDisk, 1}, {Kind::kScsiDisk, 0}, {Kind::kNvme, 0},
    {Kind::kCdrom, 3},   {Kind::kNic, 0},     {Kind::kNic, 1}};

/// What a system has in its registry once both drivers were installed.
std::map<std::string, uint32_t> installed() {
  return {{"Unplug\\DISKS", 1},
          {"Unplug\\NICS", 1},
          {"Enum\\VBD", 1},
          {"Enum\\VIF", 1},
          {"UnplugBuild", 77}};
}

/// A guest with emulated devices, and how XENBUS starts in it.
class UnplugTest : public testing::Test {
 protected:
  struct Boot {
    Boot(Host& host, const sim::PlatformDeviceConfig& device,
         const std::map<std::string, uint32_t>& settings)
        : guest(host, {.vcpus = 2, .platform_device = device, .emulated = kDevices}, nullptr,
                settings) {}
    DriverGuest guest;
    sim::PlatformDevice& device() {
      return guest.host().toolstack().platform_device(guest.domid());
    }
  };
  Boot boot(const std::map<std::string, uint32_t>& settings,
            const sim::PlatformDeviceConfig& device = {}) {
    return Boot(host_, device, settings);
  }
  static std::vector<EmulatedDevice> without(const std::vector<Kind>& kinds) {
    std::vector<EmulatedDevice> left = kDevices;
    for (const Kind kind : kinds) {
      std::erase_if(left, [&](const auto& device) { return device.kind == kind; });
    }
    return left;
  }

  Host host_;
};

TEST_F(UnplugTest, UNPLUG_001_WithoutTheMagicNothingElseIsTouched) {
  Boot system = boot(installed(), {.present = false});
  EXPECT_EQ(system.device().devices(), kDevices);
  EXPECT_EQ(system.device().strange_accesses(), 0u);
}

TEST_F(UnplugTest, UNPLUG_002_Version0AsksForNoProduct) {
  Boot system = boot(installed(), {.version = 0});
  EXPECT_FALSE(system.device().driver().has_value());
  EXPECT_EQ(system.device().devices(),
            without({Kind::kIdeDisk, Kind::kScsiDisk, Kind::kNvme, Kind::kNic}));
}

TEST_F(UnplugTest, UNPLUG_003_TheHostLearnsProductAndBuild) {
  Boot system = boot(installed());
  EXPECT_EQ(system.device().driver(), (std::pair<uint16_t, uint32_t>{0xffff, 77}));
}

TEST_F(UnplugTest, UNPLUG_003_ARefusedDriverDoesNotLoad) {
  EXPECT_THROW(boot(installed(), {.refused_products = {0xffff}}), RigError);
  EXPECT_THROW(boot(installed(), {.refused_builds = {{0xffff, 77}}}), RigError);
  Boot other = boot(installed(), {.refused_builds = {{0xffff, 78}}});
  EXPECT_NE(other.device().devices(), kDevices);
}

TEST_F(UnplugTest, UNPLUG_003_ARefusedDriverTouchesNothing) {
  sim::Domain& domain = host_.toolstack().create_domain(
      {.platform_device = {.refused_products = {0xffff}}, .emulated = kDevices});
  {
    sim::Guest guest(host_.machine(), domain);
    for (const auto& [name, value] : installed()) guest.set_setting(name, value);
    Status status = Status::kOk;
    ASSERT_TRUE(guest.run(
        0, [&] { status = xenbus::Bus::create(guest.platform(), guest.hypercall()).status(); },
        Host::kPatience));
    EXPECT_EQ(status, Status::kAccessDenied);
    EXPECT_EQ(host_.toolstack().platform_device(domain.id()).devices(), kDevices);
    EXPECT_TRUE(host_.toolstack().platform_device(domain.id()).log().empty());
    EXPECT_EQ(guest.audit(), std::vector<std::string>{});
  }
  host_.toolstack().destroy_domain(domain.id());
}

TEST_F(UnplugTest, UNPLUG_004_EachKindByItself) {
  auto settings = installed();
  settings["Unplug\\DISKS"] = 0;
  EXPECT_EQ(boot(settings).device().devices(), without({Kind::kNic}));
  settings = installed();
  settings["Unplug\\NICS"] = 0;
  EXPECT_EQ(boot(settings).device().devices(),
            without({Kind::kIdeDisk, Kind::kScsiDisk, Kind::kNvme}));
}

TEST_F(UnplugTest, UNPLUG_004_ASystemThatStartsFromItsEmulatedDiskKeepsIt) {
  auto settings = installed();
  settings["BootEmulated"] = 1;
  std::vector<EmulatedDevice> left = without({Kind::kNic});
  std::erase(left, EmulatedDevice{Kind::kIdeDisk, 1});
  EXPECT_EQ(boot(settings).device().devices(), left);
}

TEST_F(UnplugTest, UNPLUG_005_TheLogPortIsUsedOnceTheMagicWasSeen) {
  Boot system = boot(installed());
  EXPECT_EQ(system.device().log(), std::vector<std::string>{"XENBUS: unplugged devices, mask 11"});
  Boot absent = boot(installed(), {.present = false});
  absent.guest.run([&] { absent.guest.bus().unplug().ports().log("lost"); });
  EXPECT_EQ(absent.device().strange_accesses(), 0u);
}

TEST_F(UnplugTest, UNPLUG_006_NothingIsUnpluggedThatNobodyTakesOver) {
  EXPECT_EQ(boot({}).device().devices(), kDevices);
  auto settings = installed();
  settings["Enum\\VBD"] = 0;  // the driver was removed, its request stayed behind
  EXPECT_EQ(boot(settings).device().devices(), without({Kind::kNic}));
  settings["ForceUnplug"] = 1;
  EXPECT_EQ(boot(settings).device().devices(),
            without({Kind::kIdeDisk, Kind::kScsiDisk, Kind::kNvme, Kind::kNic}));
}

TEST_F(UnplugTest, UNPLUG_006_TheUnplugIsRepeatedOnTheNextHost) {
  Boot system = boot(installed());
  const auto left = system.device().devices();
  platform::Box<xenbus::SuspendAgent> agent;
  system.guest.run([&] { agent = *xenbus::SuspendAgent::create(system.guest.services()); });
  suspend(system.guest);
  restore(system.guest, {}, [](uint16_t) {}, {.emulated = kDevices});
  EXPECT_EQ(system.device().devices(), left);
  EXPECT_EQ(system.device().driver(), (std::pair<uint16_t, uint32_t>{0xffff, 77}));
  // One that refuses them: the guest lives on, with both kinds of its devices.
  suspend(system.guest);
  restore(system.guest, {}, [](uint16_t) {},
          {.platform_device = {.refused_products = {0xffff}}, .emulated = kDevices});
  EXPECT_EQ(system.device().devices(), kDevices);
  EXPECT_EQ(system.guest.guest().log().back(),
            "error: this host refuses the drivers: nothing is unplugged");
  system.guest.run([&] { agent = {}; });
}

TEST_F(UnplugTest, ARequestHoldsFromTheNextStartOn) {
  Boot system = boot({{"Enum\\VBD", 1}});
  system.guest.run([&] {
    auto unplug = xenbus::acquire<xenbus::Unplug>(system.guest.bus().directory(), {1, 9}, "test");
    ASSERT_TRUE(unplug);
    EXPECT_EQ(unplug->version(), 3);
    xenbus::Unplug& interface = **unplug;
    EXPECT_FALSE(interface.requested(xenbus::EmulatedKind::kDisks));
    EXPECT_EQ(interface.request(xenbus::EmulatedKind::kDisks, false), Status::kNotFound);
    EXPECT_EQ(interface.request(xenbus::EmulatedKind::kDisks, true), Status::kOk);
    EXPECT_EQ(interface.request(xenbus::EmulatedKind::kDisks, true), Status::kOk);
    EXPECT_EQ(interface.request(xenbus::EmulatedKind::kDisks, false), Status::kOk);
    EXPECT_TRUE(interface.requested(xenbus::EmulatedKind::kDisks));
    EXPECT_FALSE(interface.requested(xenbus::EmulatedKind::kNics));
    EXPECT_FALSE(interface.boot_emulated());
    EXPECT_EQ(interface.request_reboot(), Status::kOk);
    platform::Platform& platform = system.guest.platform();
    EXPECT_EQ(platform.setting("Unplug\\DISKS", 0), 1u);
    EXPECT_EQ(platform.setting("RequestReboot", 0), 1u);
  });
  EXPECT_EQ(system.device().devices(), kDevices);
}

}  // namespace
}  // namespace ringside::conformance
