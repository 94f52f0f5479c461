#include "backends/netback/tap_device.hpp"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringside::backends {
namespace {

constexpr const char* kControl = "/dev/net/tun";
constexpr size_t kMostPieces = 32;

std::string reason(const std::string& what) { return what + ": " + std::strerror(errno); }

}  // namespace

std::optional<TapDevice> TapDevice::open(const std::string& name, bool multi_queue,
                                         std::string& error) {
  TapDevice device(::open(kControl, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (device.file_ < 0) {
    error = reason(kControl);
    return {};
  }
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) {
    error = name + ": the name of an interface has at most 15 letters";
    return {};
  }
  name.copy(request.ifr_name, name.size());
  const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi_queue ? IFF_MULTI_QUEUE : 0);
  request.ifr_flags = static_cast<short>(flags);
  constexpr unsigned long kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (ioctl(device.file_, TUNSETIFF, &request) != 0 ||
      ioctl(device.file_, TUNSETOFFLOAD, kOffloads) != 0) {
    error = reason("the TAP interface " + name);
    return {};
  }
  return device;
}

TapDevice::TapDevice(TapDevice&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

TapDevice::~TapDevice() {
  if (file_ >= 0) close(file_);
}

std::optional<size_t> TapDevice::read(VnetHeader& header, std::span<std::byte> frame) const {
  const std::array<iovec, 2> parts{iovec{&header, sizeof header},
                                   iovec{frame.data(), frame.size()}};
  const ssize_t count = readv(file_, parts.data(), parts.size());
  if (count < static_cast<ssize_t>(sizeof header)) return {};
  return static_cast<size_t>(count) - sizeof header;
}

bool TapDevice::write(const VnetHeader& header,
                      std::span<const std::span<const std::byte>> pieces) const {
  std::array<iovec, kMostPieces + 1> parts;
  if (pieces.size() > kMostPieces) return false;
  // writev() only reads from what it is given.
  parts[0] = {const_cast<VnetHeader*>(&header), sizeof header};
  for (size_t i = 0; i < pieces.size(); ++i) {
    parts[i + 1] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  return writev(file_, parts.data(), static_cast<int>(pieces.size() + 1)) >= 0;
}

}  // namespace ringside::backends
