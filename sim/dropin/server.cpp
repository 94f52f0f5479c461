#include "sim/dropin/server.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "sim/dropin/event_device.hpp"
#include "sim/dropin/grant_device.hpp"
#include "sim/dropin/protocol.hpp"

namespace ringside::sim::dropin {
namespace {

constexpr int kNoFile = -1;

/// False when the client does not take it at once.
bool send_reply(int socket, const Reply& reply, int file) {
  iovec bytes{.iov_base = const_cast<Reply*>(&reply), .iov_len = size_of(reply)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (file != kNoFile) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &file, sizeof(file));
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(bytes.iov_len);
}

bool is_whole(const Request& request, size_t bytes) {
  return bytes >= kRequestHeader && request.count <= kBatch && bytes == size_of(request);
}

DomainInfo describe(const Domain& domain) {
  DomainInfo info{.domain = domain.id(),
                  .hvm = domain.hvm(),
                  .dying = domain.dying(),
                  .paused = domain.paused(),
                  .shut_down = domain.shutdown_reason().has_value(),
                  .shutdown_reason = domain.shutdown_reason().value_or(0),
                  .pages = domain.populated_pages(),
                  .max_pages = domain.max_pages(),
                  .vcpus = domain.vcpus()};
  const auto handle = domain.handle();
  std::memcpy(info.handle, handle.data(), handle.size());
  return info;
}

}  // namespace

/// One handle of a client's.
class Server::Client {
 public:
  Client(Server& server, int socket) : server_(server), socket_(socket) {}
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int socket() const { return socket_; }

  /// Takes one request and answers it; false when the connection is over.
  bool serve() {
    Request request;
    const ssize_t bytes = recv(socket_, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
    if (bytes < 0) return errno == EAGAIN || errno == EINTR;
    if (!is_whole(request, static_cast<size_t>(bytes))) return false;
    Reply reply;
    file_ = kNoFile;
    reply.result = static_cast<int32_t>(answer(request, reply));
    return send_reply(socket_, reply, file_);
  }

 private:
  int64_t answer(const Request& request, Reply& reply) {
    const uint32_t first = request.values[0];
    switch (request.operation) {
      case Operation::kOpenEvents: return open_events();
      case Operation::kOpenGrants: return open_grants();
      case Operation::kOpenControl: return 0;
      case Operation::kDomainInfo: return domain_info(first, reply);
      case Operation::kPortStatus: return port_status(first, request.values[1], reply);
      case Operation::kStorePort: {
        const auto port = server_.store_port();
        return port ? int64_t{*port} : -ENOSPC;
      }
      default: break;
    }
    if (events_) return answer_event(request);
    if (grants_) return answer_grant(request, reply);
    return -ENOTTY;
  }

  int64_t open_events() {
    try {
      if (!events_) events_ = std::make_unique<EventDevice>(server_.machine_.dom0());
    } catch (const std::system_error& e) {
      return -e.code().value();
    }
    file_ = events_->file();
    return 0;
  }

  int64_t open_grants() {
    if (!grants_) grants_ = std::make_unique<GrantDevice>(server_.machine_.dom0());
    file_ = server_.machine_.frames().file();
    return 0;
  }

  int64_t answer_event(const Request& request) {
    const auto [first, second] = request.values;
    if (request.operation == Operation::kBindVirq) return events_->bind_virq(first);
    if (request.operation == Operation::kUnbind) return events_->unbind(first);
    if (request.operation == Operation::kNotify) return events_->notify(first);
    if (request.operation == Operation::kUnmask) return events_->unmask(first);
    if (first > UINT16_MAX) return -ESRCH;
    const auto domain = static_cast<DomainId>(first);
    switch (request.operation) {
      case Operation::kBindUnbound: return events_->bind_unbound(domain);
      case Operation::kBindInterdomain: return events_->bind_interdomain(domain, second);
      default: return -ENOTTY;
    }
  }

  int64_t answer_grant(const Request& request, Reply& reply) {
    const std::span<const Grant> grants(request.grants, request.count);
    const std::span<Page> pages(reply.pages, request.count);
    switch (request.operation) {
      case Operation::kMap: reply.count = request.count; return grants_->map(grants, pages);
      case Operation::kUnmap: return grants_->unmap({request.handles, request.count});
      case Operation::kHold:
        reply.count = request.count;
        grants_->hold(grants, pages);
        return 0;
      case Operation::kLetGo: grants_->let_go(); return 0;
      default: return -ENOTTY;
    }
  }

  int64_t domain_info(uint32_t least, Reply& reply) const {
    for (uint32_t id = least; id < Machine::kMaxDomains; ++id) {
      const Domain* domain = server_.machine_.find(static_cast<DomainId>(id));
      if (domain == nullptr) continue;
      reply.domain = describe(*domain);
      return 1;
    }
    return 0;
  }

  int64_t port_status(uint32_t id, Port port, Reply& reply) const {
    Machine& machine = server_.machine_;
    if (id > UINT16_MAX) return -ESRCH;
    Domain* domain = id == DOMID_SELF ? &machine.dom0() : machine.find(static_cast<DomainId>(id));
    if (domain == nullptr) return -ESRCH;
    evtchn_status_t status{};
    status.port = port;
    const int64_t result = domain->events().status(status);
    reply.port = {.status = status.status, .vcpu = status.vcpu};
    static_assert(sizeof(reply.port.detail) == sizeof(status.u));
    std::memcpy(reply.port.detail, &status.u, sizeof(status.u));
    return result;
  }

  Server& server_;
  int socket_;
  int file_ = kNoFile;  // goes with the reply
  std::unique_ptr<EventDevice> events_;
  std::unique_ptr<GrantDevice> grants_;
};

Server::Server(Machine& machine, std::string path) : machine_(machine), path_(std::move(path)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
  listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  wakeup_ = eventfd(0, EFD_CLOEXEC);
  if (listener_ < 0 || wakeup_ < 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_, SOMAXCONN) != 0) {
    const int why = errno;
    close(listener_);
    close(wakeup_);
    throw std::system_error(why, std::generic_category(), "drop-in socket " + path_);
  }
  actor_ = &machine_.world().spawn("dropin", [this] { run(); }, {.host = machine_.host()});
}

Server::~Server() {
  eventfd_write(wakeup_, 1);
  machine_.world().stop(*actor_);
  clients_.clear();
  if (store_port_ != 0) machine_.dom0().events().close(store_port_);
  close(listener_);
  close(wakeup_);
  unlink(path_.c_str());
}

void Server::run() {
  for (;;) {
    std::vector<pollfd> polled{{.fd = wakeup_, .events = POLLIN, .revents = 0},
                               {.fd = listener_, .events = POLLIN, .revents = 0}};
    for (const auto& client : clients_) polled.push_back({client->socket(), POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[0].revents != 0) return;
    for (size_t i = clients_.size(); i-- > 0;) {
      if (polled[2 + i].revents == 0 || clients_[i]->serve()) continue;
      clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (polled[1].revents != 0) accept_client();
    count_ = clients_.size();
  }
}

void Server::accept_client() {
  const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) return;
  if (clients_.size() == kMostClients) {
    close(socket);
    return;
  }
  clients_.push_back(std::make_unique<Client>(*this, socket));
}

std::optional<Port> Server::store_port() {
  // Once the daemon that took it is gone, the port is again open to the next.
  if (store_port_ == 0) {
    const int64_t port = machine_.dom0().events().alloc_unbound(0);
    if (port <= 0) return std::nullopt;
    store_port_ = static_cast<Port>(port);
  }
  return store_port_;
}

}  // namespace ringside::sim::dropin
