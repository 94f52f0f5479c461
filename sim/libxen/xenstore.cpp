// The C interface of <xenstore.h> over the embedded server. Results that callers free() come
// from malloc(); errors are left in errno.
#include <cerrno>

extern "C" {
#include <xenstore.h>
}

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sim/libxen/xenstore_handle.hpp"
#include "sim/xenstore/request.hpp"

using ringside::sim::StoreDaemon;
using ringside::sim::xenstore::strings_of;
using ringside::sim::xenstore::WatchEvent;

namespace {

std::string terminated(std::string_view text) { return std::string(text) + '\0'; }

bool succeeded(int error) {
  if (error != 0) errno = error;
  return error == 0;
}

bool ask(xs_handle* handle, xsd_sockmsg_type type, xs_transaction_t transaction,
         const std::string& payload, std::string& answer) {
  return succeeded(handle->client().request(type, transaction, payload, answer));
}

bool tell(xs_handle* handle, xsd_sockmsg_type type, xs_transaction_t transaction,
          const std::string& payload) {
  std::string answer;
  return ask(handle, type, transaction, payload, answer);
}

/// A copy with one NUL more, for free().
char* copied(std::string_view bytes) {
  auto* copy = static_cast<char*>(std::malloc(bytes.size() + 1));
  if (copy == nullptr) return nullptr;
  std::copy(bytes.begin(), bytes.end(), copy);
  copy[bytes.size()] = '\0';
  return copy;
}

/// An array of strings and the strings themselves in one block, for one free().
char** copied_strings(const std::vector<std::string_view>& strings) {
  size_t size = (strings.size() + 1) * sizeof(char*);
  for (const std::string_view string : strings) size += string.size() + 1;
  auto** array = static_cast<char**>(std::malloc(size));
  if (array == nullptr) return nullptr;
  char* to = reinterpret_cast<char*>(array + strings.size() + 1);
  for (size_t i = 0; i < strings.size(); ++i) {
    array[i] = to;
    to = std::copy(strings[i].begin(), strings[i].end(), to);
    *to++ = '\0';
  }
  array[strings.size()] = nullptr;
  return array;
}

std::string permission_text(const xs_permissions& permission) {
  constexpr std::string_view kLetters = "nrwb";
  return kLetters[permission.perms & (XS_PERM_READ | XS_PERM_WRITE)] +
         std::to_string(permission.id);
}

char** copied_event(const WatchEvent& event) { return copied_strings({event.path, event.token}); }

}  // namespace

extern "C" {

xs_handle* xs_open(unsigned long flags) {
  StoreDaemon* daemon = StoreDaemon::current();
  if (daemon == nullptr) {
    errno = ENOENT;
    return nullptr;
  }
  return new xs_handle(*daemon, (flags & XS_UNWATCH_FILTER) != 0);
}

void xs_close(xs_handle* handle) { delete handle; }

xs_handle* xs_daemon_open() { return xs_open(0); }
xs_handle* xs_domain_open() { return xs_open(0); }
xs_handle* xs_daemon_open_readonly() { return xs_open(0); }
void xs_daemon_close(xs_handle* handle) { xs_close(handle); }

char** xs_directory(xs_handle* handle, xs_transaction_t transaction, const char* path,
                    unsigned* count) {
  std::string answer;
  if (!succeeded(handle->client().list(path, transaction, answer))) return nullptr;
  const auto names = strings_of(answer);
  *count = static_cast<unsigned>(names.size());
  return copied_strings(names);
}

void* xs_read(xs_handle* handle, xs_transaction_t transaction, const char* path, unsigned* length) {
  std::string answer;
  if (!ask(handle, XS_READ, transaction, terminated(path), answer)) return nullptr;
  if (length != nullptr) *length = static_cast<unsigned>(answer.size());
  return copied(answer);
}

bool xs_write(xs_handle* handle, xs_transaction_t transaction, const char* path, const void* data,
              unsigned length) {
  const std::string_view value(static_cast<const char*>(data), length);
  return tell(handle, XS_WRITE, transaction, terminated(path).append(value));
}

bool xs_mkdir(xs_handle* handle, xs_transaction_t transaction, const char* path) {
  return tell(handle, XS_MKDIR, transaction, terminated(path));
}

bool xs_rm(xs_handle* handle, xs_transaction_t transaction, const char* path) {
  return tell(handle, XS_RM, transaction, terminated(path));
}

bool xs_restrict(xs_handle*, unsigned) {
  errno = ENOSYS;
  return false;
}

xs_permissions* xs_get_permissions(xs_handle* handle, xs_transaction_t transaction,
                                   const char* path, unsigned* count) {
  std::string answer;
  if (!ask(handle, XS_GET_PERMS, transaction, terminated(path), answer)) return nullptr;
  const auto entries = static_cast<unsigned>(strings_of(answer).size());
  auto* permissions = static_cast<xs_permissions*>(std::calloc(entries, sizeof(xs_permissions)));
  if (permissions == nullptr) return nullptr;
  if (!xs_strings_to_perms(permissions, entries, answer.data())) {
    std::free(permissions);
    errno = EIO;
    return nullptr;
  }
  *count = entries;
  return permissions;
}

bool xs_set_permissions(xs_handle* handle, xs_transaction_t transaction, const char* path,
                        xs_permissions* permissions, unsigned count) {
  std::string payload = terminated(path);
  for (unsigned i = 0; i < count; ++i) payload += terminated(permission_text(permissions[i]));
  return tell(handle, XS_SET_PERMS, transaction, payload);
}

bool xs_watch(xs_handle* handle, const char* path, const char* token) {
  return tell(handle, XS_WATCH, XBT_NULL, terminated(path) + terminated(token));
}

int xs_fileno(xs_handle* handle) { return handle->file(); }

char** xs_check_watch(xs_handle* handle) {
  if (const auto event = handle->next_event()) return copied_event(*event);
  errno = EAGAIN;
  return nullptr;
}

char** xs_read_watch(xs_handle* handle, unsigned* count) {
  for (;;) {
    if (const auto event = handle->next_event()) {
      *count = 2;
      return copied_event(*event);
    }
    handle->wait_for_event();
  }
}

bool xs_unwatch(xs_handle* handle, const char* path, const char* token) {
  if (!tell(handle, XS_UNWATCH, XBT_NULL, terminated(path) + terminated(token))) return false;
  handle->forget_events(path, token);
  return true;
}

xs_transaction_t xs_transaction_start(xs_handle* handle) {
  std::string answer;
  if (!ask(handle, XS_TRANSACTION_START, XBT_NULL, terminated(""), answer)) return XBT_NULL;
  return static_cast<xs_transaction_t>(std::strtoul(answer.c_str(), nullptr, 10));
}

bool xs_transaction_end(xs_handle* handle, xs_transaction_t transaction, bool abandon) {
  return tell(handle, XS_TRANSACTION_END, transaction, terminated(abandon ? "F" : "T"));
}

bool xs_introduce_domain(xs_handle* handle, unsigned domid, unsigned long mfn, unsigned port) {
  return tell(handle, XS_INTRODUCE, XBT_NULL,
              terminated(std::to_string(domid)) + terminated(std::to_string(mfn)) +
                  terminated(std::to_string(port)));
}

bool xs_set_target(xs_handle* handle, unsigned domid, unsigned target) {
  return tell(handle, XS_SET_TARGET, XBT_NULL,
              terminated(std::to_string(domid)) + terminated(std::to_string(target)));
}

bool xs_resume_domain(xs_handle* handle, unsigned domid) {
  return tell(handle, XS_RESUME, XBT_NULL, terminated(std::to_string(domid)));
}

bool xs_release_domain(xs_handle* handle, unsigned domid) {
  return tell(handle, XS_RELEASE, XBT_NULL, terminated(std::to_string(domid)));
}

char* xs_get_domain_path(xs_handle* handle, unsigned domid) {
  std::string answer;
  if (!ask(handle, XS_GET_DOMAIN_PATH, XBT_NULL, terminated(std::to_string(domid)), answer)) {
    return nullptr;
  }
  return copied(answer.c_str());
}

bool xs_is_domain_introduced(xs_handle* handle, unsigned domid) {
  std::string answer;
  return ask(handle, XS_IS_DOMAIN_INTRODUCED, XBT_NULL, terminated(std::to_string(domid)),
             answer) &&
         answer == terminated("T");
}

bool xs_path_is_subpath(const char* parent, const char* child) {
  const size_t length = std::strlen(parent);
  const std::string_view rest(child);
  return rest.substr(0, length) == parent && (rest.size() == length || rest[length] == '/');
}

bool xs_strings_to_perms(xs_permissions* permissions, unsigned count, const char* strings) {
  for (unsigned i = 0; i < count; ++i, strings += std::strlen(strings) + 1) {
    const auto permission = ringside::sim::xenstore::parse_permission(strings);
    if (!permission) {
      errno = EINVAL;
      return false;
    }
    permissions[i].id = permission->domain;
    permissions[i].perms = permission->access;
  }
  return true;
}

}  // extern "C"
