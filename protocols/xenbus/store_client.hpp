#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/event_channels.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/store.hpp"
#include "protocols/xenbus/store_message.hpp"
#include "protocols/xenbus/store_ring.hpp"

namespace ringside::xenbus {

/// XENBUS STORE over the domain's shared ring with xenstored.
///
/// Any number of callers may wait at once; replies are matched by their request id and may
/// come in any order. What breaks the wire protocol kills the connection: every waiter gets
/// kPeerViolation, every later call kClosed. When xenstored itself gives up the connection, it
/// is opened anew, as after resume(); where it can't be, or kMostRestarts times with no answer in
/// between, every call ends with kClosed.
/// Source: xenstore.txt, xenstore-ring.txt, xs_wire.h. [STORE-001..025]
class StoreClient final : public Store {
 public:
  /// Requests that may be under way at once; one more answers kBusy.
  static constexpr unsigned kMaxRequests = 256;
  static constexpr unsigned kMostRestarts = 16;
  /// A directory whose listing is longer answers kTooLarge.
  static constexpr size_t kMaxListing = 256 * 1024;

  StoreClient(platform::Platform& platform, Hypercalls& xen, EventChannels& events)
      : platform_(platform), xen_(xen), events_(events) {}
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;
  ~StoreClient();

  /// Finds page and port by their HVM parameters; passive level, may wait for a reconnection.
  Status start();
  /// The ring is gone with the former domain. What only reads is asked again after resume();
  /// what changes something, and each transaction, ends with kAgain. EARLY. [STORE-017]
  void disconnect();
  /// Finds page and port of the new domain and registers every watch again; may be repeated. LATE.
  /// [STORE-017]
  Status resume();
  /// Instead, when there is no store: ends what waits for it.
  void give_up();

  Result<platform::Buffer> read(Transaction transaction, std::string_view path) override;
  Status write(Transaction transaction, std::string_view path, std::string_view value) override;
  Status make_directory(Transaction transaction, std::string_view path) override;
  Status remove(Transaction transaction, std::string_view path) override;
  Result<Listing> directory(Transaction transaction, std::string_view path) override;
  Status set_permissions(Transaction transaction, std::string_view path,
                         std::span<const Permission> permissions) override;
  Result<Transaction> begin() override;
  Status commit(Transaction transaction) override;
  void abort(Transaction transaction) override;
  Result<Owned<Watch>> watch(std::string_view path, Delegate changed) override;

 private:
  struct Request;
  class Registration;
  using Segments = std::span<const std::string_view>;

  /// Sends one request and waits for its answer's payload.
  Result<platform::Buffer> call(uint32_t type, Transaction transaction, Segments segments);
  /// For requests that answer nothing but "OK".
  Status perform(uint32_t type, Transaction transaction, Segments segments);
  Result<platform::Box<Request>> compose(uint32_t type, Transaction transaction, Segments segments);
  Result<platform::Buffer> await(platform::Box<Request> request);
  Result<Listing> directory_by_parts(Transaction transaction, std::string_view path);
  /// The lock is held by those below; by poll() and send_and_forget() it is taken.
  void poll();
  void send_and_forget(uint32_t type, Transaction transaction, Segments segments);
  Status append(Request& request);
  /// Moves bytes both ways; true when xenstored must be told.
  bool pump();
  bool send_some();
  bool receive_some();
  void message_arrived();
  void watch_fired();
  void reply_arrived();
  void complete(Request& request, Status status);
  void undo(uint32_t type, std::string_view reply);
  void forget(Registration& registration);
  void die(Status why);
  void protocol_broken();
  Status attach();
  Status reconnect();
  /// What the connection knew is gone with it.
  void drop_connection();
  bool start_over();
  bool watch_one_again();
  Status register_again(Registration& registration);

  platform::Platform& platform_;
  Hypercalls& xen_;
  EventChannels& events_;
  platform::Nanoseconds patience_ = 0;
  std::byte* page_ = nullptr;
  Port port_ = 0;
  Owned<EventChannel> channel_;
  Owned<platform::Timer> retry_;
  Owned<platform::Lock> lock_;  ///< guards all below
  StoreRing ring_;
  bool open_ = false;
  bool disconnected_ = false;   ///< between disconnect() and resume()
  bool restarting_ = false;     ///< xenstored has been asked to start afresh
  unsigned restarts_left_ = 0;  ///< without an answer in between
  bool watches_stale_ = false;  ///< some are of an earlier connection
  uint32_t connection_ = 0;     ///< counts them; transactions and watches carry it
  StoreMessage incoming_;
  Request* requests_ = nullptr;  ///< in order of submission
  unsigned request_count_ = 0;
  uint32_t next_id_ = 1;
  Registration* registrations_ = nullptr;
  uint32_t next_token_ = 1;
};

}  // namespace ringside::xenbus
