#pragma once

#include <cstdint>
#include <utility>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// One consumer's reference on one interface, at the version it asked for.
class Lease {
 public:
  /// Points to what the interface's identity stands for.
  virtual void* interface() = 0;
  virtual uint16_t version() const = 0;
  /// Objects made through it that still live.
  virtual uint32_t outstanding() const = 0;
  /// Releases the reference. What is outstanding is reported by name and consumer.
  virtual void destroy() = 0;

 protected:
  ~Lease() = default;
};

/// Where a driver finds what another one provides, at run time: by identity and version.
/// Passive level.
class Directory {
 public:
  /// `consumer` is for reports and must outlive the lease. kNotFound when nobody provides such an
  /// interface, kNotSupported when not at this version, kNoMemory.
  virtual Result<Owned<Lease>> acquire(const InterfaceId& id, uint16_t version,
                                       const char* consumer) = 0;

 protected:
  ~Directory() = default;
};

/// A lease on the interface T, whose identity is T::kIdentity.
template <typename T>
class Acquired {
 public:
  Acquired() = default;
  explicit Acquired(Owned<Lease> lease) : lease_(std::move(lease)) {}

  T* get() const { return lease_ ? static_cast<T*>(lease_->interface()) : nullptr; }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  explicit operator bool() const { return static_cast<bool>(lease_); }
  uint16_t version() const { return lease_->version(); }
  uint32_t outstanding() const { return lease_->outstanding(); }

 private:
  Owned<Lease> lease_;
};

/// The newest version of T that both sides know. kNotSupported when there is none.
template <typename T>
Result<Acquired<T>> acquire(Directory& directory, VersionRange known, const char* consumer) {
  Status status = Status::kNotSupported;
  for (uint32_t version = known.highest; version >= known.lowest; --version) {
    auto lease = directory.acquire(T::kIdentity.id, static_cast<uint16_t>(version), consumer);
    if (lease) return Acquired<T>(*std::move(lease));
    status = lease.status();
    if (status != Status::kNotSupported || version == 0) break;
  }
  return status;
}

}  // namespace ringside::xenbus
