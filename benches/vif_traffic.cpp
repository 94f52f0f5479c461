#include "benches/vif_traffic.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "conformance/netif/test_frames.hpp"

namespace ringside::benches {
namespace {

constexpr unsigned kVifsPerGuest = 25;
constexpr unsigned kPagesPerQueue = 700;  // posted, lent, staging, and of the system's
constexpr double kWarmUp = 0.02;          // seconds: each page is touched, caches are full
constexpr uint16_t kSegment = 1460;
constexpr uint32_t kTcpHeaders = 54;

std::vector<std::byte> frame_of(uint32_t bytes, unsigned flow) {
  return conformance::with_pseudo_sum(
      conformance::ip_frame({.payload = bytes - kTcpHeaders, .seed = flow}));
}

conformance::HostConfig host_config(const TrafficShape& shape) {
  const unsigned queues = shape.vifs * shape.queues;
  conformance::HostConfig config;
  config.machine.direct_maps = true;
  config.machine.frames = 65536 + 2 * kPagesPerQueue * queues;
  config.machine.max_grant_frames = 512;
  return config;
}

backends::NetbackProfile profile_of(const TrafficShape& shape) {
  return *backends::find_netback_profile(shape.way == Way::kPersistent ? "full" : "linux");
}

}  // namespace

/// Swallows what the guest sends, and makes frames of several flows as told.
class VifTraffic::FramePort final : public backends::Port {
 public:
  explicit FramePort(uint32_t bytes) {
    for (unsigned flow = 0; flow < kFlows; ++flow) {
      frames_[flow].bytes = frame_of(bytes, flow);
      if (bytes <= platform::kPageSize) continue;
      frames_[flow].checksum = backends::Frame::Checksum::kBlank;
      frames_[flow].gso_type = backends::Frame::GsoType::kTcpV4;
      frames_[flow].gso_size = kSegment;
    }
  }

  void make(unsigned frames) {
    due_ = frames;
    wake();
  }

  void sent(backends::Frame&&) override {}
  bool receive(backends::Frame& frame) override {
    if (due_ == 0) return false;
    frame = frames_[--due_ % kFlows];
    return true;
  }

 private:
  static constexpr unsigned kFlows = 16;
  std::array<backends::Frame, kFlows> frames_;
  unsigned due_ = 0;
};

/// One vif: its client in the guest and the port behind it.
class VifTraffic::Lane final : public xenvif::Client {
 public:
  Lane(const TrafficShape& shape, FramePort& port)
      : shape_(shape), port_(port), sent_(shape.queues) {}

  /// In the guest: the packets of a burst, each in pages of its own.
  bool fill(platform::Platform& platform) {
    packets_.resize(burst_of(shape_.bytes));
    for (Packet& packet : packets_) {
      const std::vector<std::byte> frame = frame_of(shape_.bytes, 0);
      for (size_t at = 0; at < frame.size(); at += platform::kPageSize) {
        const auto page = platform.allocate_page();
        if (!page) return false;
        const size_t length = std::min(platform::kPageSize, frame.size() - at);
        std::copy_n(frame.begin() + static_cast<long>(at), length, page->address);
        packet.pages.push_back(*page);
        packet.fragments.push_back({page->address, page->frame, 0, static_cast<uint16_t>(length)});
      }
    }
    return true;
  }
  void release(platform::Platform& platform) {
    for (const Packet& packet : packets_) {
      for (const platform::Page& page : packet.pages) platform.release_page(page);
    }
    packets_.clear();
  }

  /// In the guest: a burst on each queue. `left` is counted down by what comes to its end.
  void begin(xenvif::Vif& vif, unsigned& left, platform::Event& done) {
    left_ = &left;
    done_ = &done;
    if (shape_.direction == Direction::kReceive) {
      return port_.make(burst_of(shape_.bytes) * shape_.queues);
    }
    for (unsigned i = 0; i < shape_.queues; ++i) {
      sent_[i] = 0;
      send(vif.queue(i));
    }
  }

  void transmitted(xenvif::Queue&, uint64_t, xenvif::TxStatus status) override {
    failed_ |= status != xenvif::TxStatus::kSent;
    count();
  }
  void room(xenvif::Queue& queue) override { send(queue); }
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override {
    failed_ |= packet.length != shape_.bytes;
    queue.give_back(packet);
    if (left_ != nullptr) count();
  }
  void link_changed(xenvif::LinkState) override {}
  bool failed() const { return failed_; }
  FramePort& port() { return port_; }

 private:
  struct Packet {
    std::vector<platform::Page> pages;
    std::vector<xenvif::Fragment> fragments;
  };

  /// As much of the queue's burst as it takes now; room() goes on.
  void send(xenvif::Queue& queue) {
    const bool large = shape_.bytes > platform::kPageSize;
    const xenvif::Gso gso{large ? xenvif::GsoType::kTcpV4 : xenvif::GsoType::kNone,
                          large ? kSegment : uint16_t{0}};
    unsigned& sent = sent_[queue.index()];
    while (sent < packets_.size()) {
      const Status status =
          queue.transmit({.fragments = packets_[sent].fragments,
                          .checksum = large ? xenvif::Checksum::kBlank : xenvif::Checksum::kUnknown,
                          .gso = gso,
                          .cookie = 0});
      if (!ok(status)) break;
      ++sent;
    }
    queue.flush();
  }
  void count() {
    if (--*left_ == 0) done_->signal();
  }

  TrafficShape shape_;
  FramePort& port_;
  std::vector<Packet> packets_;
  std::vector<unsigned> sent_;  ///< of the burst, by queue
  unsigned* left_ = nullptr;
  platform::Event* done_ = nullptr;
  bool failed_ = false;
};

/// One guest, its vifs and what is behind them.
struct VifTraffic::Side {
  Side(conformance::Host& host, const sim::GuestConfig& config,
       const std::map<std::string, uint32_t>& settings)
      : guest(host, config, nullptr, settings) {}
  ~Side() {
    devices.clear();
    guest.run([this] {
      for (const auto& lane : lanes) lane->release(guest.platform());
      done.reset();
    });
  }

  conformance::DriverGuest guest;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<conformance::VifDevice>> devices;
  Owned<platform::Event> done;
};

VifTraffic::VifTraffic(const TrafficShape& shape) : shape_(shape), host_(host_config(shape)) {
  host_.world().trace().enable(false);
  netback_ = conformance::start_netback(
      host_,
      [this](uint16_t domain, unsigned handle) -> backends::Port* {
        for (const auto& side : sides_) {
          if (side->guest.domid() == domain) return &side->lanes[handle]->port();
        }
        return nullptr;
      },
      profile_of(shape));
  for (unsigned left = shape.vifs; left > 0;) {
    const unsigned here = std::min(left, kVifsPerGuest);
    add_side(here);
    left -= here;
  }
  (void)measure(kWarmUp);
}

VifTraffic::~VifTraffic() = default;

void VifTraffic::add_side(unsigned vifs) {
  const std::map<std::string, uint32_t> settings{
      {"FrontendMaxQueues", shape_.queues},
      {"TransmitterAlwaysCopy", shape_.way == Way::kGranted ? 0 : 1}};
  const uint64_t pages = uint64_t{vifs} * shape_.queues * kPagesPerQueue;
  sides_.push_back(std::make_unique<Side>(
      host_, sim::GuestConfig{.vcpus = shape_.queues, .memory_kib = 65536 + 4 * pages}, settings));
  Side& side = *sides_.back();
  for (unsigned i = 0; i < vifs; ++i) {
    ports_.push_back(std::make_unique<FramePort>(shape_.bytes));
    side.lanes.push_back(std::make_unique<Lane>(shape_, *ports_.back()));
  }
  for (unsigned i = 0; i < vifs; ++i) {
    side.devices.push_back(std::make_unique<conformance::VifDevice>(side.guest, *side.lanes[i],
                                                                    sim::VifConfig{.handle = i}));
    if (!side.devices[i]->connect()) throw NoMeasurement("a vif did not connect");
    if (side.devices[i]->vif().queue_count() != shape_.queues) {
      throw NoMeasurement("a vif has another number of queues");
    }
  }
  bool filled = true;
  side.guest.run([&] {
    if (auto event = side.guest.platform().create_event()) side.done = *std::move(event);
    for (const auto& lane : side.lanes) filled &= lane->fill(side.guest.platform());
  });
  if (!side.done || !filled) throw NoMeasurement("the guest has no memory left");
}

/// In the guest: a burst on each queue of each vif, until all have come to their ends. Packets.
unsigned VifTraffic::round(Side& side) {
  const auto vifs = static_cast<unsigned>(side.lanes.size());
  const unsigned packets = vifs * shape_.queues * burst_of(shape_.bytes);
  unsigned left = packets;
  for (unsigned i = 0; i < vifs; ++i) {
    side.lanes[i]->begin(side.devices[i]->vif(), left, *side.done);
  }
  platform::Platform& platform = side.guest.platform();
  if (!ok(platform.wait_until(*side.done, platform.now() + platform::kSecond))) return 0;
  side.done->reset();
  for (const auto& lane : side.lanes) {
    if (lane->failed()) return 0;
  }
  return packets;
}

double VifTraffic::measure(double seconds) {
  constexpr platform::Nanoseconds kLong = 100'000 * platform::kSecond;
  // Asking for the time is a system call, and entering a guest from outside is not free either.
  const unsigned rounds = 1 + 32 / shape_.vifs;
  const double begin = cpu_seconds(0);
  double now = begin;
  uint64_t packets = 0;
  do {
    for (const auto& side : sides_) {
      unsigned moved = 1;
      side->guest.run(
          [&] {
            for (unsigned i = 0; i < rounds && moved > 0; ++i) packets += moved = round(*side);
          },
          0, kLong);
      if (moved == 0) throw NoMeasurement("a packet was lost");
    }
    now = cpu_seconds(0);
  } while (now < begin + seconds);
  return (now - begin) * 1e9 / static_cast<double>(packets);
}

double cpu_seconds(int pid) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    throw NoMeasurement("the system does not tell a process' CPU time");
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace ringside::benches
