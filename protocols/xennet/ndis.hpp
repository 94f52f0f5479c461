#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xennet/net_buffer.hpp"

namespace ringside::xennet {

/// What the miniport calls in NDIS; a kernel's shell passes it on. Lists come and go at up to
/// dispatch level on any CPU, the others at passive level unless they say otherwise.
class Ndis {
 public:
  /// NdisMSendNetBufferListsComplete: `chain` is NDIS's again.
  virtual void send_complete(NetBufferList* chain) = 0;
  /// NdisMIndicateReceiveNetBufferLists, with kReceive* flags. Each list comes back through
  /// Adapter::return_lists(), but with kReceiveResources when this returns.
  virtual void receive(NetBufferList* chain, uint32_t count, uint32_t flags) = 0;
  /// NdisMIndicateStatusEx.
  virtual void status(NdisStatus status, std::span<const std::byte> what) = 0;
  /// NdisMPauseComplete, up to dispatch level, possibly from within pause().
  virtual void pause_complete() = 0;

 protected:
  ~Ndis() = default;
};

}  // namespace ringside::xennet
