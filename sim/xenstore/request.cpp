#include "sim/xenstore/request.hpp"

#include <charconv>
#include <utility>

namespace ringside::sim::xenstore {

namespace {

constexpr std::string_view kOk{"OK\0", 3};

/// Requests that act on the tree and so may belong to a transaction.
bool uses_transaction(uint32_t type) {
  switch (type) {
    case XS_DIRECTORY:
    case XS_DIRECTORY_PART:
    case XS_READ:
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_GET_PERMS:
    case XS_SET_PERMS:
    case XS_TRANSACTION_START:
    case XS_TRANSACTION_END: return true;
    default: return false;
  }
}

std::string terminated(std::string_view text) { return std::string(text) + '\0'; }

}  // namespace

std::vector<std::string_view> strings_of(std::string_view payload) {
  std::vector<std::string_view> strings;
  for (size_t end; (end = payload.find('\0')) != std::string_view::npos;) {
    strings.push_back(payload.substr(0, end));
    payload.remove_prefix(end + 1);
  }
  return strings;
}

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

int Request::serve() {
  if (uses_transaction(message_.header.type)) {
    if (const int error = find_transaction()) return error;
  }
  answer_ = kOk;
  switch (message_.header.type) {
    case XS_DIRECTORY: return directory();
    case XS_DIRECTORY_PART: return directory_part();
    case XS_READ: return read();
    case XS_WRITE: return write();
    case XS_MKDIR: return mkdir();
    case XS_RM: return remove();
    case XS_GET_PERMS: return get_permissions();
    case XS_SET_PERMS: return set_permissions();
    case XS_WATCH: return watch();
    case XS_UNWATCH: return unwatch();
    case XS_RESET_WATCHES: return reset_watches();
    case XS_TRANSACTION_START: return transaction_start();
    case XS_TRANSACTION_END: return transaction_end();
    case XS_GET_DOMAIN_PATH: return get_domain_path();
    case XS_IS_DOMAIN_INTRODUCED: return is_domain_introduced();
    case XS_RESUME: return resume();
    case XS_SET_TARGET: return set_target();
    default: return ENOSYS;
  }
}

void Request::tell_watchers() {
  if (new_watch_) server_.watches_.fire_first(client_);
  for (const Told& told : told_) server_.watches_.fire(told.change, told.before, told.after);
}

int Request::find_transaction() {
  if (message_.header.tx_id == 0) return 0;
  const auto found = client_.transactions().find(message_.header.tx_id);
  if (found == client_.transactions().end()) return ENOENT;
  transaction_ = &found->second;
  return 0;
}

int Request::resolve(std::string_view given, std::string& path) const {
  path = base_of(client_, given).append(given);
  return is_valid_path(path) ? 0 : EINVAL;
}

std::optional<DomainId> Request::lone_domain() const {
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 1) return std::nullopt;
  const auto number = number_of(strings[0]);
  if (!number || *number >= DOMID_FIRST_RESERVED) return std::nullopt;
  return static_cast<DomainId>(*number);
}

int Request::watch() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() < 2) return EINVAL;
  std::string path(strings[0]);
  size_t base_length = 0;
  if (path.starts_with('@')) {
    if (path.size() > XENSTORE_REL_PATH_MAX) return EINVAL;
  } else {
    if (const int error = resolve(strings[0], path)) return error;
    base_length = path.size() - strings[0].size();
  }
  if (!unlimited() && server_.watches_.count(client_) >= server_.quotas_.watches) return E2BIG;
  if (!server_.watches_.add(client_, std::move(path), std::string(strings[1]), base_length)) {
    return EEXIST;
  }
  new_watch_ = true;
  return 0;
}

int Request::unwatch() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() < 2) return EINVAL;
  const std::string path = base_of(client_, strings[0]).append(strings[0]);
  return server_.watches_.remove(client_, path, strings[1]) ? 0 : ENOENT;
}

int Request::reset_watches() {
  server_.watches_.remove_all(client_);
  client_.transactions().clear();
  return 0;
}

int Request::transaction_start() {
  if (transaction_ != nullptr) return EBUSY;
  auto& transactions = client_.transactions();
  if (!unlimited() && transactions.size() >= server_.quotas_.transactions) return ENOSPC;
  const uint32_t id = client_.next_transaction_id();
  transactions.emplace(id, Transaction(server_.tree_));
  answer_ = terminated(std::to_string(id));
  return 0;
}

int Request::transaction_end() {
  if (transaction_ == nullptr) return ENOENT;
  if (message_.payload != terminated("T") && message_.payload != terminated("F")) return EINVAL;
  const auto node = client_.transactions().extract(message_.header.tx_id);
  transaction_ = nullptr;
  if (message_.payload.front() == 'F') return 0;

  const Transaction& finished = node.mapped();
  if (!finished.can_commit(server_.tree_)) return EAGAIN;
  Tree next = server_.tree_;
  for (const Change& change : finished.changes()) apply(next, change);
  if (exceeds_node_quota(next)) return ENOSPC;
  for (const Change& change : finished.changes()) make(change);
  return 0;
}

int Request::get_domain_path() {
  const auto domain = lone_domain();
  if (!domain) return EINVAL;
  answer_ = terminated("/local/domain/" + std::to_string(*domain));
  return 0;
}

int Request::is_domain_introduced() {
  const auto domain = lone_domain();
  if (!domain) return EINVAL;
  const bool known = *domain == 0 || server_.introduced_.contains(*domain);
  answer_ = terminated(known ? "T" : "F");
  return 0;
}

int Request::resume() {
  const auto domain = lone_domain();
  if (!domain) return EINVAL;
  if (!client_.privileged()) return EACCES;
  return server_.introduced_.contains(*domain) ? 0 : ENOENT;
}

int Request::set_target() {
  if (!client_.privileged()) return EACCES;
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 2) return EINVAL;
  const auto domain = number_of(strings[0]);
  const auto target = number_of(strings[1]);
  if (!domain || !target) return EINVAL;
  if (*domain >= DOMID_FIRST_RESERVED || *target >= DOMID_FIRST_RESERVED) return EINVAL;
  const auto id = static_cast<DomainId>(*domain);
  if (!server_.introduced_.contains(id)) return ENOENT;
  server_.targets_[id] = static_cast<DomainId>(*target);
  for (const auto& weak : server_.connections_) {
    const auto connection = weak.lock();
    if (connection && connection->domain() == id) {
      connection->set_target(static_cast<DomainId>(*target));
    }
  }
  return 0;
}

}  // namespace ringside::sim::xenstore
