#include "backends/xenbus/handles.hpp"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

namespace ringside::backends {

Handles::Handles()
    : grants(xengnttab_open(nullptr, 0)), events(xenevtchn_open(nullptr, 0)), store(xs_open(0)) {}

int Handles::events_file() {
  const int fd = xenevtchn_fd(events);
  // On a real dom0 xenevtchn_pending() would otherwise wait for the next event.
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

Handles::~Handles() {
  if (store != nullptr) xs_close(store);
  if (events != nullptr) xenevtchn_close(events);
  if (grants != nullptr) xengnttab_close(grants);
}

std::optional<std::string> StoreView::read(const std::string& path, xs_transaction_t in) const {
  unsigned length = 0;
  void* value = xs_read(handle_, in, path.c_str(), &length);
  if (value == nullptr) return {};
  std::string text(static_cast<const char*>(value), length);
  std::free(value);
  return text;
}

std::optional<uint32_t> StoreView::number(const std::string& path, xs_transaction_t in) const {
  const auto text = read(path, in);
  if (!text || text->empty()) return {};
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return {};
  return value;
}

bool StoreView::flag(const std::string& path, bool fallback, xs_transaction_t in) const {
  const auto value = number(path, in);
  return value ? *value != 0 : fallback;
}

bool StoreView::write(const std::string& path, std::string_view value, xs_transaction_t in) const {
  return xs_write(handle_, in, path.c_str(), value.data(), static_cast<unsigned>(value.size()));
}

std::vector<std::string> StoreView::list(const std::string& path) const {
  unsigned count = 0;
  char** names = xs_directory(handle_, XBT_NULL, path.c_str(), &count);
  if (names == nullptr) return {};
  std::vector<std::string> result(names, names + count);
  std::free(names);
  return result;
}

bool StoreView::end(xs_transaction_t transaction, bool& again) const {
  if (xs_transaction_end(handle_, transaction, false)) return true;
  again = errno == EAGAIN;
  return false;
}

}  // namespace ringside::backends
