#include "backends/blkback/blkback.hpp"

#include <utility>

#include "backends/blkback/uring_disk.hpp"
#include "backends/blkback/vbd_backend.hpp"
#include "backends/xenbus/backend_directory.hpp"

namespace ringside::backends {
namespace {

class BlkbackProcess final : public Blkback {
 public:
  BlkbackProcess(Config config, std::function<void()> wake)
      : config_(std::move(config)),
        wake_(std::move(wake)),
        vbds_(config_.directory,
              [this](Handles& handles, const BackendDirectory::Key& key, std::string path) {
                const VbdIdentity vbd{.domain = key.first, .device = key.second, .params = {}};
                return std::make_unique<VbdBackend>(handles, config_, std::move(path), vbd);
              }) {}

  bool open() { return vbds_.open(); }
  void service() override { vbds_.service(); }

  BlkbackStatistics statistics(uint16_t domain, unsigned device) const override {
    const auto* vbd = static_cast<const VbdBackend*>(vbds_.find({domain, device}));
    return vbd == nullptr ? BlkbackStatistics{} : vbd->statistics();
  }

  bool connected(uint16_t domain, unsigned device) const override {
    const BackendDevice* vbd = vbds_.find({domain, device});
    return vbd != nullptr && vbd->connected();
  }

  void resized() override { wake_(); }

 private:
  Config config_;
  std::function<void()> wake_;
  BackendDirectory vbds_;
};

}  // namespace

std::unique_ptr<Blkback> Blkback::create(Config config, std::function<void()> wake) {
  auto blkback = std::make_unique<BlkbackProcess>(std::move(config), std::move(wake));
  if (!blkback->open()) return nullptr;
  return blkback;
}

std::shared_ptr<Disk> open_image(const VbdIdentity& vbd, std::string& error) {
  const auto mode = vbd.read_only ? FileDisk::Mode::kReadOnly : FileDisk::Mode::kReadWrite;
  if (auto disk = UringDisk::open(vbd.params, mode, error)) return disk;
  return FileDisk::open(vbd.params, mode, error);
}

}  // namespace ringside::backends
