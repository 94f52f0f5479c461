#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "sim/xenstore/client.hpp"
#include "sim/xenstore/connection.hpp"

namespace ringside::sim::xenstore {

/// A dom0 client of a store daemon in another process, over its socket. For threaded worlds: a
/// request blocks the calling thread. Once the daemon is gone each answers EIO.
class SocketClient final : public Client {
 public:
  /// Throws std::system_error when nobody listens at `path`.
  explicit SocketClient(const std::string& path);
  ~SocketClient() override;
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  int request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
              std::string& answer) override;
  std::optional<WatchEvent> next_event() override;
  void on_event(std::function<void()> wake) override;

 private:
  void read_messages();
  void sort(Message message);
  bool send_all(std::string_view bytes) const;

  int socket_;
  std::mutex exchange_mutex_;  // held from a request to its reply
  std::mutex mutex_;           // the rest
  std::condition_variable answered_;
  std::optional<Message> reply_;
  bool over_ = false;
  std::deque<WatchEvent> events_;
  std::function<void()> wake_;
  std::thread reader_;
};

}  // namespace ringside::sim::xenstore
