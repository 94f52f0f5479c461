#include "backends/blkback/vbd_backend.hpp"

#include <sys/mman.h>

#include <bit>
#include <utility>

#include "protocols/ring/layout.hpp"

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
  // BLKIF-NEG-032: what an earlier back end offered here is not offered any more.
  return publish(entries,
                 {"max-ring-page-order", "max-ring-pages", "feature-max-indirect-segments"});
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
      // BLKIF-NEG-008: in units of 512 bytes, whatever the sector size.
      {"sectors", size / kSectorBytes},
      {"sector-size", profile.sector_size},
      {"physical-sector-size", profile.physical_sector_size},
      {"info", info()},
      {"feature-flush-cache", profile.flush_cache ? 1 : 0},
      {"feature-barrier", profile.barrier ? 1 : 0},
      {"feature-discard", discard ? 1 : 0},
  };
  if (discard && profile.discard_granularity > 0) {
    entries.emplace_back("discard-granularity", profile.discard_granularity);
    entries.emplace_back("discard-alignment", 0);
  }
  published_size_ = size;
  return publish(entries);
}

void VbdBackend::connect() {
  std::vector<uint32_t> refs;
  std::string why;
  if (!read_ring_refs(refs, why) || !map_ring(refs, why)) return fail(why);
  const auto channel = store().number(frontend() + "/event-channel");
  if (!channel) return fail("reading " + frontend() + "/event-channel");
  const int port = xenevtchn_bind_interdomain(handles().events, vbd_.domain, *channel);
  if (port < 0) return fail("binding event channel " + std::to_string(*channel));
  port_ = static_cast<evtchn_port_t>(port);
  const std::span<std::byte> area(static_cast<std::byte*>(mapped_),
                                  mapped_pages_ * ring::kRingPageSize);
  const std::string protocol = store().read(frontend() + "/protocol").value_or("");
  auto ring = GuestRing::create(protocol, area, config_.tap);
  if (!ring) {
    xenevtchn_unbind(handles().events, port_);
    return fail(ring.status() == Status::kNotSupported ? "unknown protocol " + protocol
                                                       : "the ring's indices can't be");
  }
  ring_ = *std::move(ring);
  executor_ = std::make_unique<Executor>(handles(), config_.profile, vbd_.domain, *disk_,
                                         vbd_.read_only, statistics_);
  ++statistics_.connections;
  if (!publish_properties()) return fail("writing the disk's properties");
  become(XenbusStateConnected);
  pump();
}

bool VbdBackend::read_ring_refs(std::vector<uint32_t>& refs, std::string& why) const {
  const uint32_t limit = 1u << config_.profile.max_ring_page_order;
  const auto order = store().number(frontend() + "/ring-page-order");
  const auto pages = store().number(frontend() + "/num-ring-pages");
  const uint32_t count = order && *order < 31 ? 1u << *order : order ? 0 : pages.value_or(1);
  if (count == 0 || count > limit || !std::has_single_bit(count)) {  // BLKIF-NEG-003
    why = "a ring of so many pages was not offered";
    return false;
  }
  const auto single = store().number(frontend() + "/ring-ref");
  if (count == 1 && single) {  // BLKIF-NEG-004
    refs.push_back(*single);
    return true;
  }
  for (uint32_t i = 0; i < count; ++i) {
    const std::string key = frontend() + "/ring-ref" + std::to_string(i);
    const auto ref = store().number(key);
    if (!ref) {
      why = "reading " + key;
      return false;
    }
    refs.push_back(*ref);
  }
  return true;
}

bool VbdBackend::map_ring(const std::vector<uint32_t>& refs, std::string& why) {
  std::vector<uint32_t> copy = refs;
  const auto count = static_cast<uint32_t>(copy.size());
  mapped_ = xengnttab_map_domain_grant_refs(handles().grants, count, vbd_.domain, copy.data(),
                                            PROT_READ | PROT_WRITE);
  if (mapped_ == nullptr) {
    why = "mapping the ring";
    return false;
  }
  mapped_pages_ = count;
  return true;
}

void VbdBackend::disconnect() {
  if (ring_ != nullptr) xenevtchn_unbind(handles().events, port_);
  ring_.reset();
  executor_.reset();
  if (mapped_ != nullptr) xengnttab_unmap(handles().grants, mapped_, mapped_pages_);
  mapped_ = nullptr;
}

void VbdBackend::pump() {
  if (!connected()) return;
  publish_size();
  while (serve_batch()) {
  }
}

void VbdBackend::publish_size() {
  const uint64_t size = disk_->size();
  if (size == std::exchange(published_size_, size)) return;
  // BLKIF-NEG-028: the state written again is what makes a front end look.
  store().transact([&](xs_transaction_t in) {
    return store().write(path() + "/sectors", std::to_string(size / kSectorBytes), in) &&
           store().write(path() + "/state", std::to_string(static_cast<int>(state())), in);
  });
}

bool VbdBackend::serve_batch() {
  std::vector<GuestResponse> responses;
  for (;;) {
    const auto request = ring_->take();
    if (!request) {
      ++statistics_.violations;
      fail("the front end's ring makes no sense");
      return false;
    }
    if (!*request) break;
    const uint8_t operation = (*request)->indirect ? BLKIF_OP_INDIRECT : (*request)->operation;
    responses.push_back({(*request)->id, operation, executor_->execute(**request)});
  }
  if (!responses.empty()) answer(responses);
  return !ring_->arm();
}

void VbdBackend::answer(std::vector<GuestResponse>& responses) {
  if (config_.choose) {
    // BLKIF-IO-013: any order is right.
    for (size_t i = responses.size(); i > 1; --i) {
      std::swap(responses[i - 1], responses[config_.choose(i)]);
    }
  }
  for (const GuestResponse& response : responses) ring_->put(response);
  if (ring_->publish()) xenevtchn_notify(handles().events, port_);
}

}  // namespace ringside::backends
