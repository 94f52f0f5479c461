#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backends/blkback/disk.hpp"
#include "backends/blkback/profile.hpp"
#include "protocols/ring/tap.hpp"

namespace ringside::backends {

/// Counters of one vbd, over all its connections.
struct BlkbackStatistics {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t flushes = 0;  ///< barriers too
  uint64_t discards = 0;
  uint64_t indirect = 0;      ///< of the reads and writes
  uint64_t sectors_read = 0;  ///< in units of 512 bytes
  uint64_t sectors_written = 0;
  uint64_t errors = 0;       ///< answered with BLKIF_RSP_ERROR
  uint64_t unsupported = 0;  ///< answered with BLKIF_RSP_EOPNOTSUPP
  uint64_t violations = 0;   ///< connections ended because the guest broke the protocol
  uint64_t connections = 0;
  uint64_t queues = 0;   ///< of all connections
  uint64_t kept = 0;     ///< grants that were mapped to stay
  uint64_t evicted = 0;  ///< and did not stay to the end: there was no room for them
};

/// A vbd as the toolstack described it.
struct VbdIdentity {
  uint16_t domain = 0;
  unsigned device = 0;     ///< virtual device number, the directory's name
  std::string params;      ///< what to open
  bool read_only = false;  ///< the mode node says "r"
};

/// The reference blkback: every vbd under one backend directory of xenstore.
///
/// Written against the C API of libxengnttab, libxenevtchn and libxenstore alone, so the
/// same object serves simulated guests and, in a real dom0, real ones. Single-threaded: its
/// actor (or main loop) calls service() whenever one of its handles has something.
class Blkback {
 public:
  /// The disk of a new vbd; nullptr with a sentence in `error` refuses it.
  using DiskOpener =
      std::function<std::shared_ptr<Disk>(const VbdIdentity& vbd, std::string& error)>;
  /// A number in 0..bound-1: in which order a batch is answered.
  using Chooser = std::function<uint64_t(uint64_t bound)>;

  struct Config {
    std::string directory = "/local/domain/0/backend/vbd";
    BlkbackProfile profile;
    DiskOpener open_disk;      ///< empty: the image that `params` names
    Chooser choose;            ///< empty: batches are answered in order
    ring::Tap* tap = nullptr;  ///< sees all rings' traffic
  };

  /// Opens the three handles in the caller's domain; nullptr when one can't be had.
  /// `wake` makes the owner call service() soon.
  static std::unique_ptr<Blkback> create(Config config, std::function<void()> wake);
  virtual ~Blkback() = default;

  /// Does everything there is to do: watch events, channel events, requests. Never waits for
  /// a guest.
  virtual void service() = 0;
  virtual BlkbackStatistics statistics(uint16_t domain, unsigned device) const = 0;
  /// True when this vbd is Connected.
  virtual bool connected(uint16_t domain, unsigned device) const = 0;
  /// A disk's size() has changed; service() will publish it. Any actor. [BLKIF-NEG-028]
  virtual void resized() = 0;
};

/// Opens `vbd.params` as a raw image: through io_uring, or where there is none without.
std::shared_ptr<Disk> open_image(const VbdIdentity& vbd, std::string& error);

}  // namespace ringside::backends
