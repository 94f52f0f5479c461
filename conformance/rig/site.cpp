#include "conformance/rig/site.hpp"

namespace ringside::conformance {
namespace {

template <typename Map>
auto find(const Map& map, uint16_t domid, unsigned device) {
  const auto found = map.find({domid, device});
  return found == map.end() ? typename Map::mapped_type{} : found->second;
}

}  // namespace

void Site::start(const Config& config) {
  if (config.net != nullptr) {
    netback_ = start_netback(
        *host_, [this](uint16_t domid, unsigned handle) { return find(ports_, domid, handle); },
        *config.net);
  }
  if (config.blk != nullptr) {
    backends::Blkback::Config blk;
    blk.profile = *config.blk;
    blk.open_disk = [this](const backends::VbdIdentity& vbd, std::string&) {
      return find(disks_, vbd.domain, vbd.device);
    };
    blk.tap = config.blk_tap;
    blkback_ = start_blkback(*host_, std::move(blk));
  }
}

void Site::stop() {
  netback_.reset();
  blkback_.reset();
}

}  // namespace ringside::conformance
