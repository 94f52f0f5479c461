// Preloaded into a real store daemon: the few calls of libxenctrl, libxenevtchn and libxengnttab
// that it makes, answered from files instead of by Xen. RINGSIDE_DAEMON_DIR names the folder:
//   daemon.events    datagram socket of the daemon; each datagram is a local port, uint32_t
//   domN.page        domain N's store page; the domain exists as long as it does
//   domN.events      datagram socket of domain N, one datagram an event
//   domN.shutdown    domain N has shut down
//   socket           where a daemon that insists on /run/xenstored/socket gets its socket
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern "C" {  // these headers don't say so themselves
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>
}

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr evtchn_port_t kExceptions = 900;         // VIRQ_DOM_EXC
constexpr evtchn_port_t kFirstInterdomain = 1000;  // and the domain's id
constexpr evtchn_port_t kStorePort = 1;            // the one port each domain has
constexpr size_t kPage = 4096;

struct Path {
  char text[sizeof(sockaddr_un::sun_path)];
};

Path path_of(const char* name) {
  Path path;
  const char* folder = getenv("RINGSIDE_DAEMON_DIR");
  snprintf(path.text, sizeof(path.text), "%s/%s", folder != nullptr ? folder : ".", name);
  return path;
}

Path path_of(uint32_t domid, const char* what) {
  char name[32];
  snprintf(name, sizeof(name), "dom%u.%s", domid, what);
  return path_of(name);
}

bool exists(const Path& path) { return access(path.text, F_OK) == 0; }
bool domain_exists(uint32_t domid) { return domid == 0 || exists(path_of(domid, "page")); }

sockaddr_un address_of(const Path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.text, sizeof(path.text));
  return address;
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool is_fixed_socket(const char* path) {
  return strcmp(path, "/var/run/xenstored/socket") == 0 ||
         strcmp(path, "/run/xenstored/socket") == 0;
}

void* map_page(uint32_t domid) {
  const int fd = next<int(const char*, int, ...)>("open64")(path_of(domid, "page").text, O_RDWR);
  if (fd < 0) {
    errno = EINVAL;  // what Xen's grant table says of a domain that is not there
    return nullptr;
  }
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return page == MAP_FAILED ? nullptr : page;
}

/// What dom0's kernel tells of its own store page and port.
int open_dom0(const char* path) {
  const bool port = strstr(path, "xsd_port") != nullptr;
  const int fd = memfd_create("dom0", 0);
  if (fd < 0) return fd;
  if (!port) return ftruncate(fd, kPage) == 0 ? fd : -1;
  if (write(fd, "1", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0) return -1;
  return fd;
}

int open_any(const char* name, const char* path, int flags, mode_t mode) {
  if (strncmp(path, "/proc/xen/", 10) == 0) return open_dom0(path);
  return next<int(const char*, int, ...)>(name)(path, flags, mode);
}

}  // namespace

struct xenevtchn_handle {
  int fd;
};

extern "C" {

// --- the C library ---

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_any("open64", path, flags, mode);
}

int bind(int fd, const sockaddr* address, socklen_t length) {
  auto* real = next<int(int, const sockaddr*, socklen_t)>("bind");
  const auto* local = reinterpret_cast<const sockaddr_un*>(address);
  if (address->sa_family != AF_UNIX || !is_fixed_socket(local->sun_path)) {
    return real(fd, address, length);
  }
  const sockaddr_un moved = address_of(path_of("socket"));
  return real(fd, reinterpret_cast<const sockaddr*>(&moved), sizeof(moved));
}

int unlink(const char* path) noexcept {
  if (!is_fixed_socket(path)) return next<int(const char*)>("unlink")(path);
  errno = ENOENT;
  return -1;
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (strncmp(path, "/var/run/xen", 12) == 0 || strncmp(path, "/run/xen", 8) == 0) return 0;
  return next<int(const char*, mode_t)>("mkdir")(path, mode);
}

/// The daemon asks for more files than an ordinary user may have, and needs a dozen.
int setrlimit(__rlimit_resource_t, const rlimit*) noexcept { return 0; }

// --- libxenevtchn ---

xenevtchn_handle* xenevtchn_open(xentoollog_logger*, unsigned) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const sockaddr_un address = address_of(path_of("daemon.events"));
  auto* real = next<int(int, const sockaddr*, socklen_t)>("bind");
  if (fd < 0 || real(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return nullptr;
  }
  auto* handle = static_cast<xenevtchn_handle*>(malloc(sizeof(xenevtchn_handle)));
  handle->fd = fd;
  return handle;
}

xenevtchn_handle* xenevtchn_fdopen(xentoollog_logger*, int, unsigned) {
  errno = ENOSYS;  // only for a daemon that is updated while it runs
  return nullptr;
}

int xenevtchn_close(xenevtchn_handle* handle) {
  close(handle->fd);
  free(handle);
  return 0;
}

int xenevtchn_fd(xenevtchn_handle* handle) { return handle->fd; }

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle*, unsigned) {
  return static_cast<int>(kExceptions);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle*, uint32_t domid,
                                                     evtchn_port_t port) {
  if (domain_exists(domid) && port == kStorePort)
    return static_cast<int>(kFirstInterdomain + domid);
  errno = EINVAL;
  return -1;
}

int xenevtchn_notify(xenevtchn_handle* handle, evtchn_port_t port) {
  if (port <= kFirstInterdomain) return 0;  // dom0's own ring has no reader
  const sockaddr_un address = address_of(path_of(port - kFirstInterdomain, "events"));
  // A full queue means that the domain has plenty of events to wake up for.
  sendto(handle->fd, "!", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle* handle) {
  uint32_t port = 0;
  return recv(handle->fd, &port, sizeof(port), 0) == sizeof(port) ? static_cast<int>(port) : -1;
}

int xenevtchn_unmask(xenevtchn_handle*, evtchn_port_t) { return 0; }
int xenevtchn_unbind(xenevtchn_handle*, evtchn_port_t) { return 0; }

// --- libxengnttab ---

xengnttab_handle* xengnttab_open(xentoollog_logger*, unsigned) {
  return static_cast<xengnttab_handle*>(malloc(1));
}
int xengnttab_close(xengnttab_handle* handle) {
  free(handle);
  return 0;
}
int xengnttab_set_max_grants(xengnttab_handle*, uint32_t) { return 0; }
void* xengnttab_map_grant_ref(xengnttab_handle*, uint32_t domid, uint32_t, int) {
  return map_page(domid);
}
int xengnttab_unmap(xengnttab_handle*, void* address, uint32_t count) {
  return munmap(address, count * kPage);
}

// --- libxenctrl ---

xc_interface* xc_interface_open(xentoollog_logger*, xentoollog_logger*, unsigned) {
  return static_cast<xc_interface*>(malloc(1));
}
int xc_interface_close(xc_interface* handle) {
  free(handle);
  return 0;
}

int xc_domain_getinfo(xc_interface*, uint32_t domid, unsigned, xc_dominfo_t* info) {
  if (!domain_exists(domid)) return 0;
  memset(info, 0, sizeof(*info));
  info->domid = domid;
  info->shutdown = exists(path_of(domid, "shutdown")) ? 1 : 0;
  return 1;
}

int xc_domain_getinfolist(xc_interface*, uint32_t domid, unsigned, xc_domaininfo_t* info) {
  if (!domain_exists(domid)) return 0;
  memset(info, 0, sizeof(*info));
  info->domain = static_cast<domid_t>(domid);
  if (exists(path_of(domid, "shutdown"))) info->flags |= XEN_DOMINF_shutdown;
  return 1;
}

void* xc_map_foreign_range(xc_interface*, uint32_t domid, int, int, unsigned long) {
  return map_page(domid);
}

}  // extern "C"
