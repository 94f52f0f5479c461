#include "backends/netback/netback.hpp"

#include <charconv>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "backends/netback/vif_backend.hpp"

namespace ringside::backends {
namespace {

constexpr const char* kDirectoryToken = "vifs";

std::optional<unsigned> parse_number(const std::string& text, unsigned limit) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > limit) return {};
  return value;
}

class NetbackProcess final : public Netback {
 public:
  NetbackProcess(std::string directory, NetbackProfile profile, PortFinder find_port,
                 std::function<void()> wake)
      : directory_(std::move(directory)),
        profile_(profile),
        find_port_(std::move(find_port)),
        wake_(std::move(wake)) {}

  ~NetbackProcess() override {
    for (const auto& [key, vif] : vifs_) release_port(key);
  }

  bool open() {
    return handles_.complete() && xs_watch(handles_.store, directory_.c_str(), kDirectoryToken);
  }

  void service() override {
    bool busy = true;
    while (busy) {
      busy = take_watches();
      busy = take_events() || busy;
      for (const auto& [key, vif] : vifs_) vif->pump();
      unmask();
    }
  }

  int events_file() override { return handles_.events_file(); }
  int store_file() override { return xs_fileno(handles_.store); }

  NetbackStatistics statistics(uint16_t domain, unsigned handle) const override {
    const auto found = vifs_.find({domain, handle});
    return found == vifs_.end() ? NetbackStatistics{} : found->second->statistics();
  }

  bool connected(uint16_t domain, unsigned handle) const override {
    const auto found = vifs_.find({domain, handle});
    return found != vifs_.end() && found->second->connected();
  }

 private:
  using Key = std::pair<uint16_t, unsigned>;

  std::string path_of(const Key& key) const {
    return directory_ + "/" + std::to_string(key.first) + "/" + std::to_string(key.second);
  }

  bool take_watches() {
    bool any = false;
    while (char** event = xs_check_watch(handles_.store)) {
      any = true;
      const std::string path = event[XS_WATCH_PATH];
      const std::string token = event[XS_WATCH_TOKEN];
      std::free(event);
      if (token == kDirectoryToken) {
        rescan();
        changed_below(path);
      } else {
        changed_below(token);  // a front end's state: the token is the vif's directory
      }
    }
    return any;
  }

  /// Which vifs there are now: new ones start, vanished ones go.
  void rescan() {
    const StoreView store(handles_.store);
    std::set<Key> present;
    for (const std::string& domain : store.list(directory_)) {
      const auto domid = parse_number(domain, DOMID_FIRST_RESERVED - 1);
      if (!domid) continue;
      for (const std::string& handle : store.list(directory_ + "/" + domain)) {
        const auto number = parse_number(handle, ~0u);
        if (number) present.insert({static_cast<uint16_t>(*domid), *number});
      }
    }
    for (auto vif = vifs_.begin(); vif != vifs_.end();) {
      if (present.contains(vif->first)) {
        ++vif;
      } else {
        release_port(vif->first);
        vif = vifs_.erase(vif);
      }
    }
    for (const Key& key : present) {
      if (!vifs_.contains(key)) add(key);
    }
  }

  void add(const Key& key) {
    Port* port = find_port_ ? find_port_(key.first, key.second) : nullptr;
    auto vif = std::make_unique<VifBackend>(handles_, profile_, path_of(key), key.first, port);
    VifBackend& added = *vif;
    vifs_.emplace(key, std::move(vif));
    if (port != nullptr) {
      ports_.emplace(key, port);
      port->set_wake([this, &added] {
        added.port_changed();
        wake_();
      });
    }
    added.start();
  }

  void release_port(const Key& key) {
    const auto found = ports_.find(key);
    if (found == ports_.end()) return;
    found->second->set_wake({});
    ports_.erase(found);
  }

  void changed_below(const std::string& path) {
    for (const auto& [key, vif] : vifs_) {
      const std::string own = path_of(key);
      if (path == own || path.starts_with(own + "/")) {
        vif->changed();
        return;
      }
    }
  }

  bool take_events() {
    bool any = false;
    for (;;) {
      const int port = xenevtchn_pending(handles_.events);
      if (port < 0) return any;
      any = true;
      const auto number = static_cast<evtchn_port_t>(port);
      for (const auto& [key, vif] : vifs_) {
        if (!vif->event(number)) continue;
        masked_.push_back(number);
        break;
      }
    }
  }

  void unmask() {
    for (const evtchn_port_t port : masked_) xenevtchn_unmask(handles_.events, port);
    masked_.clear();
  }

  std::string directory_;
  NetbackProfile profile_;
  PortFinder find_port_;
  std::function<void()> wake_;
  Handles handles_;
  std::map<Key, std::unique_ptr<VifBackend>> vifs_;
  std::map<Key, Port*> ports_;
  std::vector<evtchn_port_t> masked_;
};

}  // namespace

std::unique_ptr<Netback> Netback::create(std::string directory, NetbackProfile profile,
                                         PortFinder find_port, std::function<void()> wake) {
  auto netback = std::make_unique<NetbackProcess>(std::move(directory), profile,
                                                  std::move(find_port), std::move(wake));
  if (!netback->open()) return nullptr;
  return netback;
}

}  // namespace ringside::backends
