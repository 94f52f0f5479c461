#include "conformance/live/tap_lane.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr size_t kLongestHead = 512;
constexpr unsigned kMostFragments = 32;

backends::Offload offload_of(const xenvif::RxPacket& packet) {
  return {packet.checksum, packet.gso.type, packet.gso.size};
}

}  // namespace

TapLane::Counters& TapLane::Counters::operator+=(const Counters& other) {
  read += other.read;
  read_gso += other.read_gso;
  read_blank += other.read_blank;
  unknown += other.unknown;
  unsent += other.unsent;
  written += other.written;
  written_gso += other.written_gso;
  written_blank += other.written_blank;
  refused += other.refused;
  return *this;
}

TapLane::TapLane(DriverGuest& guest, unsigned cpu, backends::TapDevice device)
    : guest_(guest), cpu_(cpu), device_(std::move(device)), buffers_(kBuffers) {
  bool complete = true;
  guest_.run([&] {
    platform::Platform& platform = guest_.platform();
    for (uint16_t i = 0; i < kBuffers && complete; ++i) {
      const auto pages = platform.allocate_pages(kPagesEach);
      complete = static_cast<bool>(pages);
      if (!complete) break;
      buffers_[i].pages = *pages;
      free_.push_back(i);
    }
    auto work = platform.create_work(Delegate::to<&TapLane::pump>(*this), cpu_);
    if (work) work_ = *std::move(work);
  });
  if (!complete || !work_) throw RigError("the guest has no memory for the frames of a TAP");
}

TapLane::~TapLane() {
  stop();
  try {
    guest_.run([this] {
      work_.reset();
      if (waiting_) free_.push_back(*waiting_);
      // Those not free are still mapped by the back end, and for the guest's audit to tell.
      for (const uint16_t index : free_) guest_.platform().release_pages(buffers_[index].pages);
    });
  } catch (const std::exception&) {
    // A guest that hangs was reported by the call that hung.
  }
}

void TapLane::start(xenvif::Queue& queue, backends::Poller& poller) {
  queue_ = &queue;
  poller_ = &poller;
  if (!poller.add(device_.file(), [this] { work_->queue(); })) {
    throw Problem(std::string("a TAP can't be waited for: ") + std::strerror(errno));
  }
  connect();
}

void TapLane::connect() {
  connected_ = true;
  work_->queue();
}

// A queue's calls must not overlap its release, which is on another CPU perhaps.
void TapLane::disconnect() {
  connected_ = false;
  work_->cancel();
}

void TapLane::stop() {
  stopped_ = true;
  if (poller_ != nullptr) poller_->remove(device_.file());
}

void TapLane::pump() {
  if (stopped_ || !connected_) return;
  for (unsigned sent = 0; sent < kBatch; ++sent) {
    if (!waiting_) {
      starved_ = free_.empty();
      if (starved_) return queue_->flush();
      Buffer& buffer = buffers_[free_.back()];
      if (!fill(buffer)) return queue_->flush();
      waiting_ = free_.back();
      free_.pop_back();
    }
    const uint16_t index = *waiting_;
    waiting_.reset();
    const Status status = send(index);
    if (status == Status::kNoResources) {
      waiting_ = index;  // until go_on()
      return queue_->flush();
    }
    if (ok(status)) continue;
    ++counters_.unsent;
    free_.push_back(index);
  }
  queue_->flush();
  work_->queue();
}

/// Reads the next frame that the vif can carry; false when there is none for now.
bool TapLane::fill(Buffer& buffer) {
  backends::VnetHeader header{};
  while (const auto length = device_.read(header, buffer.pages.bytes())) {
    ++counters_.read;
    const auto offload = backends::from_vnet(header, buffer.pages.bytes().first(*length));
    if (!offload) {
      ++counters_.unknown;
      continue;
    }
    counters_.read_gso += offload->gso_type != backends::Frame::GsoType::kNone;
    counters_.read_blank += offload->checksum == backends::Frame::Checksum::kBlank;
    buffer.length = *length;
    buffer.offload = *offload;
    return true;
  }
  poller_->arm(device_.file());
  return false;
}

Status TapLane::send(uint16_t index) {
  Buffer& buffer = buffers_[index];
  unsigned count = 0;
  for (size_t at = 0; at < buffer.length; at += platform::kPageSize, ++count) {
    const size_t length = std::min(platform::kPageSize, buffer.length - at);
    buffer.fragments[count] = {buffer.pages.address + at, buffer.pages.frames[count], 0,
                               static_cast<uint16_t>(length)};
  }
  xenvif::TxPacket packet;
  packet.fragments = std::span(buffer.fragments).first(count);
  packet.checksum = buffer.offload.checksum;
  packet.gso = {buffer.offload.gso_type, buffer.offload.gso_size};
  packet.cookie = index;
  return queue_->transmit(packet);
}

void TapLane::transmitted(uint64_t cookie, xenvif::TxStatus status) {
  counters_.unsent += status != xenvif::TxStatus::kSent;
  if (status == xenvif::TxStatus::kPeerHoldsPages) return;
  free_.push_back(static_cast<uint16_t>(cookie));
  if (std::exchange(starved_, false)) work_->queue();
}

void TapLane::received(const xenvif::RxPacket& packet) {
  std::array<std::byte, kLongestHead> head;
  std::array<std::span<const std::byte>, kMostFragments> pieces;
  const size_t count = std::min(packet.fragments.size(), pieces.size());
  size_t in_head = 0;
  for (size_t i = 0; i < count; ++i) {
    const xenvif::Fragment& fragment = packet.fragments[i];
    pieces[i] = {fragment.address, fragment.length};
    const size_t part = std::min<size_t>(fragment.length, head.size() - in_head);
    std::memcpy(&head[in_head], fragment.address, part);
    in_head += part;
  }
  const backends::Offload offload = offload_of(packet);
  const backends::VnetHeader header = backends::to_vnet(offload, std::span(head).first(in_head));
  if (device_.write(header, std::span(pieces).first(count))) {
    ++counters_.written;
    counters_.written_gso += offload.gso_type != backends::Frame::GsoType::kNone;
    counters_.written_blank += offload.checksum == backends::Frame::Checksum::kBlank;
  } else {
    ++counters_.refused;
  }
}

}  // namespace ringside::conformance
