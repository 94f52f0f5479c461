#include "sim/xenstore/socket_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "sim/xenstore/request.hpp"
#include "sim/xenstore/wire_errors.hpp"

namespace ringside::sim::xenstore {

SocketClient::SocketClient(const std::string& path)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int why = errno;
    close(socket_);
    throw std::system_error(why, std::generic_category(), "store daemon at " + path);
  }
  reader_ = std::thread([this] { read_messages(); });
}

SocketClient::~SocketClient() {
  shutdown(socket_, SHUT_RDWR);
  reader_.join();
  close(socket_);
}

bool SocketClient::send_all(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

int SocketClient::request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
                          std::string& answer) {
  if (payload.size() > XENSTORE_PAYLOAD_MAX) return E2BIG;
  Message message;
  message.header.type = type;
  message.header.tx_id = transaction;
  message.header.len = static_cast<uint32_t>(payload.size());
  message.payload = payload;
  OutputStream output;
  output.put(message);

  const std::lock_guard exchange(exchange_mutex_);
  if (!send_all(output.bytes())) return EIO;
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [this] { return reply_.has_value() || over_; });
  if (!reply_) return EIO;
  Message reply = *std::exchange(reply_, std::nullopt);
  if (reply.header.type == XS_ERROR) return error_number(reply.payload.c_str());
  answer = std::move(reply.payload);
  return 0;
}

void SocketClient::read_messages() {
  MessageReader reader;
  std::array<char, XENSTORE_PAYLOAD_MAX> buffer;
  for (;;) {
    const ssize_t count = recv(socket_, buffer.data(), reader.wanted(), 0);
    const bool sound = count > 0 && reader.feed({buffer.data(), static_cast<size_t>(count)});
    if (!sound) break;
    if (auto message = reader.take()) sort(*std::move(message));
  }
  const std::lock_guard lock(mutex_);
  over_ = true;
  answered_.notify_all();
}

void SocketClient::sort(Message message) {
  const std::lock_guard lock(mutex_);
  if (message.header.type != XS_WATCH_EVENT) {
    reply_ = std::move(message);
    answered_.notify_all();
    return;
  }
  const auto strings = strings_of(message.payload);
  if (strings.size() < 2) return;
  events_.push_back({std::string(strings[0]), std::string(strings[1])});
  if (wake_) wake_();
}

std::optional<WatchEvent> SocketClient::next_event() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  WatchEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void SocketClient::on_event(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

}  // namespace ringside::sim::xenstore
