#pragma once

#include <cstdint>

namespace ringside::xennet {

/// Values of NDIS_STATUS as they are used here. Source: ndis.h; kernel/xennet_abi.cpp.
enum class NdisStatus : uint32_t {
  kSuccess = 0,
  kPending = 0x103,
  kLinkState = 0x40010017,      ///< indication: struct LinkState
  kOffloadConfig = 0x40020006,  ///< indication: struct Offload
  kFailure = 0xc0000001,
  kInvalidParameter = 0xc000000d,
  kResources = 0xc000009a,
  kNotSupported = 0xc00000bb,
  kMulticastFull = 0xc0010009,
  kInvalidPacket = 0xc001000f,
  kAdapterNotReady = 0xc0010011,
  kInvalidLength = 0xc0010014,
  kInvalidData = 0xc0010015,
  kBufferTooShort = 0xc0010016,
  kInvalidOid = 0xc0010017,
  kSendAborted = 0xc023000c,
  kMediaDisconnected = 0xc023001f,
  kPaused = 0xc023002a,
  kLowPowerState = 0xc023002f,
};

}  // namespace ringside::xennet
