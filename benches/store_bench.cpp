#include <benchmark/benchmark.h>

#include <array>
#include <span>
#include <vector>

#include "conformance/daemons/store_host.hpp"

namespace ringside::benches {
namespace {

using conformance::StoreHost;
using conformance::StorePeer;

constexpr int kInFlight = 32;

/// One client on the daemon's socket.
class SocketClient {
 public:
  explicit SocketClient(std::unique_ptr<StoreHost> host)
      : host_(std::move(host)), peer_(conformance::connect_socket(host_->socket())) {}

  static StorePeer::Message message(uint32_t type, const std::string& payload) {
    return {{type, 0, 0, static_cast<uint32_t>(payload.size())}, payload};
  }
  void send(std::span<const StorePeer::Message> requests) { peer_->send(requests); }
  bool succeeds(uint32_t type) {
    const auto reply = peer_->receive();
    return reply && reply->header.type == type;
  }

 private:
  std::unique_ptr<StoreHost> host_;
  std::unique_ptr<StorePeer> peer_;
};

std::unique_ptr<StoreHost> embedded() { return conformance::embedded_store_host(); }
std::unique_ptr<StoreHost> xenstored() {
  return conformance::real_store_host("xenstored", RINGSIDE_STORE_SHIM);
}

using Start = std::unique_ptr<StoreHost> (*)();

/// One operation: a request over the socket and its answer, several of them in flight.
void store_socket(benchmark::State& state, Start start, uint32_t type, const char* value) {
  try {
    SocketClient client(start());
    std::string payload = "/local/domain/1/device/vif/0/state";
    payload += '\0';
    const std::array first{SocketClient::message(XS_WRITE, payload + "1")};
    client.send(first);
    if (!client.succeeds(XS_WRITE)) return state.SkipWithError("nothing was written");
    const std::vector batch(kInFlight, SocketClient::message(type, payload + value));
    for (auto _ : state) {
      client.send(batch);
      for (int i = 0; i < kInFlight; ++i) {
        if (!client.succeeds(type)) return state.SkipWithError("a request was refused");
      }
    }
    state.SetItemsProcessed(state.iterations() * kInFlight);
  } catch (const conformance::NotInstalled& e) {
    state.SkipWithError(e.what());
  }
}

BENCHMARK_CAPTURE(store_socket, read, embedded, XS_READ, "")
    ->Name("store_socket_read/ours")
    ->UseRealTime();
BENCHMARK_CAPTURE(store_socket, read_real, xenstored, XS_READ, "")
    ->Name("store_socket_read/xenstored")
    ->UseRealTime();
BENCHMARK_CAPTURE(store_socket, write, embedded, XS_WRITE, "4")
    ->Name("store_socket_write/ours")
    ->UseRealTime();
BENCHMARK_CAPTURE(store_socket, write_real, xenstored, XS_WRITE, "4")
    ->Name("store_socket_write/xenstored")
    ->UseRealTime();

}  // namespace
}  // namespace ringside::benches
