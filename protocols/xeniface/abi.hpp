#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The published interface of the XENIFACE device: what programs are compiled against.
///
/// Names, numbers and layouts are those of xeniface_ioctls.h of the Windows PV drivers. Most
/// structures hold pointers or handles, and a process of 32 bits lays them out in another way
/// than one of 64; both are spelled out here, whatever this code itself is compiled for.
namespace ringside::xeniface {

/// NTSTATUS: what a request ends with.
enum class NtStatus : uint32_t {
  kSuccess = 0x00000000,
  kPending = 0x00000103,
  kBufferOverflow = 0x80000005,
  kDeviceBusy = 0x80000011,
  kAccessViolation = 0xc0000005,
  kInvalidHandle = 0xc0000008,
  kInvalidParameter = 0xc000000d,
  kInvalidDeviceRequest = 0xc0000010,
  kNoMemory = 0xc0000017,
  kAccessDenied = 0xc0000022,
  kObjectNameNotFound = 0xc0000034,
  kObjectNameCollision = 0xc0000035,
  kInsufficientResources = 0xc000009a,
  kMediaWriteProtected = 0xc00000a2,
  kDeviceNotReady = 0xc00000a3,
  kIoTimeout = 0xc00000b5,
  kNotSupported = 0xc00000bb,
  kCancelled = 0xc0000120,
  kIoDeviceError = 0xc0000185,
  kDeviceProtocolError = 0xc0000186,
  kInvalidBufferSize = 0xc0000206,
  kNotFound = 0xc0000225,
  kRetry = 0xc000022d,
};

/// CTL_CODE() of FILE_DEVICE_UNKNOWN with FILE_ANY_ACCESS.
constexpr uint32_t control_code(uint32_t function, uint32_t method) {
  return uint32_t{0x22} << 16 | function << 2 | method;
}
inline constexpr uint32_t kMethodBuffered = 0;
inline constexpr uint32_t kMethodNeither = 3;

enum class Ioctl : uint32_t {
  kStoreRead = control_code(0x800, kMethodBuffered),
  kStoreWrite = control_code(0x801, kMethodBuffered),
  kStoreDirectory = control_code(0x802, kMethodBuffered),
  kStoreRemove = control_code(0x803, kMethodBuffered),
  kStoreSetPermissions = control_code(0x804, kMethodBuffered),
  kStoreAddWatch = control_code(0x805, kMethodBuffered),
  kStoreRemoveWatch = control_code(0x806, kMethodBuffered),
  kEvtchnBindInterdomain = control_code(0x810, kMethodBuffered),
  kEvtchnBindUnbound = control_code(0x811, kMethodBuffered),
  kEvtchnClose = control_code(0x812, kMethodBuffered),
  kEvtchnNotify = control_code(0x813, kMethodBuffered),
  kEvtchnUnmask = control_code(0x814, kMethodBuffered),
  kGnttabPermit = control_code(0x820, kMethodNeither),
  kGnttabRevoke = control_code(0x821, kMethodBuffered),
  kGnttabMap = control_code(0x822, kMethodNeither),
  kGnttabUnmap = control_code(0x823, kMethodBuffered),
  kGnttabPermitV2 = control_code(0x824, kMethodNeither),
  kGnttabRevokeV2 = control_code(0x825, kMethodBuffered),
  kGnttabMapV2 = control_code(0x826, kMethodNeither),
  kGnttabUnmapV2 = control_code(0x827, kMethodBuffered),
  kSuspendGetCount = control_code(0x830, kMethodBuffered),
  kSuspendRegister = control_code(0x831, kMethodBuffered),
  kSuspendDeregister = control_code(0x832, kMethodBuffered),
  kSharedInfoGetTime = control_code(0x840, kMethodBuffered),
  kLog = control_code(0x84f, kMethodBuffered),
};
constexpr bool is_buffered(uint32_t code) { return (code & 3) == kMethodBuffered; }

static_assert(control_code(0x800, kMethodBuffered) == 0x222000);
static_assert(control_code(0x824, kMethodNeither) == 0x222093);

/// GUID_INTERFACE_XENIFACE, by which programs find the device.
struct Guid {
  uint32_t data1;
  uint16_t data2;
  uint16_t data3;
  uint8_t data4[8];
};
inline constexpr Guid kInterfaceGuid = {
    0xb2cfb085, 0xaa5e, 0x47e1, {0x8b, 0xf7, 0x97, 0x93, 0xf3, 0x15, 0x45, 0x65}};

/// Who may open the device: LocalSystem and the administrators, nobody else. The shell gives it
/// to the device object and to the INF, and opens of names below the device are checked against
/// it too. Source: XSA-468.
inline constexpr std::string_view kDeviceSecurity = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";
inline constexpr uint32_t kDeviceCharacteristics = 0x100;  ///< FILE_DEVICE_SECURE_OPEN

inline constexpr uint32_t kMaxPath = 3072;  ///< bytes of a path, its NUL included
inline constexpr uint32_t kMaxPermissions = 255;
inline constexpr uint32_t kMaxLogLength = 256;  ///< bytes of a message, its NUL included
inline constexpr uint32_t kMaxPages = 1024 * 1024;

/// XENIFACE_STORE_PERMISSION_MASK
inline constexpr uint32_t kPermissionRead = 1;
inline constexpr uint32_t kPermissionWrite = 2;

/// XENIFACE_GNTTAB_PAGE_FLAGS
inline constexpr uint32_t kReadOnly = 1;
inline constexpr uint32_t kUseNotifyOffset = 2;
inline constexpr uint32_t kUseNotifyPort = 4;
inline constexpr uint32_t kAllPageFlags = kReadOnly | kUseNotifyOffset | kUseNotifyPort;

// --- structures; Pointer is uint32_t or uint64_t ---------------------------------------------

struct StorePermission {
  uint16_t domain;
  uint32_t mask;
};

/// Followed by `count` (at least one) StorePermission.
template <typename Pointer>
struct StoreSetPermissionsIn {
  Pointer path;
  uint32_t path_length;
  uint32_t count;
};

template <typename Pointer>
struct StoreAddWatchIn {
  Pointer path;
  uint32_t path_length;
  Pointer event;
};

template <typename Pointer>
struct EvtchnBindInterdomainIn {
  uint16_t remote_domain;
  uint32_t remote_port;
  uint8_t mask;
  Pointer event;
};

template <typename Pointer>
struct EvtchnBindUnboundIn {
  uint16_t remote_domain;
  uint8_t mask;
  Pointer event;
};

/// Close, notify and unmask, and what both kinds of bind answer.
struct EvtchnPort {
  uint32_t local_port;
};

struct GnttabPermitIn {
  uint32_t request_id;
  uint16_t remote_domain;
  uint32_t pages;
  uint32_t flags;
  uint32_t notify_offset;
  uint32_t notify_port;
};

template <typename Pointer>
struct GnttabPermitInV2 {
  uint16_t remote_domain;
  Pointer address;
  uint32_t pages;
  uint32_t flags;
  uint32_t notify_offset;
  uint32_t notify_port;
};

/// Followed by `pages` references of 32 bits.
struct GnttabMapIn {
  uint32_t request_id;
  uint16_t remote_domain;
  uint32_t pages;
  uint32_t flags;
  uint32_t notify_offset;
  uint32_t notify_port;
};

/// Followed by `pages` references of 32 bits.
struct GnttabMapInV2 {
  uint16_t remote_domain;
  uint32_t pages;
  uint32_t flags;
  uint32_t notify_offset;
  uint32_t notify_port;
};

/// Revoke and unmap of version 1.
struct GnttabRequestId {
  uint32_t request_id;
};

/// A pointer or handle alone: the watch or suspend context, the address of a region (revoke and
/// unmap of version 2, the answer to a map; that to a permit has its references behind it).
template <typename Pointer>
struct OnePointer {
  Pointer value;
};

struct SharedInfoGetTimeOut {
  uint32_t time_low;  ///< FILETIME: units of 100 ns since 1601
  uint32_t time_high;
  uint8_t local;
  uint8_t padding[3];
};

// --- the layouts that compilers for x64 and i386 Windows give the published structures --------

static_assert(sizeof(StorePermission) == 8 && offsetof(StorePermission, mask) == 4);
static_assert(sizeof(StoreSetPermissionsIn<uint64_t>) == 16);
static_assert(sizeof(StoreSetPermissionsIn<uint32_t>) == 12);
static_assert(sizeof(StoreAddWatchIn<uint64_t>) == 24);
static_assert(offsetof(StoreAddWatchIn<uint64_t>, path_length) == 8);
static_assert(offsetof(StoreAddWatchIn<uint64_t>, event) == 16);
static_assert(sizeof(StoreAddWatchIn<uint32_t>) == 12);
static_assert(offsetof(StoreAddWatchIn<uint32_t>, event) == 8);
static_assert(sizeof(EvtchnBindInterdomainIn<uint64_t>) == 24);
static_assert(offsetof(EvtchnBindInterdomainIn<uint64_t>, remote_port) == 4);
static_assert(offsetof(EvtchnBindInterdomainIn<uint64_t>, mask) == 8);
static_assert(offsetof(EvtchnBindInterdomainIn<uint64_t>, event) == 16);
static_assert(sizeof(EvtchnBindInterdomainIn<uint32_t>) == 16);
static_assert(offsetof(EvtchnBindInterdomainIn<uint32_t>, event) == 12);
static_assert(sizeof(EvtchnBindUnboundIn<uint64_t>) == 16);
static_assert(offsetof(EvtchnBindUnboundIn<uint64_t>, mask) == 2);
static_assert(offsetof(EvtchnBindUnboundIn<uint64_t>, event) == 8);
static_assert(sizeof(EvtchnBindUnboundIn<uint32_t>) == 8);
static_assert(offsetof(EvtchnBindUnboundIn<uint32_t>, event) == 4);
static_assert(sizeof(EvtchnPort) == 4);
static_assert(sizeof(GnttabPermitIn) == 24 && offsetof(GnttabPermitIn, pages) == 8);
static_assert(offsetof(GnttabPermitIn, notify_port) == 20);
static_assert(sizeof(GnttabPermitInV2<uint64_t>) == 32);
static_assert(offsetof(GnttabPermitInV2<uint64_t>, address) == 8);
static_assert(offsetof(GnttabPermitInV2<uint64_t>, pages) == 16);
static_assert(offsetof(GnttabPermitInV2<uint64_t>, notify_port) == 28);
static_assert(sizeof(GnttabPermitInV2<uint32_t>) == 24);
static_assert(offsetof(GnttabPermitInV2<uint32_t>, address) == 4);
static_assert(offsetof(GnttabPermitInV2<uint32_t>, notify_port) == 20);
static_assert(sizeof(GnttabMapIn) == 24 && offsetof(GnttabMapIn, pages) == 8);
static_assert(sizeof(GnttabMapInV2) == 20 && offsetof(GnttabMapInV2, pages) == 4);
static_assert(sizeof(OnePointer<uint64_t>) == 8 && sizeof(OnePointer<uint32_t>) == 4);
static_assert(sizeof(SharedInfoGetTimeOut) == 12 && offsetof(SharedInfoGetTimeOut, local) == 8);

/// The longest input of any request, the map of the most pages: what a shell need copy at most.
inline constexpr size_t kLongestInput = sizeof(GnttabMapIn) + size_t{4} * kMaxPages;

}  // namespace ringside::xeniface
