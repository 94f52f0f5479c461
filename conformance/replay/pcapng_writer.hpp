#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ringside::conformance {

/// Writes one section of a pcapng file of Ethernet frames, block by block.
/// Source: draft-ietf-opsawg-pcapng.
class PcapngWriter {
 public:
  /// From the interface's side: values of the flags option's first two bits.
  enum class Direction : uint32_t { kInbound = 1, kOutbound = 2 };
  struct Packet {
    uint32_t interface = 0;
    uint64_t nanoseconds = 0;  ///< since 1970
    Direction direction = Direction::kInbound;
    uint32_t queue = 0;
    std::span<const std::byte> bytes;
    std::string_view comment;
  };

  /// Throws Problem when the file can't be made.
  explicit PcapngWriter(std::string path);

  /// Its number, from 0.
  uint32_t add_interface(std::string_view name, std::string_view description);
  void add(const Packet& packet);
  /// Throws Problem when something could not be written. Nothing comes after it.
  void finish();

 private:
  struct Closer {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  class Block;
  void write(const Block& block);

  std::string path_;
  std::unique_ptr<FILE, Closer> file_;
  uint32_t interfaces_ = 0;
  int error_ = 0;  ///< of the first write that failed
};

}  // namespace ringside::conformance
