#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sim/xenstore/local_client.hpp"
#include "sim/xenstore/ring_connection.hpp"
#include "sim/xenstore/server.hpp"

using namespace ringside::sim;
using namespace ringside::sim::xenstore;

namespace {

constexpr DomainId kHostile = 5;
constexpr DomainId kOther = 6;
constexpr Quotas kQuotas{.nodes = 16, .watches = 4, .transactions = 3};
alignas(4096) std::array<std::byte, 4096> page;

void require(bool held) {
  if (!held) std::abort();
}

/// One client's messages, whole and in whatever order.
class Talker {
 public:
  Talker(Server& server, DomainId domain)
      : server_(server), connection_(server.connect(domain)), domain_(domain) {}
  ~Talker() { server_.disconnect(*connection_); }
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;

  void say(uint32_t type, uint32_t transaction, std::string payload) {
    Message request;
    request.header = {type, ++last_id_, transaction == 0 ? 0 : begun_ + transaction - 1,
                      static_cast<uint32_t>(payload.size())};
    request.payload = std::move(payload);
    const Message reply = server_.exchange(*connection_, request);
    require(reply.header.req_id == last_id_ && reply.header.tx_id == request.header.tx_id);
    require(reply.header.type == type || reply.header.type == XS_ERROR);
    require(reply.payload.size() == reply.header.len && reply.header.len <= XENSTORE_PAYLOAD_MAX);
    if (reply.header.type == XS_TRANSACTION_START) {
      begun_ = static_cast<uint32_t>(std::stoul(reply.payload));
    }
    while (server_.take_event(*connection_)) {
    }
    if (domain_ != 0) require(server_.watch_count(*connection_) <= kQuotas.watches + 1);
  }

 private:
  Server& server_;
  std::shared_ptr<Connection> connection_;
  DomainId domain_;
  uint32_t last_id_ = 0;
  uint32_t begun_ = 0;
};

/// Bytes and indices as a hostile domain leaves them in its store page.
void scribble(RingConnection& ring, std::string_view bytes) {
  if (bytes.size() < 3) return;
  const size_t at =
      static_cast<size_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1])) %
      page.size();
  std::memcpy(&page[at], bytes.data() + 2, std::min(bytes.size() - 2, page.size() - at));
  for (int turns = 0; ring.serve().more; ++turns) require(turns < 1000);
}

}  // namespace

// Two guests and a ring of one of them, against a tree of which a part is none of their business.
// Each record is: who, type, transaction, length, and as many bytes of payload.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  page.fill(std::byte{0});
  Server server(kQuotas, nullptr, {.watch_depth = true});
  LocalClient dom0(server, 0);
  dom0.write("/secret/value", "dom0's");
  dom0.mkdir("/local/domain/5");
  dom0.set_permissions("/local/domain/5", {"n5"});
  dom0.mkdir("/shared");
  dom0.set_permissions("/shared", {"b0"});
  server.mark_introduced(kHostile);
  Talker hostile(server, kHostile);
  Talker other(server, kOther);
  RingConnection ring(server, kHostile, page.data());
  while (size >= 4) {
    const size_t length = std::min<size_t>(data[3], size - 4);
    std::string payload(reinterpret_cast<const char*>(data + 4), length);
    switch (data[0] % 4) {
      case 0: hostile.say(data[1] % 32, data[2] % 8, std::move(payload)); break;
      case 1: other.say(data[1] % 32, data[2] % 8, std::move(payload)); break;
      case 2: scribble(ring, payload); break;
      default: hostile.say(XS_WRITE, data[2] % 8, payload.append(data[1] * 16u, 'v')); break;
    }
    data += 4 + length;
    size -= 4 + length;
    require(server.nodes_owned_by(kHostile) <= kQuotas.nodes);
  }
  require(dom0.read("/secret/value") == "dom0's");
  server.mark_released(kHostile);
  require(server.nodes_owned_by(kHostile) == 0);
  return 0;
}
