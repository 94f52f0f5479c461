#include "conformance/worlds/net_life.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::conformance {
namespace {

constexpr size_t kHeader = 14 + 4 + 4;  // Ethernet, the sender's id, the frame's number
constexpr size_t kShortest = 60;
constexpr size_t kLongest = 1514;
/// For what a peer that behaves is sure to do soon.
constexpr sim::Nanoseconds kSoon = 20 * platform::kMillisecond;

void put(std::byte* at, uint32_t value) { std::memcpy(at, &value, sizeof value); }
uint32_t get(const std::byte* at) {
  uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

NetLife::NetLife(DriverGuest& guest, const sim::VifConfig& config, Peers peers,
                 const Scenario& scenario)
    : DeviceLife(guest, guest.host().toolstack().attach_vif(guest.domid(), config), peers),
      scenario_(scenario),
      id_(config.handle),
      random_(guest.host().world().random().fork()),
      transmit_tap_(guest.host().world().trace(), 2 * config.handle),
      receive_tap_(guest.host().world().trace(), 2 * config.handle + 1) {}

NetLife::~NetLife() = default;

void NetLife::run() {
  if (!create(static_cast<xenvif::Client&>(*this))) return finding("could not be created");
  driver().queue(0).attach(&transmit_tap_, &receive_tap_);
  for (unsigned round = 1; round <= scenario_.rounds; ++round) {
    leaving_ = false;
    if (!connect([this] { return up_; })) break;
    connected_rounds_ = round;
    const auto ready = [&] { return other_->over_ || other_->connected_rounds_ >= round; };
    (void)wait("waiting for the other end", ready);
    send_round(scenario_.frames);
    sent_rounds_ = round;
    settle();
    leaving_ = true;
    close();
  }
  over_ = true;
  leaving_ = true;
  close();
  if (completed_ != handed_over_) {
    finding(fmt::format("{} packets were taken, {} completed", handed_over_, completed_));
  }
  outgoing_.clear();
  destroy();
}

/// Lets the other end's frames arrive before this end goes.
void NetLife::settle() {
  const auto settled = [this] {
    if (!other_->over_ && other_->sent_rounds_ < sent_rounds_) return false;
    return received_ >= other_->sent_ || cable_lossy();
  };
  (void)wait("waiting for the other end's last frame", settled, hostile() ? kSoon : patience());
}

void NetLife::send_round(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    send(next_number_++);
    if (random_.chance(0.3)) driver().queue(0).flush();
  }
  driver().queue(0).flush();
  const bool complete = wait(
      "waiting for completions", [this] { return completed_ == handed_over_; },
      hostile() ? kSoon : patience());
  if (!complete && !hostile()) {
    finding(fmt::format("{} of {} packets were not completed", handed_over_ - completed_,
                        handed_over_));
  }
}

void NetLife::send(uint32_t number) {
  Outgoing& out = outgoing_[number];
  const auto tried = [&] {
    if (out.fragments.empty() && !lay_out(number, out)) return false;
    xenvif::TxPacket packet;
    packet.fragments = out.fragments;
    packet.cookie = number;
    ++handed_over_;  // before: transmitted() may be called from within transmit()
    const Status status = driver().queue(0).transmit(packet);
    if (ok(status)) return true;
    --handed_over_;
    if (status == Status::kNoResources) {
      driver().queue(0).flush();
    } else if (status != Status::kClosed) {
      finding(fmt::format("frame {} was refused: {}", number, to_string(status)));
    } else if (!up_) {
      (void)connect([this] { return up_; });
    }
    return false;
  };
  if (wait("sending", tried, hostile() ? kSoon : patience())) return;
  if (!hostile()) finding(fmt::format("frame {} could not be sent", number));
  for (const platform::Page page : out.pages) platform().release_page(page);
  out = {};
}

bool NetLife::lay_out(uint32_t number, Outgoing& out) {
  const auto bytes = frame(id_, number, kShortest + random_.below(kLongest - kShortest + 1));
  const size_t head = random_.chance(0.5) ? kHeader + random_.below(30) : 0;
  const size_t offset = random_.below(platform::kPageSize - 100);
  for (size_t at = 0; at < bytes.size();) {
    const auto page = platform().allocate_page();
    if (!page) {
      for (const platform::Page taken : out.pages) platform().release_page(taken);
      out = {};
      return false;
    }
    const bool is_head = at == 0 && head > 0;
    const size_t from = is_head || at == head ? offset : 0;
    const size_t room = std::min(platform::kPageSize - from, bytes.size() - at);
    const size_t length = is_head ? std::min(head, room) : room;
    std::memcpy(page->address + from, &bytes[at], length);
    out.pages.push_back(*page);
    out.fragments.push_back({page->address + from, page->frame, static_cast<uint16_t>(from),
                             static_cast<uint16_t>(length)});
    at += length;
  }
  return true;
}

std::vector<std::byte> NetLife::frame(uint32_t id, uint32_t number, size_t size) const {
  std::vector<std::byte> bytes(size);
  sim::Random content(uint64_t{id} << 32 | number);
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = content.next();
    std::memcpy(&bytes[at], &word, std::min(sizeof word, size - at));
  }
  bytes[0] = std::byte{2};
  bytes[12] = std::byte{0x88};
  bytes[13] = std::byte{0xb5};  // local experimental
  put(&bytes[14], id);
  put(&bytes[18], number);
  return bytes;
}

void NetLife::transmitted(xenvif::Queue&, uint64_t cookie, xenvif::TxStatus status) {
  const auto found = outgoing_.find(static_cast<uint32_t>(cookie));
  if (found == outgoing_.end() || found->second.status.has_value()) {
    return finding(fmt::format("packet {} was completed once too often", cookie));
  }
  Outgoing& out = found->second;
  out.status = status;
  ++completed_;
  const bool sent = status == xenvif::TxStatus::kSent;
  const bool cut_off = status == xenvif::TxStatus::kDisconnected && (downs_ > 0 || leaving_);
  sent_ += sent ? 1 : 0;
  if (!sent && !cut_off && !hostile()) {
    finding(fmt::format("packet {} ended as {}", cookie, xenvif::to_string(status)));
  }
  if (status != xenvif::TxStatus::kPeerHoldsPages) {
    for (const platform::Page page : out.pages) platform().release_page(page);
  }
  out.pages.clear();
  progress();
}

void NetLife::room(xenvif::Queue&) { progress(); }

void NetLife::received(xenvif::Queue& queue, const xenvif::RxPacket& packet) {
  std::vector<std::byte> bytes;
  for (const xenvif::Fragment& fragment : packet.fragments) {
    bytes.insert(bytes.end(), fragment.address, fragment.address + fragment.length);
  }
  queue.give_back(packet);
  ++received_;
  if (!hostile()) check(bytes);
  progress();
}

void NetLife::check(const std::vector<std::byte>& bytes) {
  if (bytes.size() < kShortest) return finding("a frame shorter than any that was sent arrived");
  const uint32_t number = get(&bytes[18]);
  if (bytes != frame(other_->id_, number, bytes.size())) {
    return finding(fmt::format("frame {} arrived damaged", number));
  }
  if (number < next_expected_) {
    return finding(fmt::format("frame {} arrived late or twice", number));
  }
  next_expected_ = number + 1;
}

void NetLife::link_changed(xenvif::LinkState link) {
  up_ = link == xenvif::LinkState::kUp;
  if (!up_ && !leaving_) ++downs_;
  progress();
}

void NetLife::check_arrivals() {
  if (hostile() || cable_lossy()) return;
  if (received_ != other_->sent_) {
    finding(fmt::format("{} frames were sent to it, {} arrived", other_->sent_.load(), received_));
  }
}

}  // namespace ringside::conformance
