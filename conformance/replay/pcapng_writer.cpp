#include "conformance/replay/pcapng_writer.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrder = 0x1a2b3c4d;
constexpr uint16_t kEthernet = 1;
constexpr uint32_t kSnapLength = 262144;

enum Option : uint16_t {
  kEnd = 0,
  kComment = 1,
  kInterfaceName = 2,
  kPacketFlags = 2,
  kInterfaceDescriptionText = 3,
  kApplication = 4,
  kPacketQueue = 6,
  kTimeResolution = 9,
};

}  // namespace

/// One block, put together field by field; its length is written before and after.
class PcapngWriter::Block {
 public:
  explicit Block(uint32_t type) {
    field(type);
    field(uint32_t{0});
  }
  template <typename T>
  void field(T value) {
    append(std::as_bytes(std::span(&value, 1)));
  }
  void bytes(std::span<const std::byte> data) {
    append(data);
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }
  void option(Option code, std::span<const std::byte> value) {
    field<uint16_t>(code);
    field(static_cast<uint16_t>(value.size()));
    bytes(value);
  }
  void option(Option code, std::string_view text) {
    option(code, std::as_bytes(std::span(text.substr(0, kLongestText))));
  }
  void option(Option code, uint32_t value) { option(code, std::as_bytes(std::span(&value, 1))); }
  void end() {
    option(kEnd, std::span<const std::byte>{});
    const auto length = static_cast<uint32_t>(bytes_.size() + sizeof(uint32_t));
    field(length);
    std::memcpy(&bytes_[sizeof(uint32_t)], &length, sizeof length);
  }
  const std::vector<std::byte>& whole() const { return bytes_; }

 private:
  static constexpr size_t kLongestText = 65000;

  void append(std::span<const std::byte> data) {
    bytes_.insert(bytes_.end(), data.begin(), data.end());
  }

  std::vector<std::byte> bytes_;
};

PcapngWriter::PcapngWriter(std::string path)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), "wbe")) {
  if (!file_) throw Problem(fmt::format("can't write {}: {}", path_, std::strerror(errno)));
  Block block(kSectionHeader);
  block.field(kByteOrder);
  block.field(uint16_t{1});  // version 1.0
  block.field(uint16_t{0});
  block.field(~uint64_t{0});  // its length is not known
  block.option(kApplication, std::string_view("ringside"));
  block.end();
  write(block);
}

uint32_t PcapngWriter::add_interface(std::string_view name, std::string_view description) {
  constexpr std::byte kNanoseconds{9};
  Block block(kInterfaceDescription);
  block.field(kEthernet);
  block.field(uint16_t{0});
  block.field(kSnapLength);
  block.option(kInterfaceName, name);
  block.option(kInterfaceDescriptionText, description);
  block.option(kTimeResolution, std::span(&kNanoseconds, 1));
  block.end();
  write(block);
  return interfaces_++;
}

void PcapngWriter::add(const Packet& packet) {
  const auto length = static_cast<uint32_t>(packet.bytes.size());
  Block block(kEnhancedPacket);
  block.field(packet.interface);
  block.field(static_cast<uint32_t>(packet.nanoseconds >> 32));
  block.field(static_cast<uint32_t>(packet.nanoseconds));
  block.field(length);  // captured, and on the wire
  block.field(length);
  block.bytes(packet.bytes);
  block.option(kComment, packet.comment);
  block.option(kPacketFlags, static_cast<uint32_t>(packet.direction));
  block.option(kPacketQueue, packet.queue);
  block.end();
  write(block);
}

void PcapngWriter::write(const Block& block) {
  const auto& bytes = block.whole();
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size()) return;
  if (error_ == 0) error_ = errno;
}

void PcapngWriter::finish() {
  if (std::fflush(file_.get()) != 0 && error_ == 0) error_ = errno;
  if (error_ != 0) throw Problem(fmt::format("can't write {}: {}", path_, std::strerror(error_)));
}

}  // namespace ringside::conformance
