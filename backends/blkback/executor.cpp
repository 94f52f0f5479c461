#include "backends/blkback/executor.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "protocols/ring/layout.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kPage = ring::kRingPageSize;
constexpr uint32_t kSectorsPerPage = kPage / kSectorBytes;
constexpr uint32_t kSegmentsPerPage = kPage / sizeof(blkif_request_segment);

size_t offset_of(const blkif_request_segment& segment) {
  return size_t{segment.first_sect} * kSectorBytes;
}

size_t length_of(const blkif_request_segment& segment) {
  return (size_t{segment.last_sect} - segment.first_sect + 1) * kSectorBytes;
}

int16_t answer(DiskStatus status) {
  switch (status) {
    case DiskStatus::kOk: return BLKIF_RSP_OKAY;
    case DiskStatus::kNotSupported: return BLKIF_RSP_EOPNOTSUPP;
    case DiskStatus::kError: break;
  }
  return BLKIF_RSP_ERROR;
}

void move_bytes(std::byte* guest, std::byte* data, size_t length, bool to_guest) {
  if (to_guest) {
    std::memcpy(guest, data, length);
  } else {
    std::memcpy(data, guest, length);
  }
}

}  // namespace

Executor::Executor(Handles& handles, const Service& service)
    : handles_(handles),
      profile_(service.profile),
      domain_(service.domain),
      disk_(service.disk),
      read_only_(service.read_only),
      statistics_(service.statistics) {
  if (!service.persistent) return;
  kept_ = std::make_unique<PersistentMaps>(handles, domain_, profile_.max_persistent, statistics_);
}

int16_t Executor::execute(const GuestRequest& request) {
  const int16_t status = carry_out(request);
  if (status == BLKIF_RSP_ERROR) ++statistics_.errors;
  if (status == BLKIF_RSP_EOPNOTSUPP) ++statistics_.unsupported;
  return status;
}

int16_t Executor::carry_out(const GuestRequest& request) {
  switch (request.operation) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE: return transfer(request);
    case BLKIF_OP_WRITE_BARRIER:
      if (request.indirect || !profile_.barrier) return BLKIF_RSP_EOPNOTSUPP;
      if (request.segment_count == 0) return flush();  // BLKIF-IO-011
      if (const int16_t status = flush(); status != BLKIF_RSP_OKAY) return status;
      if (const int16_t status = transfer(request); status != BLKIF_RSP_OKAY) return status;
      return answer(disk_.flush());  // BLKIF-IO-015
    case BLKIF_OP_FLUSH_DISKCACHE:
      if (request.indirect || !profile_.flush_cache) return BLKIF_RSP_EOPNOTSUPP;
      return flush();
    case BLKIF_OP_DISCARD:
      if (request.indirect || !profile_.discard) return BLKIF_RSP_EOPNOTSUPP;
      return discard(request);
    default: return BLKIF_RSP_EOPNOTSUPP;  // BLKIF-IO-014
  }
}

int16_t Executor::flush() {
  ++statistics_.flushes;
  return answer(disk_.flush());
}

int16_t Executor::discard(const GuestRequest& request) {
  if (read_only_ || !in_range(request.sector, request.sectors)) return BLKIF_RSP_ERROR;
  ++statistics_.discards;
  return answer(disk_.discard(request.sector * kSectorBytes, request.sectors * kSectorBytes));
}

bool Executor::in_range(uint64_t sector, uint64_t sectors) const {
  const uint64_t total = disk_.size() / kSectorBytes;
  return sectors <= total && sector <= total - sectors;
}

int16_t Executor::transfer(const GuestRequest& request) {
  const bool read = request.operation == BLKIF_OP_READ;
  if (!read && read_only_) return BLKIF_RSP_ERROR;  // BLKIF-NEG-026
  if (!collect_segments(request)) return BLKIF_RSP_ERROR;
  size_t bytes = 0;
  for (const blkif_request_segment& segment : segments_) bytes += length_of(segment);
  const uint64_t sectors = bytes / kSectorBytes;
  const uint32_t unit = profile_.sector_size / kSectorBytes;
  if (!in_range(request.sector, sectors) || request.sector % unit != 0 || sectors % unit != 0) {
    return BLKIF_RSP_ERROR;
  }
  data_.resize(bytes);
  const uint64_t at = request.sector * kSectorBytes;
  if (request.indirect) ++statistics_.indirect;
  if (!read) {
    if (!move_data(Direction::kFromGuest)) return BLKIF_RSP_ERROR;
    ++statistics_.writes;
    statistics_.sectors_written += sectors;
    return answer(disk_.write(at, data_));
  }
  if (const DiskStatus status = disk_.read(at, data_); status != DiskStatus::kOk) {
    return BLKIF_RSP_ERROR;
  }
  ++statistics_.reads;
  statistics_.sectors_read += sectors;
  return move_data(Direction::kToGuest) ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR;
}

bool Executor::collect_segments(const GuestRequest& request) {
  const uint32_t count = request.segment_count;
  segments_.resize(count);
  if (!request.indirect) {
    if (count < 1 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST) return false;  // BLKIF-IO-011
    std::copy_n(request.segments.begin(), count, segments_.begin());
  } else {
    // BLKIF-IO-020: no more than was offered, in no more pages than a request can name.
    if (count < 1 || count > profile_.max_indirect_segments) return false;
    for (uint32_t done = 0, page = 0; done < count; ++page) {
      if (page >= request.indirect_refs.size()) return false;
      const uint32_t here = std::min(count - done, kSegmentsPerPage);
      const std::span<blkif_request_segment> part(segments_.data() + done, here);
      if (!copy_from_guest(request.indirect_refs[page], std::as_writable_bytes(part))) return false;
      done += here;
    }
  }
  return std::all_of(segments_.begin(), segments_.end(), [](const blkif_request_segment& segment) {
    return segment.first_sect <= segment.last_sect && segment.last_sect < kSectorsPerPage;
  });  // BLKIF-IO-012
}

bool Executor::copy_from_guest(grant_ref_t ref, std::span<std::byte> into) {
  if (kept_ != nullptr) {
    std::vector<std::byte*> pages;
    const bool mapped = kept_->map({&ref, 1}, pages);
    if (mapped) std::memcpy(into.data(), pages[0], into.size());
    kept_->finish();
    return mapped;
  }
  if (profile_.map_data) {
    void* page = xengnttab_map_grant_ref(handles_.grants, domain_, ref, PROT_READ);
    if (page == nullptr) return false;
    std::memcpy(into.data(), page, into.size());
    return xengnttab_unmap(handles_.grants, page, 1) == 0;
  }
  xengnttab_grant_copy_segment_t copy{};
  copy.source.foreign = {.ref = ref, .offset = 0, .domid = domain_};
  copy.dest.virt = into.data();
  copy.len = static_cast<uint16_t>(into.size());
  copy.flags = GNTCOPY_source_gref;
  return xengnttab_grant_copy(handles_.grants, 1, &copy) == 0 && copy.status == GNTST_okay;
}

bool Executor::move_data(Direction direction) {
  if (kept_ != nullptr) return use_kept(direction);
  return profile_.map_data ? map_data(direction) : copy_data(direction);
}

bool Executor::map_data(Direction direction) {
  std::vector<uint32_t> refs;
  for (const blkif_request_segment& segment : segments_) refs.push_back(segment.gref);
  const auto count = static_cast<uint32_t>(refs.size());
  const int protection = direction == Direction::kToGuest ? PROT_READ | PROT_WRITE : PROT_READ;
  // BLKIF-IO-034: one bad reference and nothing of this request is done.
  void* mapped =
      xengnttab_map_domain_grant_refs(handles_.grants, count, domain_, refs.data(), protection);
  if (mapped == nullptr) return false;
  std::byte* page = static_cast<std::byte*>(mapped);
  std::byte* data = data_.data();
  for (const blkif_request_segment& segment : segments_) {
    const size_t length = length_of(segment);
    move_bytes(page + offset_of(segment), data, length, direction == Direction::kToGuest);
    data += length;
    page += kPage;
  }
  return xengnttab_unmap(handles_.grants, mapped, count) == 0;
}

bool Executor::use_kept(Direction direction) {
  std::vector<grant_ref_t> refs;
  for (const blkif_request_segment& segment : segments_) refs.push_back(segment.gref);
  std::vector<std::byte*> pages;
  const bool mapped = kept_->map(refs, pages);
  std::byte* data = data_.data();
  for (size_t i = 0; mapped && i < pages.size(); ++i) {
    const size_t length = length_of(segments_[i]);
    move_bytes(pages[i] + offset_of(segments_[i]), data, length, direction == Direction::kToGuest);
    data += length;
  }
  kept_->finish();
  return mapped;
}

bool Executor::copy_data(Direction direction) {
  std::vector<xengnttab_grant_copy_segment_t> copies;
  std::byte* data = data_.data();
  for (const blkif_request_segment& segment : segments_) {
    xengnttab_grant_copy_segment_t copy{};
    const bool to_guest = direction == Direction::kToGuest;
    auto& foreign = to_guest ? copy.dest : copy.source;
    auto& local = to_guest ? copy.source : copy.dest;
    foreign.foreign = {
        .ref = segment.gref, .offset = static_cast<uint16_t>(offset_of(segment)), .domid = domain_};
    local.virt = data;
    copy.len = static_cast<uint16_t>(length_of(segment));
    copy.flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    copies.push_back(copy);
    data += copy.len;
  }
  if (xengnttab_grant_copy(handles_.grants, static_cast<uint32_t>(copies.size()), copies.data()) !=
      0) {
    return false;
  }
  return std::all_of(copies.begin(), copies.end(), [](const xengnttab_grant_copy_segment_t& copy) {
    return copy.status == GNTST_okay;
  });
}

}  // namespace ringside::backends
