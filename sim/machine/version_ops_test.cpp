#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "sim/machine/xen_rig_test.hpp"

namespace ringside::sim {
namespace {

class VersionOpsTest : public testing::Test {
 protected:
  template <typename T>
  int64_t ask(unsigned command, T& argument) {
    return xen_.call_with(__HYPERVISOR_xen_version, command, argument);
  }
  template <typename T>
  int64_t ask_as_dom0(unsigned command, T& argument) {
    return xen_.call_as(xen_.machine.dom0(), __HYPERVISOR_xen_version, command, argument);
  }

  XenRig xen_;
};

TEST_F(VersionOpsTest, NumbersAreTheAnswer) {
  EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, XENVER_version), 0x40011);
  EXPECT_EQ(XenRig("3.4").call(__HYPERVISOR_xen_version, XENVER_version), 0x30004);
  EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, XENVER_pagesize), int64_t{kPageSize});
  EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, XENVER_pagesize, 0x100000), -XEN_EINVAL);
  EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, 99), -XEN_ENOSYS);
}

TEST_F(VersionOpsTest, WhatIsWrittenNeedsAPlace) {
  for (const unsigned command :
       {XENVER_extraversion, XENVER_compile_info, XENVER_capabilities, XENVER_changeset,
        XENVER_platform_parameters, XENVER_get_features, XENVER_guest_handle, XENVER_commandline}) {
    EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, command), -XEN_EFAULT) << command;
    EXPECT_EQ(xen_.call(__HYPERVISOR_xen_version, command, kNoAddress), -XEN_EFAULT) << command;
  }
}

TEST_F(VersionOpsTest, TextsFillTheirField) {
  xen_extraversion_t extra;
  std::fill(std::begin(extra), std::end(extra), 'x');
  EXPECT_EQ(ask(XENVER_extraversion, extra), 0);
  EXPECT_EQ(extra[0], '.');
  EXPECT_EQ(extra[sizeof(extra) - 1], 0);
  xen_compile_info_t info;
  std::memset(&info, 'x', sizeof(info));
  EXPECT_EQ(ask(XENVER_compile_info, info), 0);
  EXPECT_EQ(info.compile_by[sizeof(info.compile_by) - 1], 0);
  EXPECT_EQ(info.compile_date[sizeof(info.compile_date) - 1], 0);
  xen_capabilities_info_t capabilities;
  EXPECT_EQ(ask(XENVER_capabilities, capabilities), 0);
  EXPECT_NE(std::string(capabilities).find("hvm-3.0-x86_64 "), std::string::npos);
  xen_changeset_info_t changeset;
  EXPECT_EQ(ask(XENVER_changeset, changeset), 0);
  EXPECT_NE(std::string(changeset).find("git:"), std::string::npos);
}

TEST_F(VersionOpsTest, ThePlaceOfXenAndTheGuestsName) {
  xen_platform_parameters_t parameters{};
  EXPECT_EQ(ask(XENVER_platform_parameters, parameters), 0);
  EXPECT_EQ(parameters.virt_start, 0xffff800000000000u);
  std::array<uint8_t, 16> name{};
  for (size_t i = 0; i < name.size(); ++i) name[i] = static_cast<uint8_t>(i);
  xen_.guest.set_handle(name);
  std::array<uint8_t, 16> handle{};
  EXPECT_EQ(ask(XENVER_guest_handle, handle), 0);
  EXPECT_EQ(handle, name);
}

TEST_F(VersionOpsTest, FeaturesAreThoseOfTheRelease) {
  xen_feature_info_t info{};
  EXPECT_EQ(ask(XENVER_get_features, info), 0);
  EXPECT_EQ(info.submap, hvm_features_of(xen_release(4, 17)));
  XenRig old("4.0");
  EXPECT_EQ(old.call_with(__HYPERVISOR_xen_version, XENVER_get_features, info), 0);
  EXPECT_EQ(info.submap, hvm_features_of(xen_release(4, 0)));
  info.submap_idx = XENFEAT_NR_SUBMAPS;
  EXPECT_EQ(ask(XENVER_get_features, info), -XEN_EINVAL);
  info.submap_idx = 0;
  EXPECT_EQ(ask_as_dom0(XENVER_get_features, info), 0);
  EXPECT_NE(info.submap & 1u << XENFEAT_dom0, 0u);
  EXPECT_EQ(info.submap & 1u << XENFEAT_auto_translated_physmap, 0u);
}

TEST_F(VersionOpsTest, TheCommandLineIsForDom0) {
  xen_commandline_t line{};
  line[10] = 'x';
  EXPECT_EQ(ask(XENVER_commandline, line), 0);
  EXPECT_STREQ(line, "<denied>");
  EXPECT_EQ(line[10], 'x') << "no more than that is written";
  EXPECT_EQ(ask_as_dom0(XENVER_commandline, line), 0);
  EXPECT_STRNE(line, "<denied>");
  XenRig open("4.6");
  EXPECT_EQ(open.call_with(__HYPERVISOR_xen_version, XENVER_commandline, line), 0);
  EXPECT_STRNE(line, "<denied>");
  XenRig without("3.4");
  EXPECT_EQ(without.call_with(__HYPERVISOR_xen_version, XENVER_commandline, line), -XEN_ENOSYS);
}

TEST_F(VersionOpsTest, TheBuildIdIsForDom0) {
  struct {
    uint32_t len = 0;
    unsigned char bytes[64] = {};
  } id;
  EXPECT_EQ(ask(XENVER_build_id, id), -XEN_EPERM);
  EXPECT_EQ(ask_as_dom0(XENVER_build_id, id), -XEN_EINVAL);
  const int64_t size =
      xen_.machine.hypercall(xen_.machine.dom0(), 0, __HYPERVISOR_xen_version, XENVER_build_id);
  ASSERT_EQ(size, 20);
  id.len = static_cast<uint32_t>(size - 1);
  EXPECT_EQ(ask_as_dom0(XENVER_build_id, id), -XEN_ENOBUFS);
  id.len = sizeof(id.bytes);
  EXPECT_EQ(ask_as_dom0(XENVER_build_id, id), size);
  EXPECT_NE(id.bytes[0], 0);
  EXPECT_EQ(id.bytes[size], 0);
  XenRig old("4.6");
  EXPECT_EQ(old.call_with(__HYPERVISOR_xen_version, XENVER_build_id, id), -XEN_ENOSYS);
}

}  // namespace
}  // namespace ringside::sim
