#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#include "conformance/cli/command.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/live/live_disk.hpp"
#include "conformance/live/nbd_server.hpp"
#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

constexpr uint64_t kDefaultSize = uint64_t{64} << 20;

struct NbdRequest {
  LiveDiskConfig config;
  bool null = false;
  std::vector<std::string> command;
};

uint64_t sum(const std::vector<xenvbd::Statistics>& queues, uint64_t xenvbd::Statistics::*field) {
  uint64_t total = 0;
  for (const xenvbd::Statistics& queue : queues) total += queue.*field;
  return total;
}

std::string by_queue(const std::vector<xenvbd::Statistics>& queues) {
  std::string text;
  for (const xenvbd::Statistics& queue : queues) {
    text += fmt::format("{}{}", text.empty() ? "" : "+", queue.requests);
  }
  return text;
}

void print_table(const LiveDiskReport& report) {
  const auto row = [](std::string_view what, const auto& value) {
    fmt::print(stderr, "{:<32}{:>16}\n", what, value);
  };
  const auto pair = [](std::string_view what, const auto& read, const auto& written) {
    fmt::print(stderr, "{:<32}{:>16}{:>16}\n", what, read, written);
  };
  const auto rate = [&](uint64_t bytes) {
    return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6 / report.seconds);
  };
  const auto& [commands, front, back, access, seconds, findings] = report;
  fmt::print(stderr, "the disk: {}\n", access);
  pair("", "read", "written");
  pair("NBD commands", commands.reads, commands.writes);
  pair("bytes", commands.bytes_read, commands.bytes_written);
  pair("MB/s", rate(commands.bytes_read), rate(commands.bytes_written));
  pair("requests of the back end", back.reads, back.writes);
  row("flushes", commands.flushes);
  row("trims", commands.trims);
  row("commands that failed", commands.errors);
  row("requests of the front end", by_queue(front));
  row("  on the ring, direct", sum(front, &xenvbd::Statistics::direct));
  row("  on the ring, indirect", sum(front, &xenvbd::Statistics::indirect));
  row("segments", sum(front, &xenvbd::Statistics::segments));
  row("  through a bounce page", sum(front, &xenvbd::Statistics::bounced));
  row("  by a grant that stays", sum(front, &xenvbd::Statistics::kept));
  row("ring was full", sum(front, &xenvbd::Statistics::ring_full));
  row("grants kept by the back end", back.kept);
  row("errors of the back end", back.errors);
  row("not supported by it", back.unsupported);
}

/// Runs the command beside the server, or waits for Ctrl-C; the exit code.
int stay_up(LiveDisk& disk, const NbdRequest& request) {
  const NbdServer server(disk);
  if (!request.command.empty()) {
    unsetenv("NBD_URI");
    return run_command(request.command,
                       {"NBD_URI=" + server.uri(), "RINGSIDE_NBD_URI=" + server.uri(),
                        "RINGSIDE_NBD_SOCKET=" + server.socket_path()},
                       "RINGSIDE_");
  }
  const EndSignal end;
  fmt::print(stderr, "{}\nback end {}, queues {}, {} bytes, {}; Ctrl-C ends it\n", server.uri(),
             request.config.backend, disk.queues(), disk.terms().size, disk.access());
  (void)disk.host().run_until([&] { return end.came(); }, platform::kForever);
  return 0;
}

Outcome serve(NbdRequest& request) {
  LiveDiskConfig& config = request.config;
  require_profile(config.backend, ProfileKind::kBlk);
  if (config.size % xenvbd::kSectorBytes != 0) {
    throw Problem(fmt::format("--size {} is not a multiple of 512", config.size));
  }
  if (!config.image.empty()) config.kind = LiveDiskConfig::Kind::kImage;
  if (request.null) config.kind = LiveDiskConfig::Kind::kNull;
  if (config.kind != LiveDiskConfig::Kind::kImage && config.size == 0) config.size = kDefaultSize;
  LiveDisk disk(config);
  const int code = stay_up(disk, request);
  const LiveDiskReport report = disk.close();
  print_table(report);
  for (const std::string& finding : report.findings) fmt::print(stderr, "  {}\n", finding);
  if (!report.findings.empty()) return Outcome::kFailure;
  throw ExitCode{code};
}

constexpr const char* kFooter = R"(
Examples:
  ringside serve nbd                                until Ctrl-C; prints the URI
  ringside serve nbd -- sh -c 'nbdinfo $NBD_URI'
  ringside serve nbd --image disk.img --size 64M --backend qdisk -- \
    sh -c 'nbdcopy file.raw $NBD_URI'
  ringside serve nbd --queues 2 -- sh -c 'fio --name=x --ioengine=nbd --uri=$NBD_URI \
    --rw=randrw --bs=4k --iodepth=32 --verify=crc32c'
  ringside serve nbd -- sh -c 'qemu-img convert -n -O raw ext4.raw $NBD_URI'

What an NBD client does goes through a guest's disk: XENVBD, rings, grants, events, blkback. In the
command's environment are NBD_URI, RINGSIDE_NBD_URI (the same) and RINGSIDE_NBD_SOCKET.

Exit code: the command's, or 128 and the number of the signal that ended it; 4 when there can be no
such disk, 5 when something was left behind in the simulated Xen.)";

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("serve", "A live device through front end and back end");
  verb->require_subcommand(1);
  auto* nbd = verb->add_subcommand("nbd", "Serve a guest's disk to NBD clients");
  auto request = std::make_shared<NbdRequest>();
  LiveDiskConfig& config = request->config;
  nbd->footer(kFooter);
  nbd->add_option("--backend", config.backend, "Profile of the back end")->capture_default_str();
  auto* image = nbd->add_option("--image", config.image,
                                "Raw image or block device behind it (default: memory)");
  nbd->add_option("--size", config.size, "Of the disk, such as 64M; a missing image is made so")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  nbd->add_flag("--null", request->null, "Nothing behind it: reads zeroes, forgets writes")
      ->excludes(image);
  nbd->add_flag("--read-only", config.read_only, "Let nothing be written");
  nbd->add_option("--queues", config.queues,
                  "Of the front end, a CPU each; the back end may offer fewer")
      ->check(CLI::Range(1u, LiveDisk::kMostQueues))
      ->capture_default_str();
  nbd->add_option("COMMAND", request->command, "What to run, and its arguments, after --");
  nbd->callback([&action, request] { action = [request] { return serve(*request); }; });
}

}  // namespace ringside::conformance
