#include "backends/xenbus/backend_directory.hpp"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <set>

namespace ringside::backends {
namespace {

constexpr const char* kToken = "directory";

std::optional<unsigned> parse_number(const std::string& text, unsigned limit) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > limit) return {};
  return value;
}

}  // namespace

BackendDirectory::BackendDirectory(std::string directory, Make make)
    : directory_(std::move(directory)), make_(std::move(make)) {}

bool BackendDirectory::open() {
  return handles_.complete() && xs_watch(handles_.store, directory_.c_str(), kToken);
}

const BackendDevice* BackendDirectory::find(const Key& key) const {
  const auto found = devices_.find(key);
  return found == devices_.end() ? nullptr : found->second.get();
}

void BackendDirectory::service() {
  bool busy = true;
  while (busy) {
    const bool changed = take_watches();
    busy = take_events() || changed;
    for (const auto& [key, device] : devices_) {
      if (changed || device->due()) device->pump();
    }
    unmask();
  }
}

std::string BackendDirectory::path_of(const Key& key) const {
  return directory_ + "/" + std::to_string(key.first) + "/" + std::to_string(key.second);
}

bool BackendDirectory::take_watches() {
  bool any = false;
  while (char** event = xs_check_watch(handles_.store)) {
    any = true;
    const std::string path = event[XS_WATCH_PATH];
    const std::string token = event[XS_WATCH_TOKEN];
    std::free(event);
    if (token == kToken) {
      rescan();
      changed_below(path);
    } else {
      changed_below(token);  // a front end's state: the token is the device's directory
    }
  }
  return any;
}

void BackendDirectory::rescan() {
  const StoreView store(handles_.store);
  std::set<Key> present;
  for (const std::string& domain : store.list(directory_)) {
    const auto domid = parse_number(domain, DOMID_FIRST_RESERVED - 1);
    if (!domid) continue;
    for (const std::string& device : store.list(directory_ + "/" + domain)) {
      const auto number = parse_number(device, ~0u);
      if (number) present.insert({static_cast<uint16_t>(*domid), *number});
    }
  }
  const auto gone = [&](const auto& entry) { return !present.contains(entry.first); };
  if (std::erase_if(devices_, gone) > 0) by_port_.clear();
  for (const Key& key : present) {
    if (devices_.contains(key)) continue;
    const auto added = devices_.emplace(key, make_(handles_, key, path_of(key))).first;
    added->second->start();
  }
}

void BackendDirectory::changed_below(const std::string& path) {
  for (const auto& [key, device] : devices_) {
    const std::string& own = device->path();
    if (path == own || path.starts_with(own + "/")) return device->changed();
  }
}

bool BackendDirectory::take_events() {
  bool any = false;
  for (int pending = xenevtchn_pending(handles_.events); pending >= 0;
       pending = xenevtchn_pending(handles_.events)) {
    any = true;
    const auto port = static_cast<evtchn_port_t>(pending);
    // The port of a device that went meanwhile is nobody's any more.
    if (deliver(port)) masked_.push_back(port);
  }
  return any;
}

bool BackendDirectory::deliver(evtchn_port_t port) {
  const auto known = by_port_.find(port);
  if (known != by_port_.end() && known->second->event(port)) return true;
  for (const auto& [key, device] : devices_) {
    if (!device->event(port)) continue;
    by_port_[port] = device.get();
    return true;
  }
  return false;
}

void BackendDirectory::unmask() {
  for (const evtchn_port_t port : masked_) xenevtchn_unmask(handles_.events, port);
  masked_.clear();
}

}  // namespace ringside::backends
