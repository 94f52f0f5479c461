#include "backends/netback/tap_port.hpp"

#include <array>
#include <utility>

#include "backends/netback/vnet_header.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kLongestFrame = 65536 + 14 + 4;

}  // namespace

TapPort::TapPort(TapDevice device, Poller& poller)
    : device_(std::move(device)), poller_(poller), buffer_(kLongestFrame) {
  poller_.add(device_.file(), [this] { wake(); });
}

TapPort::~TapPort() { poller_.remove(device_.file()); }

void TapPort::sent(Frame&& frame) {
  const VnetHeader header = to_vnet({frame.checksum, frame.gso_type, frame.gso_size}, frame.bytes);
  const std::array<std::span<const std::byte>, 1> whole{frame.bytes};
  if (device_.write(header, whole)) {
    ++counters_.to_network;
  } else {
    ++counters_.refused;
  }
}

bool TapPort::receive(Frame& frame) {
  VnetHeader header{};
  while (taken_ < kBatch) {
    const auto length = device_.read(header, buffer_);
    if (!length) {
      taken_ = 0;
      poller_.arm(device_.file());
      return false;
    }
    ++taken_;
    const std::span bytes = std::span(buffer_).first(*length);
    const auto offload = from_vnet(header, bytes);
    if (!offload) {
      ++counters_.unknown;
      continue;
    }
    ++counters_.to_guest;
    frame.bytes.assign(bytes.begin(), bytes.end());
    frame.checksum = offload->checksum;
    frame.gso_type = offload->gso_type;
    frame.gso_size = offload->gso_size;
    return true;
  }
  taken_ = 0;
  wake();
  return false;
}

}  // namespace ringside::backends
