#include "conformance/replay/traffic_ends.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ringside::conformance {
namespace {

constexpr uint64_t kMostPerFlush = 8;
constexpr size_t kShortestHead = 14;
constexpr size_t kHeadRange = 100;
constexpr double kSplitHead = 0.5;
constexpr sim::Nanoseconds kPatience = 10 * platform::kSecond;

}  // namespace

TrafficSource::TrafficSource(DriverGuest& guest, std::span<const TrafficFrame> frames)
    : guest_(guest),
      frames_(frames),
      random_(guest.host().world().random().fork()),
      outgoing_(frames.size()),
      statuses_(frames.size()) {
  guest_.run([this] {
    auto event = guest_.platform().create_event();
    if (event) progress_ = *std::move(event);
  });
  if (!progress_) throw RigError("no event for the sender");
}

TrafficSource::~TrafficSource() { progress_.reset(); }

void TrafficSource::send_all(xenvif::Queue& queue) {
  guest_.run([&] { send_in_guest(queue); }, /*cpu=*/0, platform::kForever / 2);
}

void TrafficSource::send_in_guest(xenvif::Queue& queue) {
  uint64_t until_flush = 1;
  for (size_t i = 0; i < frames_.size(); ++i) {
    if (!frames_[i].unfit.empty()) continue;
    Status status;
    while ((progress_->reset(), status = send(queue, i)) == Status::kNoResources) {
      queue.flush();
      if (!ok(guest_.platform().wait_until(*progress_, guest_.platform().now() + kPatience))) {
        return;
      }
    }
    if (!ok(status)) {
      violations_.push_back(fmt::format("frame {}: not taken: {}", i + 1, to_string(status)));
      return;
    }
    if (--until_flush == 0) {
      queue.flush();
      until_flush = 1 + random_.below(kMostPerFlush);
    }
  }
  queue.flush();
  while (completed_ < handed_over_) {
    progress_->reset();
    if (completed_ == handed_over_) break;
    if (!ok(guest_.platform().wait_until(*progress_, guest_.platform().now() + kPatience))) break;
  }
}

Status TrafficSource::send(xenvif::Queue& queue, size_t index) {
  const TrafficFrame& frame = frames_[index];
  Outgoing& out = outgoing_[index];
  if (out.fragments.empty()) lay_out(frame.bytes, out);
  xenvif::TxPacket packet;
  packet.fragments = out.fragments;
  packet.checksum = frame.blank_checksum ? xenvif::Checksum::kBlank : xenvif::Checksum::kUnknown;
  packet.gso = frame.gso;
  packet.cookie = index;
  ++handed_over_;  // before: transmitted() may be called from within transmit()
  const Status status = queue.transmit(packet);
  if (!ok(status)) --handed_over_;
  return status;
}

void TrafficSource::lay_out(ByteView bytes, Outgoing& out) {
  size_t head = 0;
  if (random_.chance(kSplitHead)) {
    head = std::min<size_t>(kShortestHead + random_.below(kHeadRange), bytes.size());
    lay_run(bytes.first(head), random_.below(platform::kPageSize - head), out);
  }
  if (head < bytes.size()) {
    lay_run(bytes.subspan(head), random_.below(platform::kPageSize), out);
  }
}

void TrafficSource::lay_run(ByteView bytes, size_t offset, Outgoing& out) {
  while (!bytes.empty()) {
    const auto page = guest_.platform().allocate_page();
    if (!page) throw RigError("the sending guest is out of memory");
    const size_t length = std::min(bytes.size(), platform::kPageSize - offset);
    std::memcpy(page->address + offset, bytes.data(), length);
    out.pages.push_back(*page);
    out.fragments.push_back({page->address + offset, page->frame, static_cast<uint16_t>(offset),
                             static_cast<uint16_t>(length)});
    bytes = bytes.subspan(length);
    offset = 0;
  }
}

void TrafficSource::release(Outgoing& out) {
  for (const platform::Page page : out.pages) guest_.platform().release_page(page);
  out = {};
}

void TrafficSource::transmitted(xenvif::Queue&, uint64_t cookie, xenvif::TxStatus status) {
  if (cookie >= statuses_.size() || statuses_[cookie].has_value()) {
    violations_.push_back(fmt::format("frame {}: completed once too often", cookie + 1));
    return;
  }
  statuses_[cookie] = status;
  if (status == xenvif::TxStatus::kPeerHoldsPages) {
    violations_.push_back(fmt::format("frame {}: the back end keeps its pages", cookie + 1));
  } else {
    release(outgoing_[cookie]);
  }
  ++completed_;
  progress_->signal();
}

void TrafficSource::room(xenvif::Queue&) { progress_->signal(); }

void TrafficSource::received(xenvif::Queue& queue, const xenvif::RxPacket& packet) {
  violations_.push_back("the sender received a frame nobody sent to it");
  queue.give_back(packet);
}

void TrafficSink::received(xenvif::Queue& queue, const xenvif::RxPacket& packet) {
  ReceivedFrame frame{{}, packet.checksum, packet.gso};
  frame.bytes.reserve(packet.length);
  for (const xenvif::Fragment& fragment : packet.fragments) {
    frame.bytes.insert(frame.bytes.end(), fragment.address, fragment.address + fragment.length);
  }
  frames_.push_back(std::move(frame));
  queue.give_back(packet);
}

}  // namespace ringside::conformance
