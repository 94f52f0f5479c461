#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>

#include "conformance/live/nbd_export.hpp"
#include "conformance/live/nbd_protocol.hpp"

namespace ringside::conformance {

/// One client of an NbdServer: a thread that reads what it wants, another that writes the
/// replies, in the order in which they come. Nothing a client sends is trusted.
class NbdConnection {
 public:
  /// Owns `socket` from here on.
  NbdConnection(int socket, NbdExport& disk);
  /// Cuts the connection and waits for what is under way.
  ~NbdConnection();
  NbdConnection(const NbdConnection&) = delete;
  NbdConnection& operator=(const NbdConnection&) = delete;

  bool over() const;

 private:
  struct Reply {
    std::unique_ptr<NbdCommand> command;
    uint32_t error = 0;
  };

  static constexpr size_t kMostUnderWay = 256;

  void serve();
  void reply_all();
  bool shake_hands();
  bool take_option(bool& go);
  bool export_name();
  bool describe(uint32_t option, std::span<const std::byte> data, bool& go);
  bool answer(uint32_t option, uint32_t type, std::span<const std::byte> data = {});
  uint16_t transmission_flags() const;
  bool take_command();
  uint32_t judge(uint16_t type, const NbdCommand& command) const;
  void done(std::unique_ptr<NbdCommand> command, uint32_t error);
  bool receive(std::span<std::byte> into);
  bool send(std::span<const std::byte> bytes);

  int socket_;
  NbdExport& disk_;
  bool no_zeroes_ = false;
  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::deque<Reply> replies_;
  size_t under_way_ = 0;  ///< commands taken and not replied to
  bool ending_ = false;   ///< no further command will come
  bool over_ = false;
  std::thread writer_;
  std::thread reader_;
};

}  // namespace ringside::conformance
