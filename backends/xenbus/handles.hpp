#pragma once

#include "backends/libxen.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringside::backends {

/// The three libraries a back end stands on, opened together, closed together.
class Handles {
 public:
  Handles();
  ~Handles();
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  bool complete() const { return grants != nullptr && events != nullptr && store != nullptr; }

  /// For a main loop to poll; see Netback::events_file().
  int events_file();

  xengnttab_handle* grants;
  xenevtchn_handle* events;
  xs_handle* store;
};

/// What a back end asks of xenstore; a missing node is no error.
class StoreView {
 public:
  explicit StoreView(xs_handle* handle) : handle_(handle) {}

  std::optional<std::string> read(const std::string& path, xs_transaction_t in = XBT_NULL) const;
  /// An unsigned decimal number that fits 32 bits; nothing when absent or something else.
  std::optional<uint32_t> number(const std::string& path, xs_transaction_t in = XBT_NULL) const;
  bool flag(const std::string& path, bool fallback, xs_transaction_t in = XBT_NULL) const;
  bool write(const std::string& path, std::string_view value, xs_transaction_t in = XBT_NULL) const;
  std::vector<std::string> list(const std::string& path) const;
  /// Runs `body(transaction)` until it commits or fails for another reason than a conflict.
  template <typename Body>
  bool transact(Body body) const;
  xs_handle* handle() const { return handle_; }

 private:
  bool end(xs_transaction_t transaction, bool& again) const;

  xs_handle* handle_;
};

template <typename Body>
bool StoreView::transact(Body body) const {
  for (;;) {
    const xs_transaction_t transaction = xs_transaction_start(handle_);
    if (transaction == XBT_NULL) return false;
    if (!body(transaction)) {
      xs_transaction_end(handle_, transaction, true);
      return false;
    }
    bool again = false;
    if (end(transaction, again)) return true;
    if (!again) return false;
  }
}

}  // namespace ringside::backends
