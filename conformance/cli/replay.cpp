#include <fmt/format.h>

#include "conformance/cli/replay_run.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/daemons/qemu.hpp"
#include "conformance/daemons/store_host.hpp"
#include "conformance/replay/blk_replay.hpp"
#include "conformance/replay/net_replay.hpp"
#include "conformance/report/output_file.hpp"
#include "conformance/report/terminal.hpp"
#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

struct ReplayRequest {
  std::string input;
  std::string image;
  std::string data;
  std::string json;
  uint64_t size = 0;
  bool digest = false;
  ReplayOptions options;
};

void print_findings(const Findings& findings) {
  for (const std::string& finding : findings.kept()) fmt::print("  {}\n", finding);
  if (findings.count() > findings.kept().size()) {
    fmt::print("  ... and {} more\n", findings.count() - findings.kept().size());
  }
}

/// What both kinds of replay end with.
template <typename Report>
Outcome conclude(const Report& report, const ReplayRequest& request, std::string_view kind) {
  const Outcome outcome = report.findings.outcome();
  print_findings(report.findings);
  fmt::print("seed {}, back end {}, {:.1f} s\n", report.seed, report.backend, report.seconds);
  if (request.digest) fmt::print("digest {}\n", report.digest);
  if (outcome != Outcome::kSuccess) {
    fmt::print("replay: ringside replay {} {} --backend {} --seed {}\n", kind, request.input,
               report.backend, report.seed);
  }
  if (!request.json.empty()) write_whole(request.json, report.to_json());
  fmt::print("{}\n", coloured(to_string(outcome),
                              outcome == Outcome::kSuccess ? Colour::kGreen : Colour::kRed));
  return outcome;
}

Outcome net(const ReplayRequest& request) {
  require_profile(request.options.backend, ProfileKind::kNet);
  if (!request.json.empty()) require_writable(request.json);
  const NetReplayReport report = replay_net(read_capture(request.input), request.options);
  print_net_account(report);
  if (!request.options.record.empty()) {
    fmt::print("{} frames recorded in {}\n", report.recorded, request.options.record);
  }
  return conclude(report, request, "net");
}

Image open_device(const ReplayRequest& request, const IoLog& log) {
  constexpr uint64_t kRound = uint64_t{1} << 20;
  if (request.image.empty()) {
    const uint64_t wanted = request.size != 0 ? request.size : log.extent();
    if (request.size != 0) require_fits(log, request.size, request.input);
    return Image::temporary((wanted + kRound - 1) / kRound * kRound);
  }
  const auto create = request.size != 0 ? std::optional(request.size) : std::nullopt;
  if (create) require_fits(log, *create, request.input);
  Image image = Image::open(request.image, create);
  require_fits(log, image.size(), request.input);
  return image;
}

/// As replay_blk(), but a program that is not there is the caller's problem.
BlkReplayReport replay_on(const IoLog& log, const Payload& payload, const Image& image,
                          const ReplayOptions& options) {
  try {
    return replay_blk(log, payload, image, options);
  } catch (const NotInstalled& e) {
    throw Problem(e.what());
  }
}

Outcome blk(ReplayRequest& request) {
  if (request.options.backend != kQemuQdisk) {
    require_profile(request.options.backend, ProfileKind::kBlk);
  } else if (request.digest) {
    throw Problem("--digest is of a seeded world; QEMU runs in real time");
  }
  if (!request.json.empty()) require_writable(request.json);
  if (request.size % kSectorSize != 0) {
    throw Problem(fmt::format("--size {} is not a multiple of 512", request.size));
  }
  const IoLog log = IoLog::read(request.input);
  const Payload payload =
      request.data.empty() ? Payload(request.options.seed) : Payload(request.data, log);
  const Image image = open_device(request, log);
  Progress progress;
  request.options.progress = [&](size_t done, size_t total, std::string_view what) {
    progress.show(done, total, what);
  };
  const BlkReplayReport report = replay_on(log, payload, image, request.options);
  print_blk_account(report);
  return conclude(report, request, "blk");
}

constexpr const char* kRecordFooter = R"(
Examples:
  ringside record net rings.pcapng                  the sample traffic, as both vifs see it
  ringside record net rings.pcapng --capture my.pcap --backend qnic
  ringside net up --record live.pcapng -- COMMAND   real stacks' traffic instead
  tshark -r rings.pcapng -T fields -e frame.comment
  ringside replay net rings.pcapng                  and back through the rings)";

void add_common(CLI::App& verb, const std::shared_ptr<ReplayRequest>& request) {
  verb.add_option("--backend", request->options.backend,
                  "Profile of the back end; qemu-qdisk: QEMU itself")
      ->capture_default_str();
  verb.add_option("--seed", request->options.seed, "Which world")->capture_default_str();
  verb.add_option("--json", request->json, "Write a JSON report here");
  verb.add_flag("--digest", request->digest,
                "Print a hash over every ring, grant, event and store action");
}

}  // namespace

void print_net_account(const NetReplayReport& report) {
  fmt::print("{}\n", report.account());
  fmt::print("{} bytes compared; {} frames checksum-blank, {} GSO, {} padded to 60 bytes\n",
             report.bytes, report.blank, report.gso, report.padded);
}

void print_blk_account(const BlkReplayReport& report) {
  fmt::print("{}\n", report.account());
  fmt::print("{} bytes read and {} written as the model says; {} bytes of image compared\n",
             report.bytes_read, report.bytes_written, report.device_bytes);
}

void add_replay(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("replay", "Real traffic through front end and back end");
  verb->require_subcommand(1);
  auto request = std::make_shared<ReplayRequest>();

  auto* net_verb = verb->add_subcommand("net", "A capture (pcap or pcapng)");
  net_verb->add_option("CAPTURE", request->input, "The file")->required();
  net_verb->add_option("--record", request->options.record,
                       "Write what crosses the rings to this pcapng file");
  add_common(*net_verb, request);
  net_verb->callback([&action, request] { action = [request] { return net(*request); }; });

  auto* blk_verb = verb->add_subcommand("blk", "A fio I/O log, version 2");
  blk_verb->add_option("IOLOG", request->input, "The file")->required();
  blk_verb->add_option("--image", request->image, "Replay on this raw image and keep it");
  blk_verb
      ->add_option("--size", request->size,
                   "Size of the device (64M); a missing image is created with it")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  blk_verb->add_option("--data", request->data,
                       "The data of the log's writes, in order (plain or gzip)");
  add_common(*blk_verb, request);
  blk_verb->callback([&action, request] { action = [request] { return blk(*request); }; });
}

void add_record(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("record", "What crosses the rings, as a capture for Wireshark");
  verb->require_subcommand(1);
  auto request = std::make_shared<ReplayRequest>();
  request->input = RINGSIDE_SAMPLES "/net-mixed.pcap";

  auto* net_verb = verb->add_subcommand("net", "A replay of frames, with slots, extras and grants");
  net_verb->footer(kRecordFooter);
  net_verb->add_option("FILE", request->options.record, "The pcapng file to write")->required();
  net_verb->add_option("--capture", request->input, "The traffic (pcap or pcapng)")
      ->capture_default_str();
  add_common(*net_verb, request);
  net_verb->callback([&action, request] { action = [request] { return net(*request); }; });
}

}  // namespace ringside::conformance
