#include "protocols/xenvif/hash_control.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::xenvif {
namespace {

Status tell_key(ControlRing& control, const HashConfig& config) {
  std::memcpy(control.parameters().data(), config.key.data(), config.key_length);
  return control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, control.parameters_ref(), config.key_length)
      .status();
}

Status tell_mapping(ControlRing& control, const HashConfig& config, unsigned queues) {
  const auto most = control.call(XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE);
  if (!most) return most.status();
  // NETIF-CTL-034: without a table the hash counts modulo the queues.
  const unsigned size = config.mapping_size <= *most ? config.mapping_size : 0;
  const auto sized = control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, size);
  if (!sized || size == 0) return sized.status();
  auto* table = reinterpret_cast<uint32_t*>(control.parameters().data());
  // NETIF-CTL-035: only queues of this connection.
  for (unsigned i = 0; i < size; ++i) table[i] = config.mapping[i] % queues;
  return control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, control.parameters_ref(), size, 0)
      .status();
}

Status tell_toeplitz(ControlRing& control, const HashConfig& config, unsigned queues) {
  // NETIF-CTL-033: what is hashed before the key is there has a hash of its own.
  if (const Status status = tell_key(control, config); !ok(status)) return status;
  if (const Status status = tell_mapping(control, config, queues); !ok(status)) return status;
  auto answer =
      control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
  if (!answer) return answer.status();
  // NETIF-CTL-032: what it can hash is known only once there is an algorithm.
  const auto supported = control.call(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
  if (!supported) return supported.status();
  const HashTypes types = config.types & *supported;
  if (types == 0) return Status::kNotSupported;
  return control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, types).status();
}

}  // namespace

Status tell_hash(ControlRing& control, const HashConfig& config, unsigned queues) {
  const Status status =
      config.types == 0 ? Status::kNotSupported : tell_toeplitz(control, config, queues);
  // NETIF-CTL-036: half a configuration is worse than none.
  if (!ok(status)) {
    (void)control.call(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
  }
  return status;
}

Status tell_static_grants(ControlRing& control, unsigned queue,
                          std::span<const xenbus::GrantRef> refs) {
  const auto room = control.call(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, queue);
  if (!room) return room.status();
  const size_t fit = control.parameters().size() / sizeof(xen_netif_gref);
  const size_t count = std::min({refs.size(), fit, size_t{*room}});
  if (count == 0) return Status::kNotSupported;
  auto* list = reinterpret_cast<xen_netif_gref*>(control.parameters().data());
  for (size_t i = 0; i < count; ++i) list[i] = {refs[i], XEN_NETIF_CTRLF_GREF_readonly, 0};
  return control
      .call(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, queue, control.parameters_ref(),
            static_cast<uint32_t>(count))
      .status();
}

}  // namespace ringside::xenvif
