#pragma once

#include <cstdint>

#include "backends/netback/port.hpp"

namespace ringside::backends {

/// A port that leads nowhere: it takes all that the guest sends, and nothing ever comes from it.
class NullPort final : public Port {
 public:
  void sent(Frame&&) override { ++swallowed_; }
  bool receive(Frame&) override { return false; }

  uint64_t swallowed() const { return swallowed_; }

 private:
  uint64_t swallowed_ = 0;
};

}  // namespace ringside::backends
