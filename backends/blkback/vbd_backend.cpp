#include "backends/blkback/vbd_backend.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace ringside::backends {

VbdBackend::VbdBackend(Handles& handles, const Blkback::Config& config, std::string path,
                       VbdIdentity vbd)
    : BackendDevice(handles, std::move(path), vbd.domain, XenbusStateInitialised),
      config_(config),
      vbd_(std::move(vbd)) {}

VbdBackend::~VbdBackend() { VbdBackend::disconnect(); }

bool VbdBackend::open() {
  vbd_.params = store().read(path() + "/params").value_or("");
  vbd_.read_only = store().read(path() + "/mode").value_or("w") == "r";  // BLKIF-NEG-027
  std::string why = "no disk";
  disk_ = config_.open_disk ? config_.open_disk(vbd_, why) : open_image(vbd_, why);
  if (disk_ == nullptr) {
    fail(why);
    return false;
  }
  vbd_.read_only = vbd_.read_only || disk_->read_only();
  return true;
}

bool VbdBackend::publish_features() {
  const BlkbackProfile& profile = config_.profile;
  Entries entries;
  if (profile.max_ring_page_order > 0) {
    entries.emplace_back("max-ring-page-order", profile.max_ring_page_order);
    entries.emplace_back("max-ring-pages", uint64_t{1} << profile.max_ring_page_order);
  }
  if (profile.max_indirect_segments > 0) {
    entries.emplace_back("feature-max-indirect-segments", profile.max_indirect_segments);
  }
  if (profile.max_queues > 0) entries.emplace_back("multi-queue-max-queues", profile.max_queues);
  // BLKIF-NEG-032: what an earlier back end offered here is not offered any more.
  return publish(entries, {"max-ring-page-order", "max-ring-pages", "feature-max-indirect-segments",
                           "multi-queue-max-queues"});
}

uint32_t VbdBackend::info() const {
  uint32_t info = 0;
  if (store().read(frontend() + "/device-type").value_or("disk") == "cdrom") info |= VDISK_CDROM;
  if (store().flag(path() + "/removable", false)) info |= VDISK_REMOVABLE;
  if (vbd_.read_only) info |= VDISK_READONLY;
  return info;
}

bool VbdBackend::publish_properties() {
  const BlkbackProfile& profile = config_.profile;
  const bool discard =
      profile.discard && !vbd_.read_only && store().flag(path() + "/discard-enable", true);
  const uint64_t size = disk_->size();
  Entries entries{
      {"sectors", size / profile.sector_unit()},
      {"sector-size", profile.sector_size},
      {"physical-sector-size", profile.physical_sector_size},
      {"info", info()},
      {"feature-flush-cache", profile.flush_cache ? 1 : 0},
      {"feature-barrier", profile.barrier ? 1 : 0},
      {"feature-discard", discard ? 1 : 0},
      {"feature-persistent", profile.max_persistent > 0 ? 1 : 0},
  };
  if (discard && profile.discard_granularity > 0) {
    entries.emplace_back("discard-granularity", profile.discard_granularity);
    entries.emplace_back("discard-alignment", 0);
  }
  published_size_ = size;
  return publish(entries);
}

void VbdBackend::connect() {
  std::vector<VbdQueueKeys> keys;
  std::string why;
  if (!read_keys(keys, why)) return fail(why);
  const std::string protocol = store().read(frontend() + "/protocol").value_or("");
  const bool persistent =
      config_.profile.max_persistent > 0 && store().flag(frontend() + "/feature-persistent", false);
  const Service service{.profile = config_.profile,
                        .domain = vbd_.domain,
                        .disk = *disk_,
                        .read_only = vbd_.read_only,
                        .persistent = persistent,
                        .statistics = statistics_};
  for (const VbdQueueKeys& one : keys) {
    auto queue = VbdQueue::connect(handles(), one, protocol, service, config_, why);
    if (queue == nullptr) return fail(why);
    queues_.push_back(std::move(queue));
  }
  ++statistics_.connections;
  statistics_.queues += queues_.size();
  if (!publish_properties()) return fail("writing the disk's properties");
  become(XenbusStateConnected);
  pump();
}

bool VbdBackend::read_keys(std::vector<VbdQueueKeys>& keys, std::string& why) const {
  const uint32_t limit = 1u << config_.profile.max_ring_page_order;
  const auto order = store().number(frontend() + "/ring-page-order");
  const auto given = store().number(frontend() + "/num-ring-pages");
  const uint32_t pages = order && *order < 31 ? 1u << *order : order ? 0 : given.value_or(1);
  if (pages == 0 || pages > limit || !std::has_single_bit(pages)) {  // BLKIF-NEG-003
    why = "a ring of so many pages was not offered";
    return false;
  }
  const uint32_t queues = store().number(frontend() + "/multi-queue-num-queues").value_or(1);
  if (queues == 0 || queues > std::max(1u, config_.profile.max_queues)) {  // BLKIF-NEG-007
    why = "multi-queue-num-queues is " + std::to_string(queues);
    return false;
  }
  for (uint32_t i = 0; i < queues; ++i) {
    const std::string directory =
        queues == 1 ? frontend() : frontend() + "/queue-" + std::to_string(i);
    keys.emplace_back();
    if (!read_queue(directory, pages, keys.back(), why)) return false;
  }
  return true;
}

bool VbdBackend::read_queue(const std::string& directory, uint32_t pages, VbdQueueKeys& keys,
                            std::string& why) const {
  const auto single = store().number(directory + "/ring-ref");
  if (pages == 1 && single) keys.ring_refs.push_back(*single);  // BLKIF-NEG-004
  while (keys.ring_refs.size() < pages) {
    const std::string key = directory + "/ring-ref" + std::to_string(keys.ring_refs.size());
    const auto ref = store().number(key);
    if (!ref) {
      why = "reading " + key;
      return false;
    }
    keys.ring_refs.push_back(*ref);
  }
  const auto channel = store().number(directory + "/event-channel");
  if (!channel) why = "reading " + directory + "/event-channel";
  keys.channel = channel.value_or(0);
  return channel.has_value();
}

// BLKIF-IO-024: with the queues go all that they kept mapped, before Closed is written.
void VbdBackend::disconnect() { queues_.clear(); }

bool VbdBackend::event(evtchn_port_t port) {
  return std::any_of(queues_.begin(), queues_.end(),
                     [port](const auto& queue) { return queue->port() == port; });
}

void VbdBackend::pump() {
  if (!connected()) return;
  publish_size();
  const bool sane =
      std::all_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->serve(); });
  if (sane) return;
  ++statistics_.violations;
  fail("the front end's ring makes no sense");
}

void VbdBackend::publish_size() {
  const uint64_t size = disk_->size();
  if (size == std::exchange(published_size_, size)) return;
  // BLKIF-NEG-028: the state written again is what makes a front end look.
  store().transact([&](xs_transaction_t in) {
    return store().write(path() + "/sectors", std::to_string(size / config_.profile.sector_unit()),
                         in) &&
           store().write(path() + "/state", std::to_string(static_cast<int>(state())), in);
  });
}

}  // namespace ringside::backends
