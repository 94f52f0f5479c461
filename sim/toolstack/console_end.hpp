#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct xencons_interface;

namespace ringside::sim {

class Domain;

/// xenconsoled's end of a domain's console, for who is outside of the actors.
class ConsoleEnd {
 public:
  explicit ConsoleEnd(Domain& domain);
  ~ConsoleEnd();
  ConsoleEnd(const ConsoleEnd&) = delete;
  ConsoleEnd& operator=(const ConsoleEnd&) = delete;

  /// All that the guest has written since the last call.
  std::string read();
  /// Types as much of `text` as the ring takes; how much.
  size_t type(std::string_view text);
  /// Whether the guest has told of bytes or room since the last call.
  bool told();

 private:
  xencons_interface& page() const;

  Domain& domain_;
  Domain& dom0_;
  uint32_t port_;
};

}  // namespace ringside::sim
