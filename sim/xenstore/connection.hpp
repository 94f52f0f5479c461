#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/platform/xen.hpp"
#include "sim/world/trace.hpp"
#include "sim/xenstore/transactions.hpp"
#include "sim/xenstore/tree.hpp"

namespace ringside::sim::xenstore {

/// A header and its payload.
struct Message {
  xsd_sockmsg header{};
  std::string payload;
};

/// One client of the server: who it is, its transactions and what waits to be sent to it.
///
/// Owned by whoever carries its bytes (a ring, a socket, a LocalClient); all members are
/// guarded by the server's lock. Byte-wise carriers use MessageReader and OutputStream.
class Connection {
 public:
  explicit Connection(DomainId domain, Trace* trace = nullptr) : domain_(domain), trace_(trace) {}

  DomainId domain() const { return domain_; }
  /// Dom0 may do everything and has no quotas.
  bool privileged() const { return domain_ == 0; }
  std::optional<DomainId> target() const { return target_; }
  void set_target(std::optional<DomainId> target) { target_ = target; }

  /// Appends to the outbox and tells the carrier.
  void send(Message message);
  enum class Wanted : uint8_t { kAny, kReply, kEvent };
  /// Takes the first waiting message of the kind off the outbox.
  std::optional<Message> take(Wanted wanted);
  size_t pending() const { return outbox_.size(); }
  const std::deque<Message>& outbox() const { return outbox_; }
  /// Called when something was appended; may only wake somebody.
  void on_output(std::function<void()> wake) { wake_ = std::move(wake); }

  std::map<uint32_t, Transaction>& transactions() { return transactions_; }
  uint32_t next_transaction_id();
  void clear();
  /// Held from a request to its reply when several threads share the connection.
  std::mutex& exchange_mutex() { return exchange_mutex_; }

 private:
  DomainId domain_;
  Trace* trace_;
  std::mutex exchange_mutex_;
  std::optional<DomainId> target_;
  std::deque<Message> outbox_;
  std::function<void()> wake_;
  std::map<uint32_t, Transaction> transactions_;
  uint32_t last_transaction_id_ = 0;
};

/// Cuts a stream of bytes into messages, wherever it was split.
class MessageReader {
 public:
  /// Bytes it wants next: the rest of the header or of the payload.
  size_t wanted() const;
  /// Takes at most wanted() bytes. False when the header announces too large a payload: the
  /// stream is then of no use any more.
  bool feed(std::string_view bytes);
  /// The message when it is complete.
  std::optional<Message> take();
  void reset();

 private:
  Message message_;
  size_t header_bytes_ = 0;
};

/// Flattens messages into bytes that a carrier takes as it has room.
class OutputStream {
 public:
  void put(const Message& message);
  std::string_view bytes() const { return std::string_view(buffer_).substr(sent_); }
  void consume(size_t count);
  bool empty() const { return sent_ == buffer_.size(); }
  void reset();

 private:
  std::string buffer_;
  size_t sent_ = 0;
};

}  // namespace ringside::sim::xenstore
