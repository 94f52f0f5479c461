// libxengnttab.so.1 over a simulated host in another process: the maps. What is mapped is memory
// shared with the guest; unmap takes it away from the program. Source: xengnttab.h, gntdev.h.
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "sim/dropin/libs/gnttab_handle.hpp"

using namespace ringside::sim::dropin;

namespace {

constexpr size_t kPage = 4096;
constexpr uint32_t kNone = ~0u;

using Region = xengntdev_handle::Region;

void unmap_handles(xengntdev_handle& device, const std::vector<uint32_t>& handles) {
  for (size_t done = 0; done < handles.size(); done += kBatch) {
    Request request(Operation::kUnmap);
    request.count = static_cast<uint32_t>(std::min<size_t>(kBatch, handles.size() - done));
    std::copy_n(handles.begin() + static_cast<std::ptrdiff_t>(done), request.count,
                request.handles);
    device.channel.call(request);
  }
}

/// Asks the host for maps of all of `grants`; the frames behind them, or none with errno.
std::vector<uint32_t> map_frames(xengntdev_handle& device, const std::vector<Grant>& grants,
                                 std::vector<uint32_t>& handles) {
  std::vector<uint32_t> frames;
  while (frames.size() < grants.size()) {
    Request request(Operation::kMap);
    request.count = static_cast<uint32_t>(std::min<size_t>(kBatch, grants.size() - frames.size()));
    std::copy_n(grants.begin() + static_cast<std::ptrdiff_t>(frames.size()), request.count,
                request.grants);
    Reply reply;
    if (device.channel.call(request, reply) < 0) return {};
    for (uint32_t i = 0; i < request.count; ++i) {
      handles.push_back(reply.pages[i].handle);
      frames.push_back(reply.pages[i].frame);
    }
  }
  return frames;
}

void* place(int file, const std::vector<uint32_t>& frames, int prot) {
  const size_t bytes = frames.size() * kPage;
  void* area = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return nullptr;
  for (size_t i = 0; i < frames.size(); ++i) {
    const void* page = mmap(static_cast<std::byte*>(area) + i * kPage, kPage, prot,
                            MAP_SHARED | MAP_FIXED, file, static_cast<off_t>(frames[i]) * kPage);
    if (page != MAP_FAILED) continue;
    munmap(area, bytes);
    return nullptr;
  }
  return area;
}

void* map(xengntdev_handle& device, const std::vector<Grant>& grants, int prot, Region region) {
  if (grants.empty()) {
    errno = EINVAL;
    return nullptr;
  }
  const auto frames = map_frames(device, grants, region.handles);
  void* area = frames.empty() ? nullptr : place(device.channel.file(), frames, prot);
  if (area == nullptr) {
    const int why = errno;
    unmap_handles(device, region.handles);
    errno = why;
    return nullptr;
  }
  const std::lock_guard lock(device.mutex);
  device.regions.emplace(area, std::move(region));
  return area;
}

uint32_t writable(int prot) { return (prot & PROT_WRITE) != 0; }

}  // namespace

xengntdev_handle::~xengntdev_handle() {
  if (all != nullptr) munmap(all, all_bytes);
}

std::byte* xengntdev_handle::memory() {
  if (all != nullptr) return all;
  struct stat file {};
  if (fstat(channel.file(), &file) != 0) return nullptr;
  all_bytes = static_cast<size_t>(file.st_size);
  void* area = mmap(nullptr, all_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                    channel.file(), 0);
  if (area == MAP_FAILED) return nullptr;
  return all = static_cast<std::byte*>(area);
}

RINGSIDE_EXPORT xengnttab_handle* xengnttab_open(xentoollog_logger*, unsigned) {
  auto* device = new (std::nothrow) xengntdev_handle;
  if (device == nullptr || device->channel.open(Operation::kOpenGrants)) return device;
  const int why = errno;
  delete device;
  errno = why;
  return nullptr;
}

RINGSIDE_EXPORT int xengnttab_close(xengnttab_handle* device) {
  if (device == nullptr) return 0;
  while (!device->regions.empty()) {
    const auto& [area, region] = *device->regions.begin();
    xengnttab_unmap(device, area, static_cast<uint32_t>(region.handles.size()));
  }
  delete device;
  return 0;
}

RINGSIDE_EXPORT int xengnttab_fd(xengnttab_handle* device) { return device->channel.socket(); }

RINGSIDE_EXPORT int xengnttab_set_max_grants(xengnttab_handle*, uint32_t) { return 0; }

RINGSIDE_EXPORT void* xengnttab_map_grant_ref(xengnttab_handle* device, uint32_t domid,
                                              uint32_t ref, int prot) {
  return map(*device, {{domid, ref, writable(prot)}}, prot, {});
}

RINGSIDE_EXPORT void* xengnttab_map_grant_refs(xengnttab_handle* device, uint32_t count,
                                               uint32_t* domids, uint32_t* refs, int prot) {
  std::vector<Grant> grants;
  for (uint32_t i = 0; i < count; ++i) grants.push_back({domids[i], refs[i], writable(prot)});
  return map(*device, grants, prot, {});
}

RINGSIDE_EXPORT void* xengnttab_map_domain_grant_refs(xengnttab_handle* device, uint32_t count,
                                                      uint32_t domid, uint32_t* refs, int prot) {
  std::vector<Grant> grants;
  for (uint32_t i = 0; i < count; ++i) grants.push_back({domid, refs[i], writable(prot)});
  return map(*device, grants, prot, {});
}

/// The byte is cleared at unmap and at close only: not when the program dies, as the device would.
RINGSIDE_EXPORT void* xengnttab_map_grant_ref_notify(xengnttab_handle* device, uint32_t domid,
                                                     uint32_t ref, int prot, uint32_t offset,
                                                     evtchn_port_t port) {
  // The port belongs to a handle of libxenevtchn, which is another connection.
  if (port != kNone) {
    unsupported("xengnttab_map_grant_ref_notify with a port");
    return nullptr;
  }
  if (offset != kNone && (offset >= kPage || writable(prot) == 0)) {
    errno = EINVAL;
    return nullptr;
  }
  Region region;
  region.notify_offset = offset;
  return map(*device, {{domid, ref, writable(prot)}}, prot, std::move(region));
}

RINGSIDE_EXPORT int xengnttab_unmap(xengnttab_handle* device, void* area, uint32_t count) {
  Region region;
  {
    const std::lock_guard lock(device->mutex);
    const auto found = device->regions.find(area);
    if (found == device->regions.end() || found->second.handles.size() != count) {
      errno = EINVAL;
      return -1;
    }
    region = std::move(found->second);
    device->regions.erase(found);
  }
  if (region.notify_offset != kNone) {
    static_cast<std::byte*>(area)[region.notify_offset] = std::byte{0};
  }
  munmap(area, count * kPage);
  unmap_handles(*device, region.handles);
  return 0;
}
