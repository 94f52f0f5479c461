#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/memory.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

/// A xenstore transaction; the default one stands for "no transaction".
struct Transaction {
  uint32_t id = 0;
  uint32_t connection = 0;  ///< the store connection it belongs to; none survives a suspend
};
inline constexpr Transaction kNoTransaction{};

/// What one domain may do with a node. The first of a list names the owner. Source: xenstore.txt
struct Permission {
  enum class Mode : char { kNone = 'n', kRead = 'r', kWrite = 'w', kBoth = 'b' };
  DomainId domain = 0;
  Mode mode = Mode::kNone;
};

/// The answer to a DIRECTORY: the children's names, one after the other, each ended by NUL.
class Listing {
 public:
  explicit Listing(platform::Buffer names) : names_(std::move(names)) {}

  /// Takes the next name off the front of `rest`; empty when there is none left.
  static std::string_view next(std::string_view& rest) {
    const size_t end = rest.find('\0');
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return name;
  }
  std::string_view raw() const { return names_.view(); }

 private:
  platform::Buffer names_;
};

/// A registered watch; its destruction removes it, and no call of the delegate follows.
class Watch : public Tracked {
 public:
  virtual void destroy() = 0;

 protected:
  ~Watch() = default;
};

/// XENBUS STORE. Paths are absolute or relative to the domain's own (/local/domain/<id>).
/// Calls wait for xenstored and so need passive level; kNotFound, kAccessDenied, kAgain,
/// kNoResources (quota), kTooLarge and kInvalidArgument come from it. Source: xenstore.txt
class Store {
 public:
  static constexpr InterfaceIdentity kIdentity{"STORE",
                                               guid("86824C3B-D34E-4753-B281-2F1E3AD214D7")};

  virtual Result<platform::Buffer> read(Transaction transaction, std::string_view path) = 0;
  virtual Status write(Transaction transaction, std::string_view path, std::string_view value) = 0;
  virtual Status make_directory(Transaction transaction, std::string_view path) = 0;
  virtual Status remove(Transaction transaction, std::string_view path) = 0;
  virtual Result<Listing> directory(Transaction transaction, std::string_view path) = 0;
  virtual Status set_permissions(Transaction transaction, std::string_view path,
                                 std::span<const Permission> permissions) = 0;

  virtual Result<Transaction> begin() = 0;
  /// kAgain: somebody else changed what the transaction read; repeat all of it. [STORE-016]
  virtual Status commit(Transaction transaction) = 0;
  virtual void abort(Transaction transaction) = 0;

  /// `changed` is called at dispatch level, once soon after registration and then at every
  /// change at or below `path`; spurious calls are allowed. [STORE-014]
  virtual Result<Owned<Watch>> watch(std::string_view path, Delegate changed) = 0;

 protected:
  ~Store() = default;
};

}  // namespace ringside::xenbus
