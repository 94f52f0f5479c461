#include <gtest/gtest.h>

#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenfilt/emulated_devices.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Emulated;
using xenfilt::EmulatedDevices;

/// XENFILT below a XENBUS, in a guest of its own.
class EmulatedTest : public testing::Test {
 protected:
  EmulatedTest() : guest_(host_.machine(), host_.toolstack().create_domain()) {}

  /// Runs `body` with both drivers up.
  void with_drivers(const std::function<void(EmulatedDevices&, xenbus::BusDirectory&)>& body) {
    EXPECT_TRUE(guest_.run(
        0,
        [&] {
          EmulatedDevices filter(guest_.platform());
          ASSERT_EQ(filter.start(), Status::kOk);
          auto bus = xenbus::Bus::create(guest_.platform(), guest_.hypercall(), &filter);
          ASSERT_TRUE(bus);
          body(filter, (*bus)->directory());
          EXPECT_EQ(filter.references(), 0u);
        },
        Host::kPatience));
    EXPECT_EQ(guest_.audit(), std::vector<std::string>{});
  }

  Host host_;
  sim::Guest guest_;
};

TEST_F(EmulatedTest, TheQuestionIsAnsweredThroughXenbus) {
  with_drivers([](EmulatedDevices& filter, xenbus::BusDirectory& directory) {
    EXPECT_EQ(filter.add_device("PCI\\VEN_8086&DEV_100E", "00&20"), Status::kOk);
    EXPECT_EQ(filter.add_disk(0, 0, 0), Status::kOk);
    const auto emulated = xenbus::acquire<Emulated>(directory, {1, 9}, "XENVBD");
    ASSERT_TRUE(emulated);
    EXPECT_EQ(emulated->version(), 3);
    EXPECT_EQ(filter.references(), 1u);
    const Emulated& question = **emulated;
    EXPECT_TRUE(question.is_device_present("PCI\\VEN_8086&DEV_100E", "00&20"));
    EXPECT_TRUE(question.is_device_present("pci\\ven_8086&dev_100e", "00&20"));
    EXPECT_FALSE(question.is_device_present("PCI\\VEN_8086&DEV_100E", "00&21"));
    EXPECT_FALSE(question.is_device_present("PCI\\VEN_8086&DEV_100", "E00&20"));
    EXPECT_TRUE(question.is_disk_present(0, 0, 0));
    EXPECT_FALSE(question.is_disk_present(0, 1, 0));
    EXPECT_FALSE(question.is_device_present("", ""));
  });
}

TEST_F(EmulatedTest, WhatIsUnpluggedIsNotPresentAnyMore) {
  with_drivers([](EmulatedDevices& filter, xenbus::BusDirectory& directory) {
    const auto emulated = xenbus::acquire<Emulated>(directory, {1, 3}, "XENVBD");
    ASSERT_TRUE(emulated);
    for (unsigned target = 0; target < 4; ++target) {
      EXPECT_EQ(filter.add_disk(0, target, 0), Status::kOk);
      EXPECT_EQ(filter.add_disk(0, target, 0), Status::kExists);
    }
    EXPECT_EQ(filter.remove_disk(0, 1, 0), Status::kOk);
    EXPECT_EQ(filter.remove_disk(0, 3, 0), Status::kOk);
    EXPECT_EQ(filter.remove_disk(0, 3, 0), Status::kNotFound);
    EXPECT_EQ(filter.remove_device("PCI\\X", "1"), Status::kNotFound);
    for (unsigned target = 0; target < 4; ++target) {
      EXPECT_EQ((*emulated)->is_disk_present(0, target, 0), target % 2 == 0);
    }
  });
}

TEST_F(EmulatedTest, NoMemoryIsAnErrorAndNothingElse) {
  with_drivers([this](EmulatedDevices& filter, xenbus::BusDirectory& directory) {
    for (uint64_t n = 1; n <= 3; ++n) {
      guest_.fail_allocation_at(n);
      EXPECT_EQ(filter.add_disk(1, 2, 3), Status::kNoMemory);
    }
    guest_.fail_allocation_at(1);
    EXPECT_EQ(xenbus::acquire<Emulated>(directory, {1, 3}, "XENVBD").status(), Status::kNoMemory);
    EXPECT_EQ(xenbus::acquire<Emulated>(directory, {4, 5}, "XENVBD").status(),
              Status::kNotSupported);
  });
}

TEST_F(EmulatedTest, WithoutXenfiltNobodyKnows) {
  DriverGuest alone(host_);
  alone.run([&] {
    EXPECT_EQ(xenbus::acquire<Emulated>(alone.bus().directory(), {1, 3}, "XENVBD").status(),
              Status::kNotFound);
  });
}

}  // namespace
}  // namespace ringside::conformance
