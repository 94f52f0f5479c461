#include "conformance/report/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

[[noreturn]] void refuse(const std::string& path, int error) {
  throw Problem(fmt::format("can't write {}: {}; name a file in a folder that can be written", path,
                            std::strerror(error)));
}

/// Devices and pipes (/dev/stdout) are written in place.
bool is_special(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode);
}

void write_all(int fd, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      close(fd);
      refuse(path, error);
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void write_whole(const std::string& path, std::string_view content) {
  const bool special = is_special(path);
  const std::string target = special ? path : fmt::format("{}.{}.part", path, getpid());
  const int fd = open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) refuse(path, errno);
  write_all(fd, path, content);
  if (close(fd) != 0) refuse(path, errno);
  if (!special && std::rename(target.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(target.c_str());
    refuse(path, error);
  }
}

void require_writable(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) refuse(path, EISDIR);
  if (is_special(path)) return;
  const std::string probe = fmt::format("{}.{}.part", path, getpid());
  const int fd = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) refuse(path, errno);
  close(fd);
  unlink(probe.c_str());
}

}  // namespace ringside::conformance
