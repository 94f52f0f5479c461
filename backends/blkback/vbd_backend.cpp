#include "backends/blkback/vbd_backend.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "protocols/ring/layout.hpp"

namespace ringside::backends {
namespace {

using Entry = std::pair<const char*, uint64_t>;

}  // namespace

VbdBackend::VbdBackend(Handles& handles, const Blkback::Config& config, std::string path,
                       VbdIdentity vbd)
    : handles_(handles),
      store_(handles.store),
      config_(config),
      path_(std::move(path)),
      vbd_(std::move(vbd)) {}

VbdBackend::~VbdBackend() {
  disconnect();
  if (!frontend_.empty()) {
    xs_unwatch(handles_.store, (frontend_ + "/state").c_str(), path_.c_str());
  }
}

void VbdBackend::start() {
  const auto frontend = store_.read(path_ + "/frontend");
  if (!frontend || frontend->empty()) return;  // its nodes are not all there yet
  frontend_ = *frontend;
  if (open_disk() && publish_limits()) become(XenbusStateInitWait);
  // The watch fires once at once, which looks at the front end's state for the first time.
  xs_watch(handles_.store, (frontend_ + "/state").c_str(), path_.c_str());
}

bool VbdBackend::open_disk() {
  vbd_.params = store_.read(path_ + "/params").value_or("");
  vbd_.read_only = store_.read(path_ + "/mode").value_or("w") == "r";  // BLKIF-NEG-027
  std::string why = "no disk";
  disk_ = config_.open_disk ? config_.open_disk(vbd_, why) : open_image(vbd_, why);
  if (disk_ == nullptr) {
    fail(why);
    return false;
  }
  vbd_.read_only = vbd_.read_only || disk_->read_only();
  return true;
}

bool VbdBackend::publish_limits() {
  const BlkbackProfile& profile = config_.profile;
  std::vector<Entry> entries;
  if (profile.max_ring_page_order > 0) {
    entries.emplace_back("max-ring-page-order", profile.max_ring_page_order);
    entries.emplace_back("max-ring-pages", uint64_t{1} << profile.max_ring_page_order);
  }
  if (profile.max_indirect_segments > 0) {
    entries.emplace_back("feature-max-indirect-segments", profile.max_indirect_segments);
  }
  return store_.transact([&](xs_transaction_t in) {
    // BLKIF-NEG-032: what an earlier back end offered here is not offered any more.
    for (const char* key :
         {"max-ring-page-order", "max-ring-pages", "feature-max-indirect-segments"}) {
      xs_rm(handles_.store, in, (path_ + "/" + key).c_str());
    }
    return std::all_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return store_.write(path_ + "/" + entry.first, std::to_string(entry.second), in);
    });
  });
}

uint32_t VbdBackend::info() const {
  uint32_t info = 0;
  if (store_.read(frontend_ + "/device-type").value_or("disk") == "cdrom") info |= VDISK_CDROM;
  if (store_.flag(path_ + "/removable", false)) info |= VDISK_REMOVABLE;
  if (vbd_.read_only) info |= VDISK_READONLY;
  return info;
}

bool VbdBackend::publish_properties() {
  const BlkbackProfile& profile = config_.profile;
  const bool discard =
      profile.discard && !vbd_.read_only && store_.flag(path_ + "/discard-enable", true);
  const uint64_t size = disk_->size();
  std::vector<Entry> entries{
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
  return store_.transact([&](xs_transaction_t in) {
    return std::all_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return store_.write(path_ + "/" + entry.first, std::to_string(entry.second), in);
    });
  });
}

void VbdBackend::become(xenbus_state state) {
  if (state == state_) return;
  state_ = state;
  store_.write(path_ + "/state", std::to_string(static_cast<int>(state)));
}

void VbdBackend::changed() {
  if (frontend_.empty()) return start();
  const auto peer =
      static_cast<xenbus_state>(store_.number(frontend_ + "/state").value_or(XenbusStateUnknown));
  const bool closing =
      store_.number(path_ + "/state").value_or(XenbusStateUnknown) == XenbusStateClosing;
  switch (peer) {
    case XenbusStateInitialising:
      if (closing && !store_.flag(path_ + "/online", true)) {
        // Detached before the guest took it up: there is nobody to wait for.
        become(XenbusStateClosed);
        break;
      }
      // XENBUS-012: a driver was loaded anew.
      disconnect();
      if (disk_ == nullptr || state_ == XenbusStateInitWait) break;
      if (publish_limits()) become(XenbusStateInitWait);
      break;
    case XenbusStateInitialised:
      // XENBUS-016: the same state written twice is one connection.
      if (state_ == XenbusStateInitWait && !closing) connect();
      break;
    case XenbusStateClosing:
      disconnect();  // XENBUS-008: nothing of the guest's is held once it may read Closing
      if (state_ != XenbusStateClosed) become(XenbusStateClosing);
      break;
    case XenbusStateClosed:
    case XenbusStateUnknown:
      disconnect();
      become(XenbusStateClosed);
      break;
    default: break;  // XENBUS-001, XENBUS-015
  }
}

void VbdBackend::connect() {
  std::vector<uint32_t> refs;
  std::string why;
  if (!read_ring_refs(refs, why) || !map_ring(refs, why)) return fail(why);
  const auto channel = store_.number(frontend_ + "/event-channel");
  if (!channel) return fail("reading " + frontend_ + "/event-channel");
  const int port = xenevtchn_bind_interdomain(handles_.events, vbd_.domain, *channel);
  if (port < 0) return fail("binding event channel " + std::to_string(*channel));
  port_ = static_cast<evtchn_port_t>(port);
  const std::span<std::byte> area(static_cast<std::byte*>(mapped_),
                                  mapped_pages_ * ring::kRingPageSize);
  const std::string protocol = store_.read(frontend_ + "/protocol").value_or("");
  auto ring = GuestRing::create(protocol, area, config_.tap);
  if (!ring) {
    xenevtchn_unbind(handles_.events, port_);
    return fail(ring.status() == Status::kNotSupported ? "unknown protocol " + protocol
                                                       : "the ring's indices can't be");
  }
  ring_ = *std::move(ring);
  executor_ = std::make_unique<Executor>(handles_, config_.profile, vbd_.domain, *disk_,
                                         vbd_.read_only, statistics_);
  ++statistics_.connections;
  if (!publish_properties()) return fail("writing the disk's properties");
  become(XenbusStateConnected);
  pump();
}

bool VbdBackend::read_ring_refs(std::vector<uint32_t>& refs, std::string& why) const {
  const uint32_t limit = 1u << config_.profile.max_ring_page_order;
  const auto order = store_.number(frontend_ + "/ring-page-order");
  const auto pages = store_.number(frontend_ + "/num-ring-pages");
  const uint32_t count = order && *order < 31 ? 1u << *order : order ? 0 : pages.value_or(1);
  if (count == 0 || count > limit || !std::has_single_bit(count)) {  // BLKIF-NEG-003
    why = "a ring of so many pages was not offered";
    return false;
  }
  const auto single = store_.number(frontend_ + "/ring-ref");
  if (count == 1 && single) {  // BLKIF-NEG-004
    refs.push_back(*single);
    return true;
  }
  for (uint32_t i = 0; i < count; ++i) {
    const std::string key = frontend_ + "/ring-ref" + std::to_string(i);
    const auto ref = store_.number(key);
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
  mapped_ = xengnttab_map_domain_grant_refs(handles_.grants, count, vbd_.domain, copy.data(),
                                            PROT_READ | PROT_WRITE);
  if (mapped_ == nullptr) {
    why = "mapping the ring";
    return false;
  }
  mapped_pages_ = count;
  return true;
}

void VbdBackend::disconnect() {
  if (ring_ != nullptr) xenevtchn_unbind(handles_.events, port_);
  ring_.reset();
  executor_.reset();
  if (mapped_ != nullptr) xengnttab_unmap(handles_.grants, mapped_, mapped_pages_);
  mapped_ = nullptr;
}

void VbdBackend::fail(const std::string& why) {
  disconnect();
  // As Linux' xenbus_dev_fatal() does: the reason below the home directory's error/.
  const size_t backend = path_.rfind("/backend/");
  if (backend != std::string::npos) {
    store_.write(path_.substr(0, backend) + "/error" + path_.substr(backend) + "/error", why);
  }
  become(XenbusStateClosing);
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
  store_.transact([&](xs_transaction_t in) {
    return store_.write(path_ + "/sectors", std::to_string(size / kSectorBytes), in) &&
           store_.write(path_ + "/state", std::to_string(static_cast<int>(state_)), in);
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
  if (ring_->publish()) xenevtchn_notify(handles_.events, port_);
}

}  // namespace ringside::backends
