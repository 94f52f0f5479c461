// The files of dom0's kernel that a store daemon opens, and the one limit it asks for. They have
// fixed names, so the library stands before the C library's own functions; it passes all else on.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "sim/dropin/libs/channel.hpp"

using namespace ringside::sim::dropin;

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// dom0's store page. Nobody is in dom0 to use it: its programs come through the socket.
int open_page() {
  const int file = memfd_create("xsd_kva", MFD_CLOEXEC);
  if (file >= 0 && ftruncate(file, 4096) == 0) return file;
  if (file >= 0) close(file);
  return -1;
}

int open_port() {
  Channel channel;
  if (!channel.open(Operation::kOpenControl)) return -1;
  const int port = channel.call(Request(Operation::kStorePort));
  const int file = port < 0 ? -1 : memfd_create("xsd_port", MFD_CLOEXEC);
  if (file < 0) return -1;
  dprintf(file, "%d", port);
  lseek(file, 0, SEEK_SET);
  return file;
}

int open_any(const char* name, const char* path, int flags, mode_t mode) {
  if (std::strcmp(path, "/proc/xen/xsd_port") == 0) return open_port();
  if (std::strcmp(path, "/proc/xen/xsd_kva") == 0) return open_page();
  return next<int(const char*, int, ...)>(name)(path, flags, mode);
}

}  // namespace

RINGSIDE_EXPORT int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any("open", path, flags, mode);
}

RINGSIDE_EXPORT int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any("open64", path, flags, mode);
}

/// A store daemon gives up when it may not have 65536 files, which an ordinary user may not; the
/// clients of a simulated host are few.
RINGSIDE_EXPORT int setrlimit(__rlimit_resource_t resource, const rlimit* limit) noexcept {
  const int result = next<int(__rlimit_resource_t, const rlimit*)>("setrlimit")(resource, limit);
  return result != 0 && errno == EPERM && resource == RLIMIT_NOFILE ? 0 : result;
}
