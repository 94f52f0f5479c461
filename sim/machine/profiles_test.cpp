#include "sim/machine/profiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace ringside::sim {
namespace {

MachineConfig on(std::string_view name) { return on_xen(*find_xen_profile(name)); }

TEST(XenProfilesTest, EachIsNamedAsItsVersionIs) {
  for (const XenProfile& profile : xen_profiles()) {
    EXPECT_EQ(profile.name, std::to_string(profile.version >> 16) + "." +
                                std::to_string(profile.version & 0xffff));
  }
  EXPECT_TRUE(std::is_sorted(
      xen_profiles().begin(), xen_profiles().end(),
      [](const XenProfile& a, const XenProfile& b) { return a.version < b.version; }));
  EXPECT_EQ(xen_profiles().front().name, "3.4");
  EXPECT_EQ(xen_profiles().back().name, "4.17");
  EXPECT_FALSE(find_xen_profile("4.99"));
  EXPECT_FALSE(find_xen_profile(""));
}

TEST(XenProfilesTest, TheFeaturesStandInTheirOrderAndInAKnownRelease) {
  for (size_t i = 0; i < xen_features().size(); ++i) {
    const XenFeatureRow& row = xen_features()[i];
    EXPECT_EQ(static_cast<size_t>(row.feature), i);
    EXPECT_TRUE(std::any_of(xen_profiles().begin(), xen_profiles().end(),
                            [&](const XenProfile& one) { return one.version == row.since; }))
        << i;
  }
  EXPECT_EQ(static_cast<size_t>(XenFeature::kPageTableDyingSelf) + 1, xen_features().size());
}

TEST(XenProfilesTest, TheNewestIsWhatAMachineIsWithoutAProfile) {
  const MachineConfig newest = on("4.17");
  const MachineConfig plain;
  EXPECT_EQ(newest.xen_version, plain.xen_version);
  EXPECT_EQ(newest.max_grant_version, plain.max_grant_version);
  EXPECT_EQ(newest.grant_versions, plain.grant_versions);
  EXPECT_EQ(newest.grant_swap, plain.grant_swap);
  EXPECT_EQ(newest.upcall_vector, plain.upcall_vector);
  EXPECT_EQ(newest.fifo_events, plain.fifo_events);
  EXPECT_EQ(newest.physmap_batch, plain.physmap_batch);
}

TEST(XenProfilesTest, WhatTheMachineIsOtherwiseStays) {
  EXPECT_EQ(on_xen(*find_xen_profile("4.1"), {.frames = 4711}).frames, 4711u);
}

TEST(XenProfilesTest, FeaturesCameWithTheirRelease) {
  EXPECT_FALSE(on("3.4").grant_versions);
  EXPECT_EQ(on("3.4").max_grant_version, 1u);
  EXPECT_TRUE(on("4.0").grant_versions);
  EXPECT_EQ(on("4.0").max_grant_version, 2u);
  EXPECT_FALSE(on("4.1").grant_swap);
  EXPECT_TRUE(on("4.2").grant_swap);
  EXPECT_FALSE(on("4.3").fifo_events);
  EXPECT_TRUE(on("4.4").fifo_events);
  EXPECT_FALSE(on("4.3").physmap_batch);
  EXPECT_TRUE(on("4.4").physmap_batch);
  EXPECT_FALSE(on("4.5").upcall_vector);
  EXPECT_TRUE(on("4.6").upcall_vector);
}

TEST(XenProfilesTest, ParametersAndFeatureBitsGrow) {
  EXPECT_EQ(hvm_params_of(xen_release(3, 4)), 17u);
  EXPECT_EQ(hvm_params_of(xen_release(4, 0)), 17u);
  EXPECT_EQ(hvm_params_of(xen_release(4, 1)), 24u);
  EXPECT_EQ(hvm_params_of(xen_release(4, 8)), 37u);
  EXPECT_EQ(hvm_params_of(xen_release(4, 17)), uint32_t{HVM_NR_PARAMS});
  EXPECT_EQ(hvm_features_of(xen_release(4, 0)),
            1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap);
  EXPECT_NE(hvm_features_of(xen_release(4, 1)) & 1u << XENFEAT_hvm_callback_vector, 0u);
  EXPECT_EQ(hvm_features_of(xen_release(4, 5)) & 1u << XENFEAT_memory_op_vnode_supported, 0u);
  EXPECT_NE(hvm_features_of(xen_release(4, 16)) & 1u << XENFEAT_not_direct_mapped, 0u);
}

}  // namespace
}  // namespace ringside::sim
