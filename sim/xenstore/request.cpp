#include "sim/xenstore/request.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ringside::sim::xenstore {

namespace {

constexpr std::string_view kOk{"OK\0", 3};

/// Watches belong to the connection, whatever transaction the request names.
bool ignores_transaction(uint32_t type) { return type == XS_WATCH || type == XS_UNWATCH; }

bool is_for_privileged(uint32_t type) {
  return type == XS_CONTROL || type == XS_IS_DOMAIN_INTRODUCED || type == XS_SET_TARGET;
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
  const uint32_t type = message_.header.type;
  if (is_for_privileged(type) && !client_.privileged()) return EACCES;
  if (!ignores_transaction(type)) {
    if (const int error = find_transaction()) return error;
  }
  answer_ = kOk;
  switch (type) {
    case XS_CONTROL: return control();
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
  return is_valid_path(path, server_.quotas_.path_length) ? 0 : EINVAL;
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
  std::optional<unsigned> depth;
  if (strings.size() == 3 && server_.features_.watch_depth) {
    const auto number = number_of(strings[2]);
    if (!number || *number > XENSTORE_ABS_PATH_MAX) return EINVAL;
    depth = static_cast<unsigned>(*number);
  } else if (strings.size() != 2) {
    return EINVAL;
  }
  std::string path(strings[0]);
  size_t base_length = 0;
  if (path.starts_with('@')) {
    if (path.size() > XENSTORE_REL_PATH_MAX || depth.value_or(1) > 1) return EINVAL;
  } else {
    if (const int error = resolve(strings[0], path)) return error;
    base_length = path.size() - strings[0].size();
  }
  if (server_.watches_.contains(client_, path, strings[1])) return EEXIST;
  if (!unlimited() && server_.watches_.count(client_) > server_.quotas_.watches) return E2BIG;
  server_.watches_.add({&client_, std::move(path), std::string(strings[1]), base_length, depth});
  new_watch_ = true;
  return 0;
}

int Request::unwatch() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 2) return EINVAL;
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
  if (!unlimited() && transactions.size() > server_.quotas_.transactions) return ENOSPC;
  const uint32_t id = client_.next_transaction_id();
  transactions.emplace(id, Transaction(server_.tree_));
  answer_ = terminated(std::to_string(id));
  return 0;
}

int Request::transaction_end() {
  if (message_.payload != terminated("T") && message_.payload != terminated("F")) return EINVAL;
  if (transaction_ == nullptr) return ENOENT;
  const auto node = client_.transactions().extract(message_.header.tx_id);
  transaction_ = nullptr;
  if (message_.payload.front() == 'F') return 0;

  const Transaction& finished = node.mapped();
  if (!finished.can_commit(server_.tree_)) return EAGAIN;
  Tree next = server_.tree_;
  for (const Change& change : finished.changes()) apply(next, change);
  if (exceeds_node_quota(next)) return ENOSPC;
  for (const Change& change : finished.changes()) server_.record(change);
  const Tree before = std::exchange(server_.tree_, std::move(next));
  tell_of_all(finished.changes(), before);
  return 0;
}

/// One event for each node that differs in the end; what came and went was never there.
void Request::tell_of_all(const std::vector<Change>& changes, const Tree& before) {
  std::vector<Change> told;
  for (const Change& change : changes) {
    const auto known = std::find_if(told.begin(), told.end(),
                                    [&](const Change& other) { return other.path == change.path; });
    if (known == told.end()) {
      told.push_back(change);
    } else if (change.kind == Change::Kind::kRemove) {
      known->kind = change.kind;
    }
  }
  for (Change& change : told) {
    const bool was = before.find(change.path) != nullptr;
    const bool is = server_.tree_.find(change.path) != nullptr;
    if (was || is) told_.push_back({before, std::move(change), server_.tree_});
  }
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

int Request::set_target() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 2) return EINVAL;
  const auto domain = number_of(strings[0]);
  const auto target = number_of(strings[1]);
  if (!domain || !target) return EINVAL;
  if (*domain >= DOMID_FIRST_RESERVED || *target >= DOMID_FIRST_RESERVED) return EINVAL;
  const auto id = static_cast<DomainId>(*domain);
  const bool target_known =
      *target == 0 || server_.introduced_.contains(static_cast<DomainId>(*target));
  if (!server_.introduced_.contains(id) || !target_known) return ENOENT;
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
