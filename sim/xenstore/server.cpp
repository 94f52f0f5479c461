#include "sim/xenstore/server.hpp"

#include <cerrno>
#include <span>
#include <utility>

#include "sim/xenstore/request.hpp"
#include "sim/xenstore/wire_errors.hpp"

namespace ringside::sim::xenstore {

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

Server::Server(Quotas quotas, Trace* trace, Features features)
    : quotas_(quotas), features_(features), trace_(trace) {
  special_[std::string(kIntroduceDomain)] = {{0, 0}};
  special_[std::string(kReleaseDomain)] = {{0, 0}};
}

std::shared_ptr<Connection> Server::connect(DomainId domain) {
  const std::lock_guard lock(mutex_);
  auto connection = std::make_shared<Connection>(domain, trace_);
  if (const auto target = targets_.find(domain); target != targets_.end()) {
    connection->set_target(target->second);
  }
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(connection);
  return connection;
}

void Server::disconnect(Connection& connection) {
  const std::lock_guard lock(mutex_);
  watches_.remove_all(connection);
  connection.clear();
}

void Server::handle(Connection& connection, const Message& request) {
  const uint32_t type = request.header.type;
  if (type == XS_INTRODUCE || type == XS_RELEASE || type == XS_RESUME) {
    handle_domain_request(connection, request);
    return;
  }
  const std::lock_guard lock(mutex_);
  Request served(*this, connection, request);
  const int error = served.serve();
  reply(connection, request, error, served.answer());
  served.tell_watchers();
}

void Server::handle_domain_request(Connection& connection, const Message& request) {
  // The lock is not held here: the control's own locks come before it.
  const int error = control_domain(connection, request);
  const std::lock_guard lock(mutex_);
  reply(connection, request, error, std::string("OK\0", 3));
}

int Server::control_domain(Connection& connection, const Message& request) {
  if (!connection.privileged()) return EACCES;
  if (request.header.type == XS_INTRODUCE) return introduce(request);
  const auto strings = strings_of(request.payload);
  if (strings.size() != 1) return EINVAL;
  const auto domain = number_of(strings[0]);
  if (!domain || *domain == 0 || *domain >= DOMID_FIRST_RESERVED) return EINVAL;
  const auto id = static_cast<DomainId>(*domain);
  if (!is_introduced(id)) return ENOENT;
  if (request.header.type == XS_RESUME) {
    if (control_ != nullptr) control_->resume(id);
    return 0;
  }
  if (control_ != nullptr) control_->release(id);
  mark_released(id);
  return 0;
}

int Server::introduce(const Message& request) {
  const auto strings = strings_of(request.payload);
  if (strings.size() < 3) return EINVAL;
  const auto domain = number_of(strings[0]);
  const auto gfn = number_of(strings[1]);
  const auto port = number_of(strings[2]);
  if (!domain || *domain == 0 || *domain >= DOMID_FIRST_RESERVED) return EINVAL;
  if (!gfn || !port || *port == 0 || *port > UINT32_MAX) return EINVAL;
  if (control_ == nullptr) return ENOSYS;
  const auto id = static_cast<DomainId>(*domain);
  if (const int error = control_->introduce(id, *gfn, static_cast<uint32_t>(*port))) return error;
  mark_introduced(id);
  return 0;
}

void Server::reply(Connection& connection, const Message& request, int error,
                   const std::string& answer) {
  Message reply;
  reply.header = request.header;
  if (error == 0) {
    reply.payload = answer;
  } else {
    reply.header.type = XS_ERROR;
    reply.payload = std::string(error_name(error)) + '\0';
  }
  reply.header.len = static_cast<uint32_t>(reply.payload.size());
  connection.send(std::move(reply));
}

void Server::record(const Change& change) {
  if (trace_ == nullptr) return;
  const std::string all = change.path + '\0' + change.value;
  trace_->record(Trace::Kind::kStore, "change", {static_cast<uint64_t>(change.kind)},
                 bytes_of(all));
  for (const Permission& permission : change.permissions) {
    trace_->record(Trace::Kind::kStore, "permission", {permission.domain, permission.access});
  }
}

std::optional<Message> Server::take(Connection& connection) {
  const std::lock_guard lock(mutex_);
  return connection.take(Connection::Wanted::kAny);
}

std::optional<Message> Server::take_event(Connection& connection) {
  const std::lock_guard lock(mutex_);
  return connection.take(Connection::Wanted::kEvent);
}

Message Server::exchange(Connection& connection, const Message& request) {
  const std::lock_guard lock(connection.exchange_mutex());
  handle(connection, request);
  const std::lock_guard server_lock(mutex_);
  return *connection.take(Connection::Wanted::kReply);
}

size_t Server::pending(Connection& connection) {
  const std::lock_guard lock(mutex_);
  return connection.pending();
}

void Server::on_output(Connection& connection, std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  connection.on_output(std::move(wake));
}

void Server::mark_introduced(DomainId domain) {
  const std::lock_guard lock(mutex_);
  // Introducing it again only renews its ring and event channel.
  if (!introduced_.insert(domain).second) return;
  watches_.fire_special(kIntroduceDomain, domain, special_.find(kIntroduceDomain)->second);
}

void Server::mark_released(DomainId domain) {
  const std::lock_guard lock(mutex_);
  introduced_.erase(domain);
  std::erase_if(targets_,
                [&](const auto& pair) { return pair.first == domain || pair.second == domain; });
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection && connection->target() == domain) connection->set_target(std::nullopt);
  }
  remove_owned_by(domain);
  tree_.forget(domain);
  watches_.fire_special(kReleaseDomain, domain, special_.find(kReleaseDomain)->second);
}

/// Nobody may inherit them with the number of the domain.
void Server::remove_owned_by(DomainId domain) {
  for (std::string& path : tree_.topmost_owned_by(domain)) {
    const Tree before = tree_;
    const Change change{Change::Kind::kRemove, std::move(path), {}, {}, 0};
    apply(tree_, change);
    record(change);
    watches_.fire(change, before, tree_);
  }
}

void Server::tell_release(DomainId domain) {
  const std::lock_guard lock(mutex_);
  watches_.fire_special(kReleaseDomain, domain, special_.find(kReleaseDomain)->second);
}

bool Server::is_introduced(DomainId domain) {
  const std::lock_guard lock(mutex_);
  return introduced_.contains(domain);
}

size_t Server::nodes_owned_by(DomainId domain) {
  const std::lock_guard lock(mutex_);
  return tree_.owned_by(domain);
}

size_t Server::watch_count(const Connection& connection) {
  const std::lock_guard lock(mutex_);
  return watches_.count(connection);
}

}  // namespace ringside::sim::xenstore
