#include "backends/blkback/blkback.hpp"

#include <charconv>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "backends/blkback/vbd_backend.hpp"

namespace ringside::backends {
namespace {

constexpr const char* kDirectoryToken = "vbds";

std::optional<unsigned> parse_number(const std::string& text, unsigned limit) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > limit) return {};
  return value;
}

class BlkbackProcess final : public Blkback {
 public:
  BlkbackProcess(Config config, std::function<void()> wake)
      : config_(std::move(config)), wake_(std::move(wake)) {}

  bool open() {
    return handles_.complete() &&
           xs_watch(handles_.store, config_.directory.c_str(), kDirectoryToken);
  }

  void service() override {
    bool busy = true;
    while (busy) {
      busy = take_watches();
      busy = take_events() || busy;
      for (const auto& [key, vbd] : vbds_) vbd->pump();
      unmask();
    }
  }

  BlkbackStatistics statistics(uint16_t domain, unsigned device) const override {
    const auto found = vbds_.find({domain, device});
    return found == vbds_.end() ? BlkbackStatistics{} : found->second->statistics();
  }

  bool connected(uint16_t domain, unsigned device) const override {
    const auto found = vbds_.find({domain, device});
    return found != vbds_.end() && found->second->connected();
  }

  void resized() override { wake_(); }

 private:
  using Key = std::pair<uint16_t, unsigned>;

  std::string path_of(const Key& key) const {
    return config_.directory + "/" + std::to_string(key.first) + "/" + std::to_string(key.second);
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
        changed_below(token);  // a front end's state: the token is the vbd's directory
      }
    }
    return any;
  }

  /// Which vbds there are now: new ones start, vanished ones go.
  void rescan() {
    const StoreView store(handles_.store);
    std::set<Key> present;
    for (const std::string& domain : store.list(config_.directory)) {
      const auto domid = parse_number(domain, DOMID_FIRST_RESERVED - 1);
      if (!domid) continue;
      for (const std::string& device : store.list(config_.directory + "/" + domain)) {
        const auto number = parse_number(device, ~0u);
        if (number) present.insert({static_cast<uint16_t>(*domid), *number});
      }
    }
    std::erase_if(vbds_, [&](const auto& entry) { return !present.contains(entry.first); });
    for (const Key& key : present) {
      if (vbds_.contains(key)) continue;
      const VbdIdentity vbd{.domain = key.first, .device = key.second, .params = {}};
      auto added = std::make_unique<VbdBackend>(handles_, config_, path_of(key), vbd);
      added->start();
      vbds_.emplace(key, std::move(added));
    }
  }

  void changed_below(const std::string& path) {
    for (const auto& [key, vbd] : vbds_) {
      const std::string own = path_of(key);
      if (path == own || path.starts_with(own + "/")) return vbd->changed();
    }
  }

  bool take_events() {
    bool any = false;
    for (int port = xenevtchn_pending(handles_.events); port >= 0;
         port = xenevtchn_pending(handles_.events)) {
      any = true;
      masked_.push_back(static_cast<evtchn_port_t>(port));
    }
    return any;
  }

  /// Only ports that are still bound; one that a closed vbd had is gone.
  void unmask() {
    for (const evtchn_port_t port : masked_) {
      for (const auto& [key, vbd] : vbds_) {
        if (vbd->event(port)) xenevtchn_unmask(handles_.events, port);
      }
    }
    masked_.clear();
  }

  Config config_;
  std::function<void()> wake_;
  Handles handles_;
  std::map<Key, std::unique_ptr<VbdBackend>> vbds_;
  std::vector<evtchn_port_t> masked_;
};

}  // namespace

std::unique_ptr<Blkback> Blkback::create(Config config, std::function<void()> wake) {
  auto blkback = std::make_unique<BlkbackProcess>(std::move(config), std::move(wake));
  if (!blkback->open()) return nullptr;
  return blkback;
}

std::shared_ptr<Disk> open_image(const VbdIdentity& vbd, std::string& error) {
  const auto mode = vbd.read_only ? FileDisk::Mode::kReadOnly : FileDisk::Mode::kReadWrite;
  return FileDisk::open(vbd.params, mode, error);
}

}  // namespace ringside::backends
