#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringside {

/// Why an operation did not happen. Maps one-to-one to NTSTATUS and errno at the edges.
enum class Status : uint8_t {
  kOk,
  kInvalidArgument,  ///< EINVAL: the caller broke the contract
  kNotFound,         ///< ENOENT
  kExists,           ///< EEXIST
  kNoMemory,         ///< ENOMEM
  kNoResources,      ///< ENOSPC: no grant reference, port, slot or quota left
  kBusy,             ///< EBUSY: the peer still uses it; try again later
  kAgain,            ///< EAGAIN: conflict; the whole transaction is to be repeated
  kTimedOut,         ///< ETIMEDOUT
  kAccessDenied,     ///< EACCES
  kNotSupported,     ///< ENOSYS, EOPNOTSUPP
  kTooLarge,         ///< E2BIG
  kReadOnly,         ///< EROFS
  kIoError,          ///< EIO: the peer answered with an error
  kPeerViolation,    ///< EPROTO: the peer broke the protocol; the device is closed
  kClosed,           ///< ESHUTDOWN: the device, ring or connection is gone
  kCancelled,        ///< ECANCELED
};

/// The enumerator's name without its prefix, for logs and messages.
constexpr const char* to_string(Status status) {
  switch (status) {
    case Status::kOk: return "Ok";
    case Status::kInvalidArgument: return "InvalidArgument";
    case Status::kNotFound: return "NotFound";
    case Status::kExists: return "Exists";
    case Status::kNoMemory: return "NoMemory";
    case Status::kNoResources: return "NoResources";
    case Status::kBusy: return "Busy";
    case Status::kAgain: return "Again";
    case Status::kTimedOut: return "TimedOut";
    case Status::kAccessDenied: return "AccessDenied";
    case Status::kNotSupported: return "NotSupported";
    case Status::kTooLarge: return "TooLarge";
    case Status::kReadOnly: return "ReadOnly";
    case Status::kIoError: return "IoError";
    case Status::kPeerViolation: return "PeerViolation";
    case Status::kClosed: return "Closed";
    case Status::kCancelled: return "Cancelled";
  }
  return "Unknown";
}

constexpr bool ok(Status status) { return status == Status::kOk; }

/// Whether the same attempt may succeed later.
constexpr bool may_pass(Status status) {
  return status == Status::kNoMemory || status == Status::kNoResources || status == Status::kBusy ||
         status == Status::kAgain || status == Status::kTimedOut;
}

/// What a Result<T> can be made of that is not itself a status or a result.
template <typename U, typename R>
concept ValueOf = std::is_constructible_v<typename R::Value, U&&> &&
                  !std::is_same_v<std::remove_cvref_t<U>, Status> &&
                  !std::is_same_v<std::remove_cvref_t<U>, R>;

/// A value, or the reason there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  /// Precondition: status != kOk.
  constexpr Result(Status status) : status_(status) {}  // NOLINT(google-explicit-constructor)
  template <ValueOf<Result> U = T>
  constexpr Result(U&& value)  // NOLINT(google-explicit-constructor)
      : value_(std::forward<U>(value)) {}

  constexpr bool ok() const { return value_.has_value(); }
  constexpr explicit operator bool() const { return ok(); }
  constexpr Status status() const { return status_; }

  /// Precondition: ok().
  constexpr T& operator*() & { return *value_; }
  constexpr const T& operator*() const& { return *value_; }
  constexpr T&& operator*() && { return *std::move(value_); }
  constexpr T* operator->() { return &*value_; }
  constexpr const T* operator->() const { return &*value_; }

  constexpr T value_or(T fallback) const& { return ok() ? *value_ : fallback; }

 private:
  std::optional<T> value_;
  Status status_ = Status::kOk;
};

}  // namespace ringside
