// libxengnttab over the simulated machine. In a deterministic world each map is a mapping of
// its own of the machine's memory, and unmap removes it: an access afterwards faults. In a
// threaded world, or where the machine is set to it, consecutive frames are reached directly.
// Source: xengnttab.h, gntdev.h.

// The public headers as the machine uses them, before libxen asks for an older form of them.
#include "protocols/platform/xen.hpp"

extern "C" {
#include <xengnttab.h>
}

#include <sys/mman.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <vector>

#include "sim/libxen/handles.hpp"
#include "sim/machine/grant_copy.hpp"

using ringside::sim::CopySide;
using ringside::sim::Domain;
using ringside::sim::DomainId;
using ringside::sim::GrantMap;
using ringside::sim::kPageSize;
using ringside::sim::Machine;

namespace {

constexpr uint32_t kNoOffset = ~uint32_t{0};
constexpr evtchn_port_t kNoPort = ~evtchn_port_t{0};

/// What one map call set up.
struct Region {
  std::vector<uint32_t> handles;
  bool own_mapping = false;
  uint32_t notify_offset = kNoOffset;
  evtchn_port_t notify_port = kNoPort;
};

int fail(int number) {
  errno = number;
  return -1;
}

}  // namespace

struct xengntdev_handle {
  explicit xengntdev_handle(Domain& owner) : domain(owner) {}

  void* map(uint32_t count, const uint32_t* domids, size_t domid_stride, const uint32_t* refs,
            int prot, Region region);
  void* place(const std::vector<GrantMap>& maps, int prot, bool& own_mapping) const;
  void drop(const Region& region) {
    for (const uint32_t handle : region.handles) domain.grants().unmap(handle);
  }
  int unmap(void* address, uint32_t count);

  Domain& domain;
  std::mutex mutex;
  std::multimap<void*, Region> regions;
};

void* xengntdev_handle::map(uint32_t count, const uint32_t* domids, size_t domid_stride,
                            const uint32_t* refs, int prot, Region region) {
  if (count == 0) {
    errno = EINVAL;
    return nullptr;
  }
  std::vector<GrantMap> maps;
  for (uint32_t i = 0; i < count; ++i) {
    const auto granter = static_cast<DomainId>(domids[i * domid_stride]);
    maps.push_back(domain.grants().map(granter, refs[i], (prot & PROT_WRITE) == 0));
    if (maps.back().status != GNTST_okay) {
      drop(region);
      errno = EINVAL;
      return nullptr;
    }
    region.handles.push_back(maps.back().handle);
  }
  void* address = place(maps, prot, region.own_mapping);
  if (address == nullptr) {
    drop(region);
    errno = ENOMEM;
    return nullptr;
  }
  const std::lock_guard lock(mutex);
  regions.emplace(address, std::move(region));
  return address;
}

void* xengntdev_handle::place(const std::vector<GrantMap>& maps, int prot,
                              bool& own_mapping) const {
  Machine& machine = domain.machine();
  bool consecutive = true;
  for (size_t i = 1; i < maps.size(); ++i) {
    consecutive &= maps[i].frame == maps[i - 1].frame + 1;
  }
  const bool direct = machine.config().direct_maps || !machine.world().is_deterministic();
  if (consecutive && direct) return machine.frames().address(maps[0].frame);
  own_mapping = true;
  const auto position = [&](size_t i) { return static_cast<off_t>(maps[i].frame * kPageSize); };
  if (consecutive) {
    void* pages = mmap(nullptr, maps.size() * kPageSize, prot, MAP_SHARED, machine.frames().file(),
                       position(0));
    return pages == MAP_FAILED ? nullptr : pages;
  }
  void* area =
      mmap(nullptr, maps.size() * kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return nullptr;
  for (size_t i = 0; i < maps.size(); ++i) {
    const void* page = mmap(static_cast<std::byte*>(area) + i * kPageSize, kPageSize, prot,
                            MAP_SHARED | MAP_FIXED, machine.frames().file(), position(i));
    if (page == MAP_FAILED) {
      munmap(area, maps.size() * kPageSize);
      return nullptr;
    }
  }
  return area;
}

int xengntdev_handle::unmap(void* address, uint32_t count) {
  Region region;
  {
    const std::lock_guard lock(mutex);
    const auto found = regions.find(address);
    if (found == regions.end() || found->second.handles.size() != count) return fail(EINVAL);
    region = std::move(found->second);
    regions.erase(found);
  }
  if (region.notify_offset != kNoOffset) {
    static_cast<std::byte*>(address)[region.notify_offset] = std::byte{0};
  }
  if (region.notify_port != kNoPort) domain.events().send(region.notify_port);
  if (region.own_mapping) munmap(address, count * kPageSize);
  drop(region);
  return 0;
}

xengnttab_handle* xengnttab_open(xentoollog_logger*, unsigned) {
  Domain* domain = ringside::sim::domain_of_caller();
  if (domain == nullptr) {
    errno = ENODEV;
    return nullptr;
  }
  return new xengntdev_handle(*domain);
}

int xengnttab_close(xengnttab_handle* xgt) {
  if (xgt == nullptr) return 0;
  // As when the device is closed: what is still mapped goes.
  while (!xgt->regions.empty()) {
    const auto& [address, region] = *xgt->regions.begin();
    xgt->unmap(address, static_cast<uint32_t>(region.handles.size()));
  }
  delete xgt;
  return 0;
}

int xengnttab_set_max_grants(xengnttab_handle*, uint32_t) { return 0; }

void* xengnttab_map_grant_ref(xengnttab_handle* xgt, uint32_t domid, uint32_t ref, int prot) {
  return xgt->map(1, &domid, 0, &ref, prot, {});
}

void* xengnttab_map_grant_refs(xengnttab_handle* xgt, uint32_t count, uint32_t* domids,
                               uint32_t* refs, int prot) {
  return xgt->map(count, domids, 1, refs, prot, {});
}

void* xengnttab_map_domain_grant_refs(xengnttab_handle* xgt, uint32_t count, uint32_t domid,
                                      uint32_t* refs, int prot) {
  return xgt->map(count, &domid, 0, refs, prot, {});
}

void* xengnttab_map_grant_ref_notify(xengnttab_handle* xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port) {
  if (notify_offset != kNoOffset && (notify_offset >= kPageSize || (prot & PROT_WRITE) == 0)) {
    errno = EINVAL;
    return nullptr;
  }
  Region region;
  region.notify_offset = notify_offset;
  region.notify_port = notify_port;
  return xgt->map(1, &domid, 0, &ref, prot, std::move(region));
}

int xengnttab_unmap(xengnttab_handle* xgt, void* start_address, uint32_t count) {
  return xgt->unmap(start_address, count);
}

int xengnttab_grant_copy(xengnttab_handle* xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t* segs) {
  const auto side = [](const auto& ptr, bool granted) {
    CopySide result;
    if (granted) {
      result.domain = ptr.foreign.domid;
      result.ref = ptr.foreign.ref;
      result.offset = ptr.foreign.offset;
    } else {
      result.local = static_cast<std::byte*>(ptr.virt);
    }
    return result;
  };
  for (uint32_t i = 0; i < count; ++i) {
    xengnttab_grant_copy_segment_t& segment = segs[i];
    const bool from_grant = (segment.flags & GNTCOPY_source_gref) != 0;
    const bool to_grant = (segment.flags & GNTCOPY_dest_gref) != 0;
    // The device refuses these before it asks Xen.
    if (!from_grant && !to_grant) return fail(EINVAL);
    const auto crosses = [&](const auto& ptr) {
      return ptr.foreign.offset + segment.len > int{kPageSize};
    };
    if ((from_grant && crosses(segment.source)) || (to_grant && crosses(segment.dest))) {
      return fail(EINVAL);
    }
    segment.status = ringside::sim::grant_copy(xgt->domain.machine(), xgt->domain,
                                               side(segment.source, from_grant),
                                               side(segment.dest, to_grant), segment.len);
  }
  return 0;
}
