#include "conformance/replay/samples.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "conformance/replay/blk_replay.hpp"
#include "conformance/replay/net_replay.hpp"

namespace ringside::conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

SampleRow replay_net_sample(const Sample& sample, const ReplayOptions& options) {
  const NetReplayReport report = replay_net(read_capture(sample.path), options);
  return {sample.name(),
          report.account(),
          fmt::format("{} bytes received as sent; {} frames checksum-blank, {} GSO", report.bytes,
                      report.blank, report.gso),
          report.findings.outcome(),
          report.findings.kept(),
          report.seconds};
}

SampleRow replay_blk_sample(const Sample& sample, const ReplayOptions& options) {
  constexpr uint64_t kRound = uint64_t{1} << 20;
  const IoLog log = IoLog::read(sample.path);
  const Payload payload = sample.data.empty() ? Payload(options.seed) : Payload(sample.data, log);
  const Image image = Image::temporary((log.extent() + kRound - 1) / kRound * kRound);
  const BlkReplayReport report = replay_blk(log, payload, image, options);
  return {sample.name(),
          report.account(),
          fmt::format("{} bytes read and {} of image as the model says", report.bytes_read,
                      report.device_bytes),
          report.findings.outcome(),
          report.findings.kept(),
          report.seconds};
}

SampleRow failed(const Sample& sample, Outcome outcome, std::string why) {
  SampleRow row;
  row.name = sample.name();
  row.account = why;
  row.outcome = outcome;
  row.findings.push_back(std::move(why));
  return row;
}

SampleRow replay_here(const Sample& sample, const ReplayOptions& options) {
  try {
    return sample.kind == Sample::Kind::kNet ? replay_net_sample(sample, options)
                                             : replay_blk_sample(sample, options);
  } catch (const Problem& e) {
    return failed(sample, Outcome::kError, e.what());
  } catch (const std::exception& e) {
    return failed(sample, Outcome::kFailure, e.what());
  }
}

std::string packed(const SampleRow& row) {
  const json all = {{"account", row.account},
                    {"integrity", row.integrity},
                    {"outcome", static_cast<int>(row.outcome)},
                    {"findings", row.findings},
                    {"seconds", row.seconds}};
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

SampleRow unpacked(const Sample& sample, const std::string& text, int status) {
  const json all = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!all.is_object()) {
    return failed(sample, Outcome::kCrash,
                  WIFSIGNALED(status)
                      ? fmt::format("the replay was killed by signal {}", WTERMSIG(status))
                      : "the replay ended without a result");
  }
  return {sample.name(),
          all.at("account").get<std::string>(),
          all.at("integrity").get<std::string>(),
          static_cast<Outcome>(all.at("outcome").get<int>()),
          all.at("findings").get<std::vector<std::string>>(),
          all.at("seconds").get<double>()};
}

}  // namespace

std::vector<Sample> find_samples(const std::string& folder) {
  std::error_code error;
  std::vector<Sample> samples;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path& path = entry.path();
    const std::string kind = path.extension();
    if (kind == ".pcap" || kind == ".pcapng") {
      samples.push_back({Sample::Kind::kNet, path, ""});
    } else if (kind == ".iolog") {
      fs::path data = path;
      data.replace_extension(".data.gz");
      samples.push_back({Sample::Kind::kBlk, path, fs::exists(data) ? data.string() : ""});
    }
  }
  if (error) {
    throw Problem(
        fmt::format("can't read the samples in {}: {}; name their folder with "
                    "--samples",
                    folder, error.message()));
  }
  if (samples.empty()) {
    throw Problem(fmt::format("{} holds no .pcap, .pcapng or .iolog file", folder));
  }
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.path < b.path; });
  return samples;
}

SampleRow replay_sample(const Sample& sample, const ReplayOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(sample, Outcome::kError, std::strerror(errno));
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const std::string text = packed(replay_here(sample, options));
    const ssize_t written = write(ends[1], text.data(), text.size());
    std::exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  ssize_t count = 0;
  while (child > 0 && (count = read(ends[0], buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) {
    return failed(sample, Outcome::kError, "can't start a process for the replay");
  }
  return unpacked(sample, text, status);
}

}  // namespace ringside::conformance
