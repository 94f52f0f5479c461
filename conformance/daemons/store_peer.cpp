#include "conformance/daemons/store_peer.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

constexpr int kPatienceMs = 60'000;

class SocketPeer final : public StorePeer {
 public:
  explicit SocketPeer(int fd) : fd_(fd) {}
  ~SocketPeer() override { close(fd_); }

 private:
  void put(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }

  std::string get(size_t most) override {
    if (unread_.empty()) fill();
    const std::string_view bytes = unread_.substr(0, most);
    unread_.remove_prefix(bytes.size());
    return std::string(bytes);
  }
  void fill() {
    pollfd readable{fd_, POLLIN, 0};
    if (poll(&readable, 1, kPatienceMs) != 1) throw Stuck("waited in vain for the store's answer");
    const ssize_t count = recv(fd_, buffer_.data(), buffer_.size(), 0);
    unread_ = {buffer_.data(), count > 0 ? static_cast<size_t>(count) : 0};
  }

  int fd_;
  std::array<char, 16384> buffer_;
  std::string_view unread_;
};

uint32_t load(uint32_t& shared) { return std::atomic_ref(shared).load(std::memory_order_acquire); }
void store(uint32_t& shared, uint32_t value) {
  std::atomic_ref(shared).store(value, std::memory_order_release);
}

class RingPeer final : public StorePeer {
 public:
  explicit RingPeer(StoreRing& ring) : ring_(ring), page_(ring.page()) {}

 private:
  void put(std::string_view bytes) override {
    while (!bytes.empty() && !hung_up()) {
      const uint32_t produced = load(page_.req_prod);
      const uint32_t room = XENSTORE_RING_SIZE - (produced - load(page_.req_cons));
      const size_t count = part(produced, room, bytes.size());
      if (count == 0) {
        await();
        continue;
      }
      std::memcpy(page_.req + MASK_XENSTORE_IDX(produced), bytes.data(), count);
      store(page_.req_prod, produced + static_cast<uint32_t>(count));
      ring_.notify();
      bytes.remove_prefix(count);
    }
  }

  std::string get(size_t most) override {
    for (;; await()) {
      const uint32_t consumed = load(page_.rsp_cons);
      const size_t count = part(consumed, load(page_.rsp_prod) - consumed, most);
      if (count == 0) {
        if (hung_up()) return {};
        continue;
      }
      std::string bytes(page_.rsp + MASK_XENSTORE_IDX(consumed), count);
      store(page_.rsp_cons, consumed + static_cast<uint32_t>(count));
      ring_.notify();
      return bytes;
    }
  }

  /// The largest piece from `index` on that does not wrap.
  static size_t part(uint32_t index, uint32_t available, size_t wanted) {
    return std::min<size_t>({available, XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(index), wanted});
  }
  bool hung_up() { return load(page_.error) != XENSTORE_ERROR_NONE; }
  void await() {
    if (!ring_.wait()) throw Stuck("waited in vain for the store's event");
  }

  StoreRing& ring_;
  xenstore_domain_interface& page_;
};

}  // namespace

void StorePeer::send(const Message& message) { send({&message, 1}); }

void StorePeer::send(std::span<const Message> messages) {
  std::string bytes;
  for (const Message& message : messages) {
    bytes.append(reinterpret_cast<const char*>(&message.header), sizeof(message.header));
    bytes.append(message.payload);
  }
  put(bytes);
}

std::optional<StorePeer::Message> StorePeer::receive() {
  for (;;) {
    if (auto message = reader_.take()) return message;
    const std::string bytes = get(reader_.wanted());
    if (bytes.empty()) return std::nullopt;
    if (!reader_.feed(bytes)) throw Stuck("the store announced an oversized message");
  }
}

std::unique_ptr<StorePeer> connect_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return nullptr;
  }
  return std::make_unique<SocketPeer>(fd);
}

std::unique_ptr<StorePeer> connect_ring(StoreRing& ring) {
  return std::make_unique<RingPeer>(ring);
}

}  // namespace ringside::conformance
