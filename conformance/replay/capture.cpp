#include "conformance/replay/capture.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

struct Closer {
  void operator()(pcap_t* capture) const { pcap_close(capture); }
};

void require_file(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    throw Problem(
        fmt::format("can't read {}: {}; name a pcap or pcapng file", path, std::strerror(errno)));
  }
  if (S_ISDIR(found.st_mode)) {
    throw Problem(fmt::format("{} is a folder; name a pcap or pcapng file", path));
  }
}

}  // namespace

std::vector<CapturedFrame> read_capture(const std::string& path) {
  require_file(path);
  char why[PCAP_ERRBUF_SIZE] = "";
  const std::unique_ptr<pcap_t, Closer> capture(pcap_open_offline(path.c_str(), why));
  if (capture == nullptr) {
    throw Problem(fmt::format(
        "{} is not a capture that libpcap can read ({}); record one with tcpdump -w", path, why));
  }
  const int link = pcap_datalink(capture.get());
  if (link != DLT_EN10MB) {
    const char* name = pcap_datalink_val_to_name(link);
    throw Problem(fmt::format(
        "{} holds frames of link type {}, not Ethernet (EN10MB); capture on one interface, "
        "not on \"any\"",
        path, name != nullptr ? name : std::to_string(link)));
  }
  std::vector<CapturedFrame> frames;
  pcap_pkthdr* header = nullptr;
  const unsigned char* data = nullptr;
  int status = 0;
  while ((status = pcap_next_ex(capture.get(), &header, &data)) == 1) {
    CapturedFrame frame;
    frame.bytes.resize(header->caplen);
    if (header->caplen != 0) std::memcpy(frame.bytes.data(), data, header->caplen);
    frame.length_on_wire = header->len;
    frames.push_back(std::move(frame));
  }
  if (status != PCAP_ERROR_BREAK) {
    throw Problem(
        fmt::format("{} is damaged after {} frames ({}); record it again or cut the "
                    "broken tail off with editcap",
                    path, frames.size(), pcap_geterr(capture.get())));
  }
  if (frames.empty()) throw Problem(fmt::format("{} holds no frames; nothing to replay", path));
  return frames;
}

}  // namespace ringside::conformance
