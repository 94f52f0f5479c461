#include "protocols/xenbus/store_client.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "protocols/xenbus/node.hpp"
#include "protocols/xenbus/store_request.hpp"

namespace ringside::xenbus {

namespace {

/// How long a lost event can hold up an answer that is there already.
constexpr platform::Nanoseconds kLook = platform::kSecond;
constexpr platform::Nanoseconds kReconnectLook = platform::kMillisecond;
constexpr uint32_t kPatienceMilliseconds = 30'000;
/// One look at the ring takes no more than this many times its size from it.
constexpr unsigned kMaxRounds = 256;

/// Requests whose answer says nothing but that they were carried out.
bool only_acknowledges(uint32_t type) {
  switch (type) {
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
    case XS_WATCH:
    case XS_UNWATCH:
    case XS_TRANSACTION_END: return true;
    default: return false;
  }
}

}  // namespace

StoreClient::~StoreClient() {
  channel_.reset();
  retry_.reset();
  bool cut = false;
  while (requests_ != nullptr) {
    cut = cut || requests_->begun();
    complete(*requests_, Status::kClosed);
  }
  // A request that was cut short would swallow the next driver's first ones.
  if (cut && ring_.can_reconnect()) {
    ring_.request_reconnect();
    (void)xen_.send(port_);
  }
  if (page_ != nullptr) platform_.unmap_frame(page_);
}

Status StoreClient::start() {
  const uint32_t patience = platform_.setting("StoreTimeoutMs", kPatienceMilliseconds);
  patience_ = patience * platform::kMillisecond;
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto retry = platform_.create_timer(Delegate::to<&StoreClient::poll>(*this), 0);
  if (!retry) return retry.status();
  retry_ = *std::move(retry);

  return attach();
}

Status StoreClient::attach() {
  // STORE-023: where the toolstack put page and port.
  const auto frame = xen_.parameter(HVM_PARAM_STORE_PFN);
  if (!frame) return frame.status();
  const auto port = xen_.parameter(HVM_PARAM_STORE_EVTCHN);
  if (!port) return port.status();
  if (*frame == 0 || *port == 0) return Status::kNotFound;
  const auto page = platform_.map_frame(*frame);
  if (!page) return page.status();
  page_ = *page;
  port_ = static_cast<Port>(*port);
  ring_ = StoreRing(page_);

  auto channel = events_.open_fixed(port_, Delegate::to<&StoreClient::poll>(*this), 0);
  if (!channel) return channel.status();
  channel_ = *std::move(channel);
  return reconnect();
}

Status StoreClient::reconnect() {
  // STORE-020: what an earlier driver left half done is dropped by a fresh start.
  if (!ring_.idle() && ring_.can_reconnect()) {
    ring_.request_reconnect();
    (void)xen_.send(port_);
  }
  auto never = platform_.create_event();
  if (!never) return never.status();
  const platform::Nanoseconds deadline = platform_.now() + patience_;
  while (ring_.reconnecting()) {
    if (platform_.now() >= deadline) return Status::kTimedOut;
    (void)platform_.wait_until(**never, platform_.now() + kReconnectLook);
  }
  const platform::LockGuard guard(*lock_);
  ring_ = StoreRing(page_);
  open_ = true;
  disconnected_ = restarting_ = false;
  restarts_left_ = kMostRestarts;
  return Status::kOk;
}

Result<platform::Box<StoreClient::Request>> StoreClient::compose(uint32_t type,
                                                                 Transaction transaction,
                                                                 Segments segments) {
  size_t length = 0;
  for (const std::string_view segment : segments) length += segment.size();
  // STORE-001: 4096 itself is legal.
  if (length > XENSTORE_PAYLOAD_MAX) return Status::kTooLarge;
  auto request = platform::Box<Request>::create(platform_);
  if (!request) return request.status();
  auto bytes = platform::Array<char>::create(platform_, sizeof(xsd_sockmsg) + length);
  if (!bytes) return bytes.status();
  (*request)->header = {
      .type = type, .req_id = 0, .tx_id = transaction.id, .len = static_cast<uint32_t>(length)};
  char* to = bytes->begin() + sizeof(xsd_sockmsg);
  for (const std::string_view segment : segments) {
    to = std::copy(segment.begin(), segment.end(), to);
  }
  (*request)->bytes = *std::move(bytes);
  return *std::move(request);
}

Status StoreClient::append(Request& request) {
  if (!open_ && !disconnected_) return Status::kClosed;
  if (request_count_ == kMaxRequests) return Status::kBusy;
  request.header.req_id = next_id_++;
  std::memcpy(request.bytes.begin(), &request.header, sizeof(request.header));
  Request** end = &requests_;
  while (*end != nullptr) end = &(*end)->next;
  *end = &request;
  ++request_count_;
  return Status::kOk;
}

Result<platform::Buffer> StoreClient::call(uint32_t type, Transaction transaction,
                                           Segments segments) {
  auto request = compose(type, transaction, segments);
  if (!request) return request.status();
  auto answered = platform_.create_event();
  if (!answered) return answered.status();
  (*request)->answered = *std::move(answered);
  {
    const platform::LockGuard guard(*lock_);
    // STORE-017: its number may be another transaction's by now.
    if (transaction.id != 0 && transaction.connection != connection_) return Status::kAgain;
    const Status status = append(**request);
    if (!ok(status)) return status;
  }
  poll();
  return await(*std::move(request));
}

Status StoreClient::perform(uint32_t type, Transaction transaction, Segments segments) {
  return call(type, transaction, segments).status();
}

Result<platform::Buffer> StoreClient::await(platform::Box<Request> request) {
  const platform::Nanoseconds deadline = platform_.now() + patience_;
  for (;;) {
    const platform::Nanoseconds look = std::min(deadline, platform_.now() + kLook);
    const Status waited = platform_.wait_until(*request->answered, look);
    if (!ok(waited)) poll();
    // Also keeps the one who signals from touching a request that is already gone.
    const platform::LockGuard guard(*lock_);
    if (request->done) break;
    if (platform_.now() < deadline) continue;
    if (request->begun()) {
      // Its bytes must go on into the ring and its answer must find somebody.
      request->abandoned = true;
      Request& kept = *request;
      kept.self = std::move(request);
    } else {
      complete(*request, Status::kTimedOut);
    }
    return Status::kTimedOut;
  }
  if (!ok(request->status)) return request->status;
  return std::move(request->reply);
}

void StoreClient::send_and_forget(uint32_t type, Transaction transaction, Segments segments) {
  auto request = compose(type, transaction, segments);
  if (!request) return;
  {
    const platform::LockGuard guard(*lock_);
    if (!ok(append(**request))) return;
    Request& kept = **request;
    kept.abandoned = true;
    kept.self = *std::move(request);
  }
  poll();
}

void StoreClient::poll() {
  bool tell = false;
  {
    const platform::LockGuard guard(*lock_);
    tell = pump();
  }
  // STORE-007: each move of an index is announced.
  if (tell) (void)xen_.send(port_);
}

bool StoreClient::pump() {
  if (!open_ || disconnected_ || ring_.reconnecting()) return false;
  if (std::exchange(restarting_, false)) ring_ = StoreRing(page_);
  // STORE-021: xenstored has given up; nothing in the page means anything any more.
  if (!ok(ring_.health())) return start_over();
  bool moved = false;
  for (unsigned round = 0; round < kMaxRounds && open_; ++round) {
    const bool watched = watches_stale_ && watch_one_again();
    const bool sent = send_some();
    const bool received = open_ && receive_some();
    if (!watched && !sent && !received) break;
    moved = true;
  }
  return moved && open_;
}

bool StoreClient::start_over() {
  // STORE-036: who answers nothing between two errors would keep this going for ever.
  if (!ring_.can_reconnect() || restarts_left_ == 0) {
    die(Status::kClosed);
    return false;
  }
  platform_.log(platform::LogLevel::kWarning, "xenstored gave up the connection; opening another");
  drop_connection();
  --restarts_left_;
  restarting_ = true;
  ring_.request_reconnect();
  return true;
}

bool StoreClient::send_some() {
  Request* next = requests_;
  while (next != nullptr && next->sent == next->bytes.size()) next = next->next;
  if (next == nullptr) return false;
  const auto written = ring_.write(std::as_bytes(next->bytes.span()).subspan(next->sent));
  if (!written) {
    protocol_broken();
    return false;
  }
  next->sent += *written;
  return *written != 0;
}

bool StoreClient::receive_some() {
  const auto count = ring_.read(incoming_.room());
  if (!count || !ok(incoming_.filled(*count))) {
    protocol_broken();
    return false;
  }
  if (*count == 0) return false;
  if (incoming_.full()) {
    message_arrived();
    incoming_.clear();
  }
  return true;
}

void StoreClient::message_arrived() {
  // STORE-004: comes unasked, also between a request and its reply.
  if (incoming_.header().type == XS_WATCH_EVENT) {
    watch_fired();
  } else {
    reply_arrived();
  }
}

void StoreClient::reply_arrived() {
  const xsd_sockmsg& header = incoming_.header();
  // STORE-003: in any order, so the id alone says whose it is.
  Request* request = requests_;
  while (request != nullptr && request->header.req_id != header.req_id) request = request->next;
  if (request == nullptr) {
    platform_.log(platform::LogLevel::kWarning, "xenstored answers what nobody asked");
    return;
  }
  const bool failed = header.type == XS_ERROR;
  // STORE-002: an error names only the request; anything else must be of its type.
  const bool fits = header.tx_id == request->header.tx_id &&
                    (failed || header.type == request->header.type) &&
                    request->sent == request->bytes.size();
  if (!fits) return protocol_broken();
  restarts_left_ = kMostRestarts;
  if (failed) return complete(*request, status_of_error(incoming_.payload()));
  // STORE-035: what was done must not be reported as not done for want of memory.
  if (only_acknowledges(header.type)) return complete(*request, Status::kOk);
  auto reply = platform::Buffer::copy(platform_, incoming_.payload());
  if (reply) {
    request->reply = *std::move(reply);
  } else {
    undo(header.type, incoming_.payload());
  }
  complete(*request, reply.status());
}

void StoreClient::complete(Request& request, Status status) {
  Request** link = &requests_;
  while (*link != &request) link = &(*link)->next;
  *link = request.next;
  --request_count_;
  request.status = status;
  request.done = true;
  if (!request.abandoned) return request.answered->signal();
  const platform::Box<Request> last = std::move(request.self);
  if (ok(status) && open_) undo(last->header.type, last->reply.view());
}

void StoreClient::undo(uint32_t type, std::string_view reply) {
  // A transaction that nobody waits for any more would count against the domain for ever.
  if (type != XS_TRANSACTION_START) return;
  const auto id = parse_number(reply);
  if (!id) return;
  const std::string_view discard[] = {{"F\0", 2}};
  auto end = compose(XS_TRANSACTION_END, Transaction{static_cast<uint32_t>(*id)}, discard);
  if (!end || !ok(append(**end))) return;
  Request& kept = **end;
  kept.abandoned = true;
  kept.self = *std::move(end);
}

void StoreClient::disconnect() {
  const platform::LockGuard guard(*lock_);
  disconnected_ = true;
  drop_connection();
}

void StoreClient::drop_connection() {
  ++connection_;
  watches_stale_ = true;
  incoming_.clear();
  for (Request* next = requests_; next != nullptr;) {
    Request& request = *next;
    next = request.next;
    request.sent = 0;
    if (request.only_reads() && !request.abandoned) continue;
    // A watch is registered again, or is gone, with the connection.
    const bool watch = request.header.type == XS_WATCH || request.header.type == XS_UNWATCH;
    complete(request, watch ? Status::kOk : Status::kAgain);
  }
}

Status StoreClient::resume() {
  channel_.reset();
  if (page_ != nullptr) platform_.unmap_frame(page_);
  page_ = nullptr;
  const Status status = attach();
  if (ok(status)) poll();
  return status;
}

void StoreClient::give_up() {
  const platform::LockGuard guard(*lock_);
  disconnected_ = false;
  die(Status::kClosed);
}

void StoreClient::protocol_broken() {
  platform_.log(platform::LogLevel::kError, "xenstored broke the wire protocol");
  die(Status::kPeerViolation);
}

void StoreClient::die(Status why) {
  open_ = false;
  while (requests_ != nullptr) complete(*requests_, why);
}

}  // namespace ringside::xenbus
