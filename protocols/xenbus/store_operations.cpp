#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "protocols/xenbus/node.hpp"
#include "protocols/xenbus/store_client.hpp"
#include "protocols/xenbus/store_request.hpp"

namespace ringside::xenbus {

namespace {

constexpr std::string_view kNul{"\0", 1};
constexpr platform::Nanoseconds kRetryPause = platform::kMillisecond;

/// A number as text, for as long as this lives.
class Decimal {
 public:
  explicit Decimal(uint64_t value)
      : end_(std::to_chars(digits_.data(), digits_.data() + digits_.size(), value).ptr) {}
  Decimal(const Decimal&) = delete;
  Decimal& operator=(const Decimal&) = delete;
  std::string_view view() const {
    return {digits_.data(), static_cast<size_t>(end_ - digits_.data())};
  }

 private:
  std::array<char, 20> digits_;
  char* end_;
};

}  // namespace

Result<platform::Buffer> StoreClient::read(Transaction transaction, std::string_view path) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  const std::string_view segments[] = {path, kNul};
  return call(XS_READ, transaction, segments);
}

Status StoreClient::write(Transaction transaction, std::string_view path, std::string_view value) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  const std::string_view segments[] = {path, kNul, value};  // STORE-010: the value ends the message
  return perform(XS_WRITE, transaction, segments);
}

Status StoreClient::make_directory(Transaction transaction, std::string_view path) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  const std::string_view segments[] = {path, kNul};
  return perform(XS_MKDIR, transaction, segments);
}

Status StoreClient::remove(Transaction transaction, std::string_view path) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  const std::string_view segments[] = {path, kNul};
  return perform(XS_RM, transaction, segments);
}

Status StoreClient::set_permissions(Transaction transaction, std::string_view path,
                                    std::span<const Permission> permissions) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  constexpr size_t kLongest = sizeof("b65535");
  std::array<char, 64 * kLongest> list;
  if (permissions.size() * kLongest > list.size()) return Status::kTooLarge;
  char* end = list.data();
  for (const Permission& permission : permissions) {
    *end++ = static_cast<char>(permission.mode);
    end = std::to_chars(end, list.data() + list.size(), permission.domain).ptr;
    *end++ = '\0';
  }
  const std::string_view segments[] = {
      path, kNul, {list.data(), static_cast<size_t>(end - list.data())}};
  return perform(XS_SET_PERMS, transaction, segments);
}

Result<Listing> StoreClient::directory(Transaction transaction, std::string_view path) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  const std::string_view segments[] = {path, kNul};
  auto names = call(XS_DIRECTORY, transaction, segments);
  // STORE-011: longer than one message.
  if (names.status() == Status::kTooLarge) return directory_by_parts(transaction, path);
  if (!names) return names.status();
  return Listing(*std::move(names));
}

Result<Listing> StoreClient::directory_by_parts(Transaction transaction, std::string_view path) {
  constexpr unsigned kMaxRestarts = 8;
  auto names = platform::Array<char>::create(platform_, kMaxListing);
  if (!names) return names.status();
  platform::Buffer generation;
  size_t length = 0;
  for (unsigned restarts = 0; restarts < kMaxRestarts;) {
    const Decimal offset(length);
    const std::string_view segments[] = {path, kNul, offset.view(), kNul};
    const auto part = call(XS_DIRECTORY_PART, transaction, segments);
    if (!part) return part.status();
    std::string_view rest = part->view();
    const std::string_view stamp = Listing::next(rest);
    if (length == 0) {
      auto copy = platform::Buffer::copy(platform_, stamp);
      if (!copy) return copy.status();
      generation = *std::move(copy);
    } else if (stamp != generation.view()) {
      length = 0;
      ++restarts;
      continue;
    }
    // The last part ends with an empty name; the others end with a whole one.
    const bool last = rest == kNul || rest.ends_with(std::string_view("\0\0", 2));
    if (last) rest.remove_suffix(1);
    if (!last && (rest.empty() || !rest.ends_with('\0'))) return Status::kPeerViolation;
    if (rest.size() > kMaxListing - length) return Status::kTooLarge;
    std::copy(rest.begin(), rest.end(), names->begin() + length);
    length += rest.size();
    if (!last) continue;
    auto all = platform::Buffer::copy(platform_, {names->begin(), length});
    if (!all) return all.status();
    return Listing(*std::move(all));
  }
  return Status::kAgain;
}

Result<Transaction> StoreClient::begin() {
  uint32_t connection = 0;
  {
    const platform::LockGuard guard(*lock_);
    connection = connection_;
  }
  const std::string_view segments[] = {kNul};
  const auto reply = call(XS_TRANSACTION_START, kNoTransaction, segments);
  if (!reply) return reply.status();
  const auto id = parse_number(reply->view());
  if (id && *id != 0 && *id <= std::numeric_limits<uint32_t>::max()) {
    return Transaction{static_cast<uint32_t>(*id), connection};
  }
  const platform::LockGuard guard(*lock_);
  protocol_broken();
  return Status::kPeerViolation;
}

Status StoreClient::commit(Transaction transaction) {
  const std::string_view segments[] = {{"T\0", 2}};
  return perform(XS_TRANSACTION_END, transaction, segments);
}

void StoreClient::abort(Transaction transaction) {
  const std::string_view segments[] = {{"F\0", 2}};
  (void)perform(XS_TRANSACTION_END, transaction, segments);
}

class StoreClient::Registration final : public Watch {
 public:
  Registration(StoreClient& client, platform::Buffer watched, Delegate fired, uint32_t number)
      : path(std::move(watched)), changed(fired), token(number), client_(client) {}

  void destroy() override {
    client_.forget(*this);
    const Decimal number(token);
    const std::string_view segments[] = {path.view(), kNul, number.view(), kNul};
    (void)client_.perform(XS_UNWATCH, kNoTransaction, segments);
    const platform::Box<Registration> last = std::move(self);
  }

  platform::Buffer path;
  Delegate changed;
  uint32_t connection = 0;  // of its last WATCH
  uint32_t token;           // never an address: the store is no place for those
  Registration* next = nullptr;
  platform::Box<Registration> self;

 private:
  StoreClient& client_;
};

Result<Owned<Watch>> StoreClient::watch(std::string_view path, Delegate changed) {
  if (const Status bad = check_path(path); !ok(bad)) return bad;
  auto copy = platform::Buffer::copy(platform_, path);
  if (!copy) return copy.status();
  auto box =
      platform::Box<Registration>::create(platform_, *this, *std::move(copy), changed, uint32_t{0});
  if (!box) return box.status();
  Registration& registration = **box;
  uint32_t connection = 0;
  {
    // STORE-014: the first event may come before the reply.
    const platform::LockGuard guard(*lock_);
    registration.token = next_token_++;
    registration.connection = connection = connection_;
    registration.next = registrations_;
    registrations_ = &registration;
  }
  const Decimal number(registration.token);
  const std::string_view segments[] = {path, kNul, number.view(), kNul};
  const Status status = perform(XS_WATCH, kNoTransaction, segments);
  // A new connection in between has registered it already.
  const bool again = status == Status::kExists && registration.connection != connection;
  if (!ok(status) && !again) {
    forget(registration);
    if (status == Status::kTimedOut) send_and_forget(XS_UNWATCH, kNoTransaction, segments);
    return status;
  }
  registration.self = *std::move(box);
  return Owned<Watch>(&registration);
}

bool StoreClient::watch_one_again() {
  Registration* stale = registrations_;
  while (stale != nullptr && stale->connection == connection_) stale = stale->next;
  if (stale == nullptr) {
    watches_stale_ = false;
    return false;
  }
  const Status status = register_again(*stale);
  // Without its watches nobody would ever hear of new back ends: this has to succeed. When too
  // much is under way, the next answer leads here.
  if (!ok(status) && status != Status::kBusy) retry_->start(platform_.now() + kRetryPause);
  return ok(status);
}

Status StoreClient::register_again(Registration& registration) {
  const Decimal number(registration.token);
  const std::string_view segments[] = {registration.path.view(), kNul, number.view(), kNul};
  auto request = compose(XS_WATCH, kNoTransaction, segments);
  if (!request) return request.status();
  if (const Status status = append(**request); !ok(status)) return status;
  registration.connection = connection_;
  Request& kept = **request;
  kept.abandoned = true;
  kept.self = *std::move(request);
  return Status::kOk;
}

void StoreClient::forget(Registration& registration) {
  const platform::LockGuard guard(*lock_);
  Registration** link = &registrations_;
  while (*link != &registration) link = &(*link)->next;
  *link = registration.next;
}

void StoreClient::watch_fired() {
  std::string_view rest = incoming_.payload();
  const size_t path_end = rest.find('\0');
  if (path_end == std::string_view::npos) return protocol_broken();
  rest.remove_prefix(path_end + 1);
  const size_t token_end = rest.find('\0');
  if (token_end == std::string_view::npos) return protocol_broken();
  const auto token = parse_number(rest.substr(0, token_end));
  if (!token) return;
  // STORE-015: one whose watch is gone is left over from before.
  for (Registration* one = registrations_; one != nullptr; one = one->next) {
    if (one->token == *token) return one->changed();
  }
}

}  // namespace ringside::xenbus
