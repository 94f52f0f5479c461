#include "sim/machine/profiles.hpp"

#include <algorithm>
#include <array>

namespace ringside::sim {
namespace {

constexpr XenProfile kProfiles[] = {
    {"3.4", xen_release(3, 4)},   {"4.0", xen_release(4, 0)},   {"4.1", xen_release(4, 1)},
    {"4.2", xen_release(4, 2)},   {"4.3", xen_release(4, 3)},   {"4.4", xen_release(4, 4)},
    {"4.5", xen_release(4, 5)},   {"4.6", xen_release(4, 6)},   {"4.7", xen_release(4, 7)},
    {"4.8", xen_release(4, 8)},   {"4.9", xen_release(4, 9)},   {"4.10", xen_release(4, 10)},
    {"4.11", xen_release(4, 11)}, {"4.12", xen_release(4, 12)}, {"4.13", xen_release(4, 13)},
    {"4.14", xen_release(4, 14)}, {"4.15", xen_release(4, 15)}, {"4.16", xen_release(4, 16)},
    {"4.17", xen_release(4, 17)},
};

/// As read in the sources of each release's first version: what the hypercall tables of HVM
/// guests let through and the answers of the handlers behind them.
constexpr XenFeatureRow kFeatures[] = {
    {XenFeature::kGrantMaps, xen_release(4, 0)},
    {XenFeature::kGrantVersions, xen_release(4, 0)},
    {XenFeature::kGrantVersionQuery, xen_release(4, 2)},
    {XenFeature::kGrantSwap, xen_release(4, 2)},
    {XenFeature::kReservedGrants, xen_release(4, 2)},
    {XenFeature::kConsole, xen_release(4, 1)},
    {XenFeature::kFifoEvents, xen_release(4, 4)},
    {XenFeature::kRemoveFromPhysmap, xen_release(4, 2)},
    {XenFeature::kGmfnRange, xen_release(4, 2)},
    {XenFeature::kPhysmapBatch, xen_release(4, 4)},
    {XenFeature::kMemoryMap, xen_release(4, 6)},
    {XenFeature::kWatchdog, xen_release(4, 1)},
    {XenFeature::kWatchdogErrors, xen_release(4, 2)},
    {XenFeature::kPollOpenPorts, xen_release(4, 15)},
    {XenFeature::kVcpuTimers, xen_release(4, 1)},
    {XenFeature::kVcpuInfo, xen_release(4, 2)},
    {XenFeature::kVcpuTimeArea, xen_release(4, 3)},
    {XenFeature::kVcpuAll, xen_release(4, 7)},
    {XenFeature::kVcpuInfoNxio, xen_release(4, 16)},
    {XenFeature::kCommandLine, xen_release(4, 0)},
    {XenFeature::kBuildId, xen_release(4, 7)},
    {XenFeature::kDom0Bit, xen_release(4, 2)},
    {XenFeature::kHvmTime, xen_release(4, 1)},
    {XenFeature::kHvmMemType, xen_release(4, 2)},
    {XenFeature::kUpcallVector, xen_release(4, 6)},
    {XenFeature::kAltp2m, xen_release(4, 6)},
    {XenFeature::kParamsListed, xen_release(4, 6)},
    {XenFeature::kParamsRetired, xen_release(4, 12)},
    {XenFeature::kPageTableDyingSelf, xen_release(4, 12)},
};

/// A number that a release changed.
struct Change {
  uint32_t since;
  uint32_t value;
};

constexpr Change kParams[] = {
    {xen_release(3, 4), 17}, {xen_release(4, 1), 24}, {xen_release(4, 2), 30},
    {xen_release(4, 3), 32}, {xen_release(4, 5), 35}, {xen_release(4, 6), 36},
    {xen_release(4, 7), 37}, {xen_release(4, 9), 38}, {xen_release(4, 10), 39},
};

/// Bits of XENVER_get_features that came with a release; none has gone.
constexpr Change kFeatureBits[] = {
    {xen_release(3, 4), 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap},
    {xen_release(4, 1),
     1u << XENFEAT_hvm_callback_vector | 1u << XENFEAT_hvm_safe_pvclock | 1u << XENFEAT_hvm_pirqs},
    {xen_release(4, 6), 1u << XENFEAT_memory_op_vnode_supported},
    {xen_release(4, 16), 1u << XENFEAT_not_direct_mapped},
};

}  // namespace

std::span<const XenProfile> xen_profiles() { return kProfiles; }

std::optional<XenProfile> find_xen_profile(std::string_view name) {
  const auto found = std::find_if(std::begin(kProfiles), std::end(kProfiles),
                                  [&](const XenProfile& one) { return one.name == name; });
  if (found == std::end(kProfiles)) return std::nullopt;
  return *found;
}

std::span<const XenFeatureRow> xen_features() { return kFeatures; }

bool has(uint32_t xen_version, XenFeature feature) {
  return xen_version >= kFeatures[static_cast<size_t>(feature)].since;
}

uint32_t hvm_params_of(uint32_t xen_version) {
  uint32_t params = 0;
  for (const Change& change : kParams) {
    if (xen_version >= change.since) params = change.value;
  }
  return params;
}

uint32_t hvm_features_of(uint32_t xen_version) {
  uint32_t bits = 0;
  for (const Change& change : kFeatureBits) {
    if (xen_version >= change.since) bits |= change.value;
  }
  return bits;
}

MachineConfig on_xen(const XenProfile& profile, MachineConfig config) {
  const auto has = [&](XenFeature feature) { return sim::has(profile.version, feature); };
  config.xen_version = profile.version;
  config.max_grant_version = has(XenFeature::kGrantVersions) ? 2 : 1;
  config.grant_versions = has(XenFeature::kGrantVersions);
  config.grant_swap = has(XenFeature::kGrantSwap);
  config.fifo_events = has(XenFeature::kFifoEvents);
  config.upcall_vector = has(XenFeature::kUpcallVector);
  config.physmap_batch = has(XenFeature::kPhysmapBatch);
  return config;
}

}  // namespace ringside::sim
