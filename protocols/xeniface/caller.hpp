#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xeniface/abi.hpp"

namespace ringside::xeniface {

using UserAddress = uint64_t;  ///< in the caller's address space; 0 is none
using UserHandle = uint64_t;   ///< in the caller's handle table

/// Pages that a process and this driver both use, for as long as this lives.
class UserMapping {
 public:
  virtual UserAddress address() const = 0;
  /// The peer does not let go of the pages: what destroy() would give back to the system stays
  /// out of use for good.
  virtual void keep() = 0;
  virtual void destroy() = 0;

 protected:
  ~UserMapping() = default;
};

/// The process that opened the device, as the shell shows it. Passive level, any thread.
class Caller {
 public:
  /// Its token holds LocalSystem or an enabled administrators' group.
  virtual bool is_administrator() const = 0;
  /// The handle was opened for reading and for writing.
  virtual bool may_read_and_write() const = 0;

  /// Copies what lies at `from` in its memory. kAccessDenied where it may not read itself.
  virtual Status read(UserAddress from, std::span<std::byte> to) = 0;
  /// The event behind `handle`, which it may set. kNotFound, kAccessDenied.
  virtual Result<Owned<platform::Event>> open_event(UserHandle handle) = 0;
  /// Shows it `pages` in one piece, anywhere. Of a peer's pages only the address is known.
  virtual Result<Owned<UserMapping>> map(std::span<const platform::Page> pages,
                                         xenbus::Access access) = 0;
  /// Holds `pages.size()` pages of its own memory in place from `address` (aligned) on and fills
  /// `pages`. `access` is what it must itself be allowed to do there: kAccessDenied, and so for
  /// what any map() put there. The result may outlive the process.
  virtual Result<Owned<UserMapping>> pin(UserAddress address, std::span<platform::Page> pages,
                                         xenbus::Access access) = 0;

 protected:
  ~Caller() = default;
};

/// A request that stays with the driver until its grant or map ends: an IRP.
class PendingRequest {
 public:
  /// Copies the output to the caller now, while the request stays. kAccessDenied.
  virtual Status deliver(std::span<const std::byte> output) = 0;
  /// Ends it, once. May come before dispatch() has answered kPending on another CPU.
  virtual void complete(NtStatus status) = 0;

 protected:
  ~PendingRequest() = default;
};

/// How wide pointers and handles are in the caller's structures.
enum class Width : uint8_t { k64, k32 };

/// One device control request.
struct Request {
  uint32_t code = 0;
  /// METHOD_BUFFERED: input and then output, as long as the longer of the two. METHOD_NEITHER:
  /// a copy of the input; inputs longer than kLongestInput need not be copied.
  std::span<std::byte> buffer;
  uint32_t input_length = 0;
  uint32_t output_length = 0;
  Width width = Width::k64;
  PendingRequest* pending = nullptr;  ///< for METHOD_NEITHER
};

/// `information` bytes of the buffer go to the caller; with kBufferOverflow only the number does.
struct Answer {
  NtStatus status = NtStatus::kSuccess;
  size_t information = 0;
};

/// The status that a caller gets to see for one of ours.
NtStatus nt_status(Status status);
/// The same where the caller's memory or one of its handles was at fault.
NtStatus memory_status(Status status);
NtStatus handle_status(Status status);

}  // namespace ringside::xeniface
