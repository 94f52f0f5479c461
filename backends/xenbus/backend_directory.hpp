#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/xenbus/backend_device.hpp"

namespace ringside::backends {

/// Every device under one backend directory of xenstore, such as "/local/domain/0/backend/vbd":
/// new ones are made and started, vanished ones destroyed, all served.
///
/// Single-threaded: its owner calls service() whenever one of the handles has something.
class BackendDirectory {
 public:
  using Key = std::pair<uint16_t, unsigned>;  ///< front end's domid, device number
  using Make =
      std::function<std::unique_ptr<BackendDevice>(Handles&, const Key&, std::string path)>;

  BackendDirectory(std::string directory, Make make);

  /// Opens the handles in the caller's domain; false when one can't be had.
  bool open();
  /// Does everything there is to do; never waits for a guest.
  void service();
  /// The device, or nullptr.
  const BackendDevice* find(const Key& key) const;
  Handles& handles() { return handles_; }

 private:
  std::string path_of(const Key& key) const;
  bool take_watches();
  void rescan();
  void changed_below(const std::string& path);
  bool take_events();
  bool deliver(evtchn_port_t port);
  void unmask();

  std::string directory_;
  Make make_;
  Handles handles_;
  std::map<Key, std::unique_ptr<BackendDevice>> devices_;
  std::unordered_map<evtchn_port_t, BackendDevice*> by_port_;  ///< whose it was at its last event
  std::vector<evtchn_port_t> masked_;
};

}  // namespace ringside::backends
