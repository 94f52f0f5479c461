#include "backends/netback/netback.hpp"

#include <utility>

#include "backends/netback/vif_backend.hpp"
#include "backends/xenbus/backend_directory.hpp"

namespace ringside::backends {
namespace {

class NetbackProcess final : public Netback {
 public:
  NetbackProcess(std::string directory, NetbackProfile profile, PortFinder find_port,
                 std::function<void()> wake)
      : profile_(profile),
        find_port_(std::move(find_port)),
        wake_(std::move(wake)),
        vifs_(std::move(directory),
              [this](Handles& handles, const BackendDirectory::Key& key, std::string path) {
                Port* port = find_port_ ? find_port_(key.first, key.second) : nullptr;
                return std::make_unique<VifBackend>(handles, profile_, std::move(path), key.first,
                                                    port, wake_);
              }) {}

  bool open() { return vifs_.open(); }
  void service() override { vifs_.service(); }
  int events_file() override { return vifs_.handles().events_file(); }
  int store_file() override { return xs_fileno(vifs_.handles().store); }

  NetbackStatistics statistics(uint16_t domain, unsigned handle) const override {
    const auto* vif = static_cast<const VifBackend*>(vifs_.find({domain, handle}));
    return vif == nullptr ? NetbackStatistics{} : vif->statistics();
  }

  bool connected(uint16_t domain, unsigned handle) const override {
    const BackendDevice* vif = vifs_.find({domain, handle});
    return vif != nullptr && vif->connected();
  }

 private:
  NetbackProfile profile_;
  PortFinder find_port_;
  std::function<void()> wake_;
  BackendDirectory vifs_;
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
