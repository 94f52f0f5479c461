#include "backends/netback/pcap_port.hpp"

#include <pcap/pcap.h>

#include <cstring>
#include <utility>

namespace ringside::backends {

namespace {
constexpr int kSnapLength = 262144;
}

struct PcapPort::Files {
  ~Files() {
    if (writer != nullptr) pcap_dump_close(writer);
    if (format != nullptr) pcap_close(format);
    if (reader != nullptr) pcap_close(reader);
  }

  pcap_t* reader = nullptr;
  pcap_t* format = nullptr;  ///< what libpcap wants to know of a file to be written
  pcap_dumper_t* writer = nullptr;
};

std::unique_ptr<PcapPort> PcapPort::open(const std::string& from, const std::string& to,
                                         std::string& error) {
  auto files = std::make_unique<Files>();
  char reason[PCAP_ERRBUF_SIZE] = "";
  if (!from.empty()) {
    files->reader = pcap_open_offline(from.c_str(), reason);
    if (files->reader == nullptr) {
      error = reason;
      return nullptr;
    }
    if (pcap_datalink(files->reader) != DLT_EN10MB) {
      error = from + ": no Ethernet capture";
      return nullptr;
    }
  }
  if (!to.empty()) {
    files->format = pcap_open_dead(DLT_EN10MB, kSnapLength);
    files->writer = files->format == nullptr ? nullptr : pcap_dump_open(files->format, to.c_str());
    if (files->writer == nullptr) {
      error = files->format == nullptr ? "out of memory" : pcap_geterr(files->format);
      return nullptr;
    }
  }
  return std::unique_ptr<PcapPort>(new PcapPort(std::move(files)));
}

PcapPort::PcapPort(std::unique_ptr<Files> files) : files_(std::move(files)) {}
PcapPort::~PcapPort() = default;

void PcapPort::sent(Frame&& frame) {
  if (files_->writer == nullptr) return;
  pcap_pkthdr header{};
  // A count instead of the time: the same world writes the same file.
  header.ts.tv_usec = static_cast<decltype(header.ts.tv_usec)>(frames_written_ % 1'000'000);
  header.ts.tv_sec = static_cast<decltype(header.ts.tv_sec)>(frames_written_ / 1'000'000);
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.bytes.size());
  pcap_dump(reinterpret_cast<u_char*>(files_->writer), &header,
            reinterpret_cast<const u_char*>(frame.bytes.data()));
  ++frames_written_;
}

bool PcapPort::receive(Frame& frame) {
  if (files_->reader == nullptr) return false;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  while (pcap_next_ex(files_->reader, &header, &bytes) == 1) {
    if (header->caplen < header->len) {
      ++frames_cut_;
      continue;
    }
    frame = Frame{};
    frame.bytes.resize(header->caplen);
    if (header->caplen != 0) std::memcpy(frame.bytes.data(), bytes, header->caplen);
    ++frames_read_;
    return true;
  }
  return false;
}

}  // namespace ringside::backends
