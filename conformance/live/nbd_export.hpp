#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace ringside::conformance {

/// One thing that an NBD client wants done.
struct NbdCommand {
  enum class Kind : uint8_t { kRead, kWrite, kFlush, kTrim };

  Kind kind = Kind::kRead;
  bool fua = false;  ///< a flush follows before it is done
  uint64_t offset = 0;
  uint32_t length = 0;          ///< bytes; 0 for a flush
  std::vector<std::byte> data;  ///< written, or read when it is done
  uint64_t cookie = 0;
  std::function<void(std::unique_ptr<NbdCommand> command, uint32_t error)> done;
};

/// What an NbdServer serves.
class NbdExport {
 public:
  struct Terms {
    uint64_t size = 0;           ///< bytes
    uint32_t sector_size = 512;  ///< everything is a multiple of this
    bool read_only = false;
    bool flush = false;
    bool trim = false;
  };
  virtual Terms terms() const = 0;
  /// Within terms(). done() follows once, on any thread, perhaps before this returns. Any thread.
  virtual void submit(std::unique_ptr<NbdCommand> command) = 0;

 protected:
  ~NbdExport() = default;
};

}  // namespace ringside::conformance
