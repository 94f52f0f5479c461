#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/platform/xen.hpp"

namespace ringside::sim::xenstore {

struct WatchEvent {
  std::string path;
  std::string token;
};

/// A client of a store, wherever that is: each request is answered before the call returns.
/// Errors are errno values, 0 for success.
///
/// Safe to use from several threads as far as requests go.
class Client {
 public:
  virtual ~Client() = default;

  /// One request of any type; the payload is as on the wire. On error `answer` is unchanged.
  virtual int request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
                      std::string& answer) = 0;
  virtual std::optional<WatchEvent> next_event() = 0;
  /// Called, maybe under a lock of the store's, when an event was queued: may only wake somebody.
  virtual void on_event(std::function<void()> wake) = 0;

  std::optional<std::string> read(std::string_view path, uint32_t transaction = 0);
  int write(std::string_view path, std::string_view value, uint32_t transaction = 0);
  int mkdir(std::string_view path, uint32_t transaction = 0);
  int remove(std::string_view path, uint32_t transaction = 0);
  /// The children's names; empty also for a missing node. Takes parts when it must.
  std::vector<std::string> directory(std::string_view path, uint32_t transaction = 0);
  /// The same as on the wire, each name with its NUL; 0 or an errno value.
  int list(std::string_view path, uint32_t transaction, std::string& names);
  bool exists(std::string_view path, uint32_t transaction = 0);
  /// `permissions` as in xenstore-chmod: "n0", "r5", ...; the first names the owner.
  int set_permissions(std::string_view path, const std::vector<std::string>& permissions,
                      uint32_t transaction = 0);

  /// 0 on error.
  uint32_t begin();
  /// EAGAIN: somebody else changed what the transaction used.
  int commit(uint32_t transaction);
  int abort(uint32_t transaction);

  int watch(std::string_view path, std::string_view token);
  int unwatch(std::string_view path, std::string_view token);
};

}  // namespace ringside::sim::xenstore
