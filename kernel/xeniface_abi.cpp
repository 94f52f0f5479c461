// The numbers and layouts of protocols/xeniface/abi.hpp held against those of Windows' own
// headers, by whoever compiles for Windows. Nothing here is code.

#include <ntddk.h>

#include <type_traits>

#include "protocols/xeniface/abi.hpp"

namespace ringside::xeniface {
namespace {

constexpr bool same(NtStatus ours, NTSTATUS theirs) {
  return static_cast<NTSTATUS>(ours) == theirs;
}
static_assert(same(NtStatus::kSuccess, STATUS_SUCCESS));
static_assert(same(NtStatus::kPending, STATUS_PENDING));
static_assert(same(NtStatus::kBufferOverflow, STATUS_BUFFER_OVERFLOW));
static_assert(same(NtStatus::kDeviceBusy, STATUS_DEVICE_BUSY));
static_assert(same(NtStatus::kAccessViolation, STATUS_ACCESS_VIOLATION));
static_assert(same(NtStatus::kInvalidHandle, STATUS_INVALID_HANDLE));
static_assert(same(NtStatus::kInvalidParameter, STATUS_INVALID_PARAMETER));
static_assert(same(NtStatus::kInvalidDeviceRequest, STATUS_INVALID_DEVICE_REQUEST));
static_assert(same(NtStatus::kNoMemory, STATUS_NO_MEMORY));
static_assert(same(NtStatus::kAccessDenied, STATUS_ACCESS_DENIED));
static_assert(same(NtStatus::kObjectNameNotFound, STATUS_OBJECT_NAME_NOT_FOUND));
static_assert(same(NtStatus::kObjectNameCollision, STATUS_OBJECT_NAME_COLLISION));
static_assert(same(NtStatus::kInsufficientResources, STATUS_INSUFFICIENT_RESOURCES));
static_assert(same(NtStatus::kMediaWriteProtected, STATUS_MEDIA_WRITE_PROTECTED));
static_assert(same(NtStatus::kDeviceNotReady, STATUS_DEVICE_NOT_READY));
static_assert(same(NtStatus::kIoTimeout, STATUS_IO_TIMEOUT));
static_assert(same(NtStatus::kNotSupported, STATUS_NOT_SUPPORTED));
static_assert(same(NtStatus::kCancelled, STATUS_CANCELLED));
static_assert(same(NtStatus::kIoDeviceError, STATUS_IO_DEVICE_ERROR));
static_assert(same(NtStatus::kDeviceProtocolError, STATUS_DEVICE_PROTOCOL_ERROR));
static_assert(same(NtStatus::kInvalidBufferSize, STATUS_INVALID_BUFFER_SIZE));
static_assert(same(NtStatus::kNotFound, STATUS_NOT_FOUND));
static_assert(same(NtStatus::kRetry, STATUS_RETRY));

static_assert(control_code(0x800, kMethodBuffered) ==
              CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS));
static_assert(control_code(0x827, kMethodNeither) ==
              CTL_CODE(FILE_DEVICE_UNKNOWN, 0x827, METHOD_NEITHER, FILE_ANY_ACCESS));
static_assert(kDeviceCharacteristics == FILE_DEVICE_SECURE_OPEN);
static_assert(sizeof(Guid) == sizeof(GUID) && offsetof(Guid, data4) == offsetof(GUID, Data4));

// A structure with this target's own pointers is the one spelled out for their width.
template <typename Own, typename SpelledOut>
constexpr bool kSame = sizeof(Own) == sizeof(SpelledOut);
using Width = std::conditional_t<sizeof(void*) == 8, uint64_t, uint32_t>;
static_assert(kSame<StoreSetPermissionsIn<PCHAR>, StoreSetPermissionsIn<Width>>);
static_assert(kSame<StoreAddWatchIn<PVOID>, StoreAddWatchIn<Width>>);
static_assert(offsetof(StoreAddWatchIn<HANDLE>, event) == offsetof(StoreAddWatchIn<Width>, event));
static_assert(kSame<EvtchnBindInterdomainIn<HANDLE>, EvtchnBindInterdomainIn<Width>>);
static_assert(offsetof(EvtchnBindInterdomainIn<HANDLE>, event) ==
              offsetof(EvtchnBindInterdomainIn<Width>, event));
static_assert(kSame<EvtchnBindUnboundIn<HANDLE>, EvtchnBindUnboundIn<Width>>);
static_assert(offsetof(EvtchnBindUnboundIn<HANDLE>, event) ==
              offsetof(EvtchnBindUnboundIn<Width>, event));
static_assert(kSame<GnttabPermitInV2<PVOID>, GnttabPermitInV2<Width>>);
static_assert(offsetof(GnttabPermitInV2<PVOID>, address) ==
              offsetof(GnttabPermitInV2<Width>, address));
static_assert(kSame<OnePointer<PVOID>, OnePointer<Width>>);

}  // namespace
}  // namespace ringside::xeniface
