#pragma once

#include <memory>
#include <string>

#include "backends/netback/port.hpp"

namespace ringside::backends {

/// A port with capture files behind it: what is in one goes to the guest, what the guest
/// sends is written to the other. A capture has no room for what the ring says about a
/// checksum, so frames read are kUnknown.
class PcapPort final : public Port {
 public:
  /// Either name may be empty. nullptr, and why in `error`, when a file can not be opened or
  /// is no Ethernet capture.
  static std::unique_ptr<PcapPort> open(const std::string& from, const std::string& to,
                                        std::string& error);
  ~PcapPort() override;

  void sent(Frame&& frame) override;
  bool receive(Frame& frame) override;

  uint64_t frames_read() const { return frames_read_; }
  uint64_t frames_written() const { return frames_written_; }
  /// Frames the capture holds only the beginning of; they are not replayed.
  uint64_t frames_cut() const { return frames_cut_; }

 private:
  struct Files;
  explicit PcapPort(std::unique_ptr<Files> files);

  std::unique_ptr<Files> files_;
  uint64_t frames_read_ = 0;
  uint64_t frames_written_ = 0;
  uint64_t frames_cut_ = 0;
};

}  // namespace ringside::backends
