#include "backends/netback/control.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>

namespace ringside::backends {

std::unique_ptr<Control> Control::connect(Handles& handles, uint16_t domain, uint32_t ref,
                                          uint32_t port, const NetbackProfile& profile,
                                          Steering& steering, std::span<StaticGrants> grants) {
  std::unique_ptr<Control> control(new Control(handles, domain, profile, steering, grants));
  if (!control->attach(ref, port)) return nullptr;
  return control;
}

bool Control::attach(uint32_t ref, uint32_t port) {
  page_ = xengnttab_map_grant_ref(handles_.grants, domain_, ref, PROT_READ | PROT_WRITE);
  if (page_ == nullptr) return false;
  auto ring = Ring::create({static_cast<std::byte*>(page_), ring::kRingPageSize});
  if (!ring) return false;
  ring_ = *ring;
  port_ = xenevtchn_bind_interdomain(handles_.events, domain_, port);
  return port_ >= 0;
}

Control::~Control() {
  if (port_ >= 0) xenevtchn_unbind(handles_.events, static_cast<evtchn_port_t>(port_));
  if (page_ != nullptr) xengnttab_unmap(handles_.grants, page_, 1);
}

bool Control::event(evtchn_port_t port) {
  if (static_cast<int>(port) != port_) return false;
  due_ = true;
  return true;
}

bool Control::serve() {
  if (!due_) return true;
  due_ = false;
  do {
    for (;;) {
      const auto request = ring_.take();
      if (!request) return false;
      if (!*request) break;
      const Answer answer = carry_out(**request);
      ring_.put(
          xen_netif_ctrl_response{(*request)->id, (*request)->type, answer.status, answer.data});
    }
    if (ring_.publish()) xenevtchn_notify(handles_.events, static_cast<evtchn_port_t>(port_));
  } while (!ring_.arm());
  return true;
}

Control::Answer Control::carry_out(const xen_netif_ctrl_request& request) {
  const auto& data = request.data;
  const bool chosen = steering_.algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_NONE;
  switch (request.type) {
    case XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM: return set_algorithm(data[0]);
    case XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS:  // NETIF-CTL-032
      if (!chosen) return {XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED};
      return {XEN_NETIF_CTRL_STATUS_SUCCESS, xenvif::kAllHashTypes};
    case XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS: return set_types(data[0]);
    case XEN_NETIF_CTRL_TYPE_SET_HASH_KEY: return set_key(data[0], data[1]);
    case XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE:
      return {XEN_NETIF_CTRL_STATUS_SUCCESS, kMaxMapping};
    case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE: return set_mapping_size(data[0]);
    case XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING: return set_mapping(data[0], data[1], data[2]);
    case XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE:
    case XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING:
    case XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING: return static_grants(request);
    default: return {XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED};  // NETIF-CTL-038
  }
}

Control::Answer Control::set_algorithm(uint32_t algorithm) {
  if (algorithm > XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ) {  // NETIF-CTL-036
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  steering_.algorithm = algorithm;
  return {};
}

Control::Answer Control::set_types(uint32_t types) {
  if (steering_.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE ||
      (types & ~xenvif::kAllHashTypes) != 0) {
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  steering_.types = types;
  return {};
}

Control::Answer Control::set_key(uint32_t ref, uint32_t length) {
  if (length > kMaxKey) return {XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW};  // NETIF-CTL-033
  std::array<std::byte, kMaxKey> key{};
  if (length > 0 && !fetch(ref, key.data(), length)) {
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  steering_.toeplitz.set_key(std::span(key).first(length));
  return {};
}

Control::Answer Control::set_mapping_size(uint32_t entries) {
  if (entries > kMaxMapping) return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  steering_.mapping.assign(entries, 0);  // NETIF-CTL-034
  return {};
}

Control::Answer Control::set_mapping(uint32_t ref, uint32_t entries, uint32_t offset) {
  const size_t size = steering_.mapping.size();
  std::array<uint32_t, kMaxMapping> table{};
  // NETIF-CTL-035
  if (entries > size || offset > size - entries) {
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  if (entries > 0 && !fetch(ref, table.data(), entries * sizeof(uint32_t))) {
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  const auto end = table.begin() + entries;
  if (std::any_of(table.begin(), end, [&](uint32_t queue) { return queue >= grants_.size(); })) {
    return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  }
  std::copy(table.begin(), end, steering_.mapping.begin() + offset);
  return {};
}

Control::Answer Control::static_grants(const xen_netif_ctrl_request& request) {
  if (profile_.max_static_grants == 0) return {XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED};
  const auto& [queue, ref, entries] = request.data;
  if (queue >= grants_.size()) return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  StaticGrants& grants = grants_[queue];
  if (request.type == XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE) {
    return {XEN_NETIF_CTRL_STATUS_SUCCESS, profile_.max_static_grants};
  }
  std::vector<xen_netif_gref> list(
      std::min<size_t>(entries, ring::kRingPageSize / sizeof(xen_netif_gref)));
  if (entries != list.size()) return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  void* page = xengnttab_map_grant_ref(handles_.grants, domain_, ref, PROT_READ | PROT_WRITE);
  if (page == nullptr) return {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER};
  Answer answer;
  auto* shared = static_cast<xen_netif_gref*>(page);
  std::copy_n(shared, list.size(), list.begin());
  if (request.type == XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING) {
    if (!grants.add(list)) answer.status = XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER;
  } else {
    answer.data = grants.remove(list);
    std::copy(list.begin(), list.end(), shared);
  }
  xengnttab_unmap(handles_.grants, page, 1);
  return answer;
}

bool Control::fetch(uint32_t ref, void* to, size_t bytes) {
  xengnttab_grant_copy_segment_t copy{};
  copy.source.foreign = {ref, 0, domain_};
  copy.dest.virt = to;
  copy.len = static_cast<uint16_t>(bytes);
  copy.flags = GNTCOPY_source_gref;
  return xengnttab_grant_copy(handles_.grants, 1, &copy) == 0 && copy.status == GNTST_okay;
}

}  // namespace ringside::backends
