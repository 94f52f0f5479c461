#include "sim/xenstore/socket_server.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace ringside::sim::xenstore {

struct SocketServer::Client {
  Client(Server& from, int socket) : server(from), fd(socket), connection(from.connect(0)) {}
  ~Client() {
    server.on_output(*connection, {});
    server.disconnect(*connection);
    close(fd);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Server& server;
  int fd;
  std::shared_ptr<Connection> connection;
  MessageReader reader;
  OutputStream output;
};

SocketServer::SocketServer(Server& server, std::string path)
    : server_(server), path_(std::move(path)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) {
    throw std::system_error(ENAMETOOLONG, std::generic_category(), path_);
  }
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  wakeup_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  unlink(path_.c_str());
  if (wakeup_ < 0 || listener_ < 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_, SOMAXCONN) != 0) {
    const int error = errno;
    if (wakeup_ >= 0) close(wakeup_);
    if (listener_ >= 0) close(listener_);
    throw std::system_error(error, std::generic_category(), path_);
  }
}

SocketServer::~SocketServer() {
  clients_.clear();
  close(listener_);
  close(wakeup_);
  unlink(path_.c_str());
}

void SocketServer::wake() {
  const uint64_t one = 1;
  // A full counter wakes as well, so there is nothing to do when this can't be written.
  [[maybe_unused]] const ssize_t written = write(wakeup_, &one, sizeof(one));
}

void SocketServer::serve_once(int timeout_ms) {
  std::vector<pollfd> polled{{listener_, POLLIN, 0}, {wakeup_, POLLIN, 0}};
  for (const auto& client : clients_) {
    const short writes = client->output.empty() ? 0 : POLLOUT;
    polled.push_back({client->fd, static_cast<short>(POLLIN | writes), 0});
  }
  poll(polled.data(), polled.size(), timeout_ms);

  serving_ = std::this_thread::get_id();
  uint64_t wakeups;
  if (polled[1].revents != 0) {
    [[maybe_unused]] const ssize_t drained = read(wakeup_, &wakeups, sizeof(wakeups));
  }
  size_t next = 2;
  std::erase_if(clients_, [&](const auto& client) {
    return polled[next++].revents != 0 && !receive(*client);
  });
  // What one asked may have events for all.
  std::erase_if(clients_, [&](const auto& client) { return !transmit(*client); });
  serving_ = std::thread::id();
  if (polled[0].revents != 0) accept_clients();
}

void SocketServer::accept_clients() {
  for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    auto client = std::make_unique<Client>(server_, fd);
    server_.on_output(*client->connection, [this] {
      // Output of its own making is sent before it waits again.
      if (serving_.load() != std::this_thread::get_id()) wake();
    });
    clients_.push_back(std::move(client));
  }
}

bool SocketServer::receive(Client& client) {
  std::array<char, 4 * XENSTORE_PAYLOAD_MAX> buffer;
  const ssize_t count = recv(client.fd, buffer.data(), buffer.size(), 0);
  if (count == 0) return false;
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  std::string_view bytes(buffer.data(), static_cast<size_t>(count));
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, client.reader.wanted());
    if (!client.reader.feed(piece)) return false;
    bytes.remove_prefix(piece.size());
    if (const auto request = client.reader.take()) server_.handle(*client.connection, *request);
  }
  return true;
}

bool SocketServer::transmit(Client& client) {
  while (const auto message = server_.take(*client.connection)) client.output.put(*message);
  while (!client.output.empty()) {
    const std::string_view bytes = client.output.bytes();
    const ssize_t count = send(client.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    client.output.consume(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace ringside::sim::xenstore
