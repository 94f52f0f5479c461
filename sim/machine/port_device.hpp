#pragma once

#include <cstdint>

namespace ringside::sim {

/// What is behind a domain's I/O ports.
class PortDevice {
 public:
  /// `bytes` is 1, 2 or 4; all ones where nothing answers.
  virtual uint32_t read(uint16_t port, unsigned bytes) = 0;
  virtual void write(uint16_t port, unsigned bytes, uint32_t value) = 0;

 protected:
  ~PortDevice() = default;
};

}  // namespace ringside::sim
