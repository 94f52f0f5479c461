#include <algorithm>
#include <cstring>
#include <string_view>

#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

constexpr std::string_view kDenied = "<denied>";
constexpr std::string_view kCommandLine = "console=none";
constexpr unsigned char kBuildId[] = {0x52, 0x69, 0x6e, 0x67, 0x73, 0x69, 0x64, 0x65, 0x2d, 0x58,
                                      0x65, 0x6e, 0x2d, 0x62, 0x75, 0x69, 0x6c, 0x64, 0x2d, 0x31};

/// Fills a fixed array; what is longer is cut, and it ends in zeros in any case.
template <size_t size>
void put(char (&field)[size], std::string_view text) {
  std::memset(field, 0, size);
  text.copy(field, size - 1);
}

int64_t extraversion(const Caller&, xen_extraversion_t& field) {
  put(field, ".0-ringside");
  return 0;
}

int64_t compile_info(const Caller&, xen_compile_info_t& info) {
  put(info.compiler, __VERSION__);
  put(info.compile_by, "ringside");
  put(info.compile_domain, "localdomain");
  put(info.compile_date, "Thu Jan  1 00:00:00 UTC 1970");
  return 0;
}

/// The interface's name begins with xen-3.0 on every later Xen too.
int64_t capabilities(const Caller&, xen_capabilities_info_t& field) {
  put(field, "xen-3.0-x86_64 xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ");
  return 0;
}

int64_t changeset(const Caller&, xen_changeset_info_t& field) {
  put(field, "Thu Jan 1 00:00:00 1970 +0000 git:0000000");
  return 0;
}

int64_t platform_parameters(const Caller&, xen_platform_parameters_t& parameters) {
  parameters.virt_start = 0xffff800000000000;
  return 0;
}

uint32_t features_of(const Caller& caller) {
  if (caller.domain.hvm()) return hvm_features_of(caller.xen_version());
  constexpr uint32_t kPv = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
                           1u << XENFEAT_gnttab_map_avail_bits;
  return caller.knows(XenFeature::kDom0Bit) ? kPv | 1u << XENFEAT_dom0 : kPv;
}

int64_t get_features(const Caller& caller, xen_feature_info_t& info) {
  if (info.submap_idx >= XENFEAT_NR_SUBMAPS) return error(XEN_EINVAL);
  info.submap = features_of(caller);
  return 0;
}

int64_t guest_handle(const Caller& caller, xen_domain_handle_t& handle) {
  std::memcpy(handle, caller.domain.handle().data(), sizeof(handle));
  return 0;
}

/// The whole buffer is written, but to those who must not know only the word that says so.
int64_t command_line(const Caller& caller, uint64_t argument) {
  const bool denied = caller.knows(XenFeature::kBuildId) && !caller.privileged();
  const size_t bytes = denied ? kDenied.size() + 1 : sizeof(xen_commandline_t);
  if (!accessible(argument, bytes)) return error(XEN_EFAULT);
  auto* text = argument_at<char>(argument);
  std::memset(text, 0, bytes);
  (denied ? kDenied : kCommandLine).copy(text, bytes - 1);
  return 0;
}

int64_t build_id(const Caller& caller, uint64_t argument) {
  if (!caller.privileged()) return error(XEN_EPERM);
  if (argument == 0) return sizeof(kBuildId);
  if (!accessible(argument, sizeof(xen_build_id_t))) return error(XEN_EFAULT);
  auto& op = *argument_at<xen_build_id_t>(argument);
  if (op.len == 0) return error(XEN_EINVAL);
  if (op.len < sizeof(kBuildId)) return error(XEN_ENOBUFS);
  auto* bytes = argument_at<unsigned char>(argument + offsetof(xen_build_id_t, buf));
  std::copy(std::begin(kBuildId), std::end(kBuildId), bytes);
  return sizeof(kBuildId);
}

bool exists(const Caller& caller, unsigned command) {
  if (command == XENVER_commandline) return caller.knows(XenFeature::kCommandLine);
  return command != XENVER_build_id || caller.knows(XenFeature::kBuildId);
}

}  // namespace

int64_t xen_version(const Caller& caller, unsigned command, uint64_t argument) {
  if (!exists(caller, command)) return error(XEN_ENOSYS);
  switch (command) {
    case XENVER_version: return caller.xen_version();
    case XENVER_extraversion:
      return with_argument<xen_extraversion_t>(caller, argument, extraversion);
    case XENVER_compile_info:
      return with_argument<xen_compile_info_t>(caller, argument, compile_info);
    case XENVER_capabilities:
      return with_argument<xen_capabilities_info_t>(caller, argument, capabilities);
    case XENVER_changeset: return with_argument<xen_changeset_info_t>(caller, argument, changeset);
    case XENVER_platform_parameters:
      return with_argument<xen_platform_parameters_t>(caller, argument, platform_parameters);
    case XENVER_get_features:
      return with_argument<xen_feature_info_t>(caller, argument, get_features);
    case XENVER_pagesize: return argument == 0 ? int64_t{kPageSize} : error(XEN_EINVAL);
    case XENVER_guest_handle:
      return with_argument<xen_domain_handle_t>(caller, argument, guest_handle);
    case XENVER_commandline: return command_line(caller, argument);
    case XENVER_build_id: return build_id(caller, argument);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
