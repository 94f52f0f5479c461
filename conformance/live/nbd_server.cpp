#include "conformance/live/nbd_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr int kBacklog = 16;

/// A folder that nobody else can look into.
std::string make_folder() {
  std::error_code error;
  std::string name = (std::filesystem::temp_directory_path(error) / "ringside-nbd-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw Problem(fmt::format("no folder for the NBD socket: {}", std::strerror(errno)));
  }
  return name;
}

int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Problem(fmt::format("the name of the NBD socket is too long: {}; set TMPDIR", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (file >= 0 && bind(file, name, sizeof address) == 0 && listen(file, kBacklog) == 0) {
    return file;
  }
  const int error = errno;
  if (file >= 0) close(file);
  throw Problem(fmt::format("can't listen at {}: {}", path, std::strerror(error)));
}

}  // namespace

NbdServer::NbdServer(NbdExport& disk) : disk_(disk), folder_(make_folder()) {
  try {
    listener_ = listen_at(socket_path());
  } catch (const Problem&) {
    rmdir(folder_.c_str());
    throw;
  }
  thread_ = std::thread([this] { accept_all(); });
}

NbdServer::~NbdServer() {
  shutdown(listener_, SHUT_RDWR);  // ends accept()
  thread_.join();
  connections_.clear();
  close(listener_);
  unlink(socket_path().c_str());
  rmdir(folder_.c_str());
}

void NbdServer::accept_all() {
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (client < 0) return;
    connections_.remove_if([](const NbdConnection& one) { return one.over(); });
    connections_.emplace_back(client, disk_);
  }
}

}  // namespace ringside::conformance
