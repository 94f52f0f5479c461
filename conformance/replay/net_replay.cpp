#include "conformance/replay/net_replay.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "conformance/replay/net_recorder.hpp"
#include "conformance/replay/traffic.hpp"
#include "conformance/replay/traffic_ends.hpp"
#include "conformance/rig/profiles.hpp"
#include "conformance/rig/ring_tap.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::conformance {
namespace {

constexpr size_t kMinimumFrame = 60;
constexpr sim::Nanoseconds kSettle = 100 * platform::kMillisecond;

HostConfig config_of(const ReplayOptions& options) {
  HostConfig config;
  config.seed = options.seed;
  return config;
}

std::array<RingTap, 4> make_taps(sim::Trace& trace) {
  return {RingTap(trace, 0), RingTap(trace, 1), RingTap(trace, 2), RingTap(trace, 3)};
}

/// Two guests, each with a vif of its own, on one cable.
class Wire {
 public:
  Wire(const ReplayOptions& options, std::vector<TrafficFrame> traffic)
      : traffic_(std::move(traffic)), host_(config_of(options)) {
    netback_ = start_netback(
        host_,
        [this](uint16_t domain, unsigned) -> backends::Port* {
          return sender_ && domain == sender_->domid() ? &link_.left() : &link_.right();
        },
        net_profile(options.backend));
    sender_ = std::make_unique<DriverGuest>(host_, sim::GuestConfig{.name = "sender"});
    receiver_ = std::make_unique<DriverGuest>(host_, sim::GuestConfig{.name = "receiver"});
    source_ = std::make_unique<TrafficSource>(*sender_, traffic_);
    out_ = std::make_unique<VifDevice>(*sender_, *source_);
    in_ =
        std::make_unique<VifDevice>(*receiver_, sink_, sim::VifConfig{.mac = "00:16:3e:00:00:02"});
    look_on(options.record);
  }

  bool connect() {
    if (!out_->connect() || !in_->connect()) return false;
    return host_.run_until([this] {
      return (*out_)->link() == xenvif::LinkState::kUp && (*in_)->link() == xenvif::LinkState::kUp;
    });
  }

  /// Sends everything; returns the frames that must arrive.
  std::vector<ExpectedFrame> run() {
    const xenvif::BackendFeatures features = (*out_)->backend_features();
    source_->send_all((*out_)->queue(0));
    std::vector<ExpectedFrame> expected;
    for (size_t i = 0; i < traffic_.size(); ++i) {
      if (source_->statuses()[i] != xenvif::TxStatus::kSent) continue;
      const bool carried = traffic_[i].gso.type == xenvif::GsoType::kTcpV4   ? features.gso_v4
                           : traffic_[i].gso.type == xenvif::GsoType::kTcpV6 ? features.gso_v6
                                                                             : false;
      for (ExpectedFrame& frame : expect(traffic_[i], i, carried)) {
        expected.push_back(std::move(frame));
      }
    }
    (void)host_.run_until([&] { return sink_.frames().size() >= expected.size(); });
    host_.pass(kSettle);  // what comes now came once too often
    return expected;
  }

  void shut_down(Findings& findings) {
    if (!out_->close()) findings.add("the sender's vif did not close");
    if (!in_->close()) findings.add("the receiver's vif did not close");
    out_.reset();
    in_.reset();
    for (const std::string& violation : source_->violations()) findings.add(violation);
    source_.reset();
    for (auto* guest : {&sender_, &receiver_}) {
      for (const std::string& leak : (*guest)->shut_down()) findings.add(leak);
      guest->reset();
    }
    netback_.reset();
    for (const std::string& leak : host_.audit()) findings.add(leak);
  }

  /// Frames in the record, which is complete then.
  uint64_t recorded() { return recorder_ ? recorder_->finish() : 0; }

  const std::vector<TrafficFrame>& traffic() const { return traffic_; }
  const TrafficSource& source() const { return *source_; }
  const TrafficSink& sink() const { return sink_; }
  std::string digest() { return host_.world().trace().digest(); }

 private:
  void look_on(const std::string& record) {
    if (record.empty()) {
      (*out_)->queue(0).attach(&taps_[0], &taps_[1]);
      (*in_)->queue(0).attach(&taps_[2], &taps_[3]);
      return;
    }
    recorder_ = std::make_unique<NetRecorder>(record);
    recorder_->watch("sender", sender_->domain(), out_->vif(), 1, &taps_[0], &taps_[1]);
    recorder_->watch("receiver", receiver_->domain(), in_->vif(), 1, &taps_[2], &taps_[3]);
  }

  std::vector<TrafficFrame> traffic_;
  std::unique_ptr<NetRecorder> recorder_;
  Host host_;
  std::array<RingTap, 4> taps_ = make_taps(host_.world().trace());
  backends::Link link_;
  std::unique_ptr<DriverGuest> sender_;
  std::unique_ptr<DriverGuest> receiver_;
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<TrafficSource> source_;
  TrafficSink sink_;
  std::unique_ptr<VifDevice> out_;
  std::unique_ptr<VifDevice> in_;
};

std::string reason(xenvif::TxStatus status) {
  switch (status) {
    case xenvif::TxStatus::kOverMtu: return "over the MTU";
    case xenvif::TxStatus::kTooLong: return "longer than netif carries";
    case xenvif::TxStatus::kTooLongForPeer: return "needs scatter-gather, which the back end lacks";
    case xenvif::TxStatus::kBadHeaders: return "headers cut short";
    case xenvif::TxStatus::kDroppedByPeer: return "dropped by the back end";
    case xenvif::TxStatus::kRejectedByPeer: return "rejected by the back end";
    default: return xenvif::to_string(status);
  }
}

void account_for_sending(const Wire& wire, NetReplayReport& report) {
  for (size_t i = 0; i < wire.traffic().size(); ++i) {
    const TrafficFrame& frame = wire.traffic()[i];
    const auto status = wire.source().statuses()[i];
    if (!frame.unfit.empty()) {
      ++report.dropped[frame.unfit];
    } else if (!status) {
      ++report.dropped["never completed"];
      report.findings.add(fmt::format("frame {}: never completed by the front end", i + 1));
    } else if (*status != xenvif::TxStatus::kSent) {
      ++report.dropped[reason(*status)];
    } else {
      report.padded += frame.bytes.size() < kMinimumFrame;
    }
  }
}

/// Walks through what must have arrived and what did, in step.
void compare(const std::vector<ExpectedFrame>& expected, const Wire& wire,
             NetReplayReport& report) {
  const auto& received = wire.sink().frames();
  for (size_t i = 0; i < expected.size();) {
    const size_t source = expected[i].source;
    size_t parts = 0;
    bool whole = true;
    for (; i < expected.size() && expected[i].source == source; ++i, ++parts) {
      const std::string wrong =
          i < received.size() ? difference(expected[i], received[i]) : "never arrived";
      if (!wrong.empty()) {
        whole = false;
        report.findings.add(fmt::format("frame {}: {}", source + 1, wrong));
        continue;
      }
      report.bytes += received[i].bytes.size();
      report.blank += received[i].checksum == xenvif::Checksum::kBlank;
      report.gso += received[i].gso.type != xenvif::GsoType::kNone;
    }
    if (!whole) {
      ++report.dropped["lost or damaged"];
    } else if (parts == 1) {
      ++report.delivered;
    } else {
      ++report.segmented;
      report.segments += parts;
    }
  }
  if (received.size() > expected.size()) {
    report.findings.add(
        fmt::format("{} frames arrived that should not have", received.size() - expected.size()));
  }
}

}  // namespace

size_t NetReplayReport::dropped_count() const {
  return std::accumulate(dropped.begin(), dropped.end(), size_t{0},
                         [](size_t sum, const auto& entry) { return sum + entry.second; });
}

std::string NetReplayReport::account() const {
  std::string text = fmt::format("{} frames: {} delivered, {} segmented, {} dropped", frames,
                                 delivered, segmented, dropped_count());
  const char* separator = " (";
  for (const auto& [why, count] : dropped) {
    text += fmt::format("{}{}: {}", separator, why, count);
    separator = ", ";
  }
  return dropped.empty() ? text : text + ")";
}

std::string NetReplayReport::to_json() const {
  const nlohmann::json all = {{"outcome", to_string(findings.outcome())},
                              {"seed", seed},
                              {"backend", backend},
                              {"frames", frames},
                              {"delivered", delivered},
                              {"segmented", segmented},
                              {"segments", segments},
                              {"dropped", dropped},
                              {"bytes", bytes},
                              {"checksum_blank", blank},
                              {"gso", gso},
                              {"padded", padded},
                              {"findings", findings.kept()},
                              {"finding_count", findings.count()},
                              {"digest", digest},
                              {"seconds", seconds}};
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

NetReplayReport replay_net(const std::vector<CapturedFrame>& capture,
                           const ReplayOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  NetReplayReport report;
  report.frames = capture.size();
  report.seed = options.seed;
  report.backend = options.backend;
  Wire wire(options, shape_traffic(capture, xenvif::kDefaultMtu));
  if (!wire.connect()) {
    report.findings.add("the vifs did not connect");
    return report;
  }
  const auto expected = wire.run();
  account_for_sending(wire, report);
  compare(expected, wire, report);
  if (report.delivered + report.segmented + report.dropped_count() != report.frames) {
    report.findings.add("not every frame is accounted for");
  }
  wire.shut_down(report.findings);
  report.recorded = wire.recorded();
  report.digest = wire.digest();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace ringside::conformance
