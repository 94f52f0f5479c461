#include "conformance/replay/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace ringside::conformance {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr size_t kMinimumFrame = 60;
constexpr size_t kTcpHeader = 20;

/// The addresses and ports of one direction of a TCP connection.
Bytes flow_key(const TrafficFrame& frame, bool reversed) {
  const PacketLayout& layout = frame.layout;
  const size_t count = layout.ipv4 ? 4 : 16;
  const size_t source = layout.network + (layout.ipv4 ? 12 : 8);
  Bytes key;
  const auto add = [&](size_t at, size_t bytes) {
    const auto from = frame.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    key.insert(key.end(), from, from + static_cast<std::ptrdiff_t>(bytes));
  };
  add(reversed ? source + count : source, count);
  add(reversed ? source : source + count, count);
  add(reversed ? layout.transport + 2 : layout.transport, 2);
  add(reversed ? layout.transport : layout.transport + 2, 2);
  return key;
}

using MssByFlow = std::map<Bytes, uint16_t>;

TrafficFrame inspect(const CapturedFrame& captured) {
  TrafficFrame frame;
  frame.bytes = captured.bytes;
  frame.layout = dissect(frame.bytes);
  if (captured.cut_short()) {
    frame.unfit = "cut short by the capture";
  } else if (frame.bytes.size() < kEthernetHeader) {
    frame.unfit = "shorter than an Ethernet header";
  }
  frame.blank_checksum =
      frame.unfit.empty() && checksum_state(frame.bytes, frame.layout) == ChecksumState::kPartial;
  return frame;
}

/// Makes a GSO frame of one over the MTU, or says why it can't be.
void shape_large(TrafficFrame& frame, uint16_t mtu, const MssByFlow& announced) {
  const PacketLayout& layout = frame.layout;
  if (layout.end - layout.network <= mtu) return;
  if (!layout.tcp()) {
    frame.unfit = "over the MTU and not TCP";
    return;
  }
  const ChecksumState state = checksum_state(frame.bytes, layout);
  if (state == ChecksumState::kWrong) {
    frame.unfit = "over the MTU with a wrong checksum";
    return;
  }
  const size_t options = layout.payload - layout.transport - kTcpHeader;
  const size_t headers = layout.payload - layout.network;
  size_t mss = headers < mtu ? mtu - headers : 0;
  const auto found = announced.find(flow_key(frame, /*reversed=*/true));
  if (found != announced.end() && found->second > options) {
    mss = std::min<size_t>(mss, found->second - options);
  }
  if (mss == 0) {
    frame.unfit = "headers longer than the MTU";
    return;
  }
  // A receiver's merged frame (GRO) has a full checksum; as GSO its segments get their own.
  leave_checksum_partial(frame.bytes, layout);
  frame.blank_checksum = true;
  frame.gso = {layout.ipv4 ? xenvif::GsoType::kTcpV4 : xenvif::GsoType::kTcpV6,
               static_cast<uint16_t>(mss)};
}

}  // namespace

std::vector<TrafficFrame> shape_traffic(std::span<const CapturedFrame> frames, uint16_t mtu) {
  std::vector<TrafficFrame> shaped;
  MssByFlow announced;
  for (const CapturedFrame& captured : frames) {
    TrafficFrame frame = inspect(captured);
    if (const auto mss = mss_option(frame.bytes, frame.layout)) {
      announced[flow_key(frame, /*reversed=*/false)] = *mss;
    }
    if (frame.unfit.empty()) shape_large(frame, mtu, announced);
    shaped.push_back(std::move(frame));
  }
  return shaped;
}

std::vector<ExpectedFrame> expect(const TrafficFrame& frame, size_t index, bool gso_carried) {
  if (frame.gso.type == xenvif::GsoType::kNone || gso_carried) {
    return {{frame.bytes, frame.layout, frame.blank_checksum, frame.gso, index}};
  }
  std::vector<ExpectedFrame> segments;
  for (Bytes& segment : segment_tcp(frame.bytes, frame.layout, frame.gso.size)) {
    const PacketLayout layout = dissect(segment);
    segments.push_back({std::move(segment), layout, /*may_be_blank=*/true, {}, index});
  }
  return segments;
}

std::string difference(const ExpectedFrame& expected, const ReceivedFrame& received) {
  if (received.gso.type != expected.gso.type || received.gso.size != expected.gso.size) {
    return fmt::format("GSO type {} size {} instead of type {} size {}",
                       static_cast<int>(received.gso.type), received.gso.size,
                       static_cast<int>(expected.gso.type), expected.gso.size);
  }
  const bool blank = received.checksum == xenvif::Checksum::kBlank;
  if (blank && !expected.may_be_blank) return "its checksum is called blank, but it was not";
  Bytes wanted = expected.bytes;
  if (blank) leave_checksum_partial(wanted, expected.layout);
  if (!blank && expected.may_be_blank) complete_checksum(wanted, expected.layout);
  if (wanted.size() < kMinimumFrame && received.bytes.size() == kMinimumFrame) {
    wanted.resize(kMinimumFrame);
  }
  if (received.bytes.size() != wanted.size()) {
    return fmt::format("{} bytes instead of {}", received.bytes.size(), wanted.size());
  }
  const auto [at, other] = std::mismatch(wanted.begin(), wanted.end(), received.bytes.begin());
  if (at == wanted.end()) return {};
  return fmt::format("byte {} is {:#04x} instead of {:#04x}", at - wanted.begin(),
                     std::to_integer<int>(*other), std::to_integer<int>(*at));
}

}  // namespace ringside::conformance
