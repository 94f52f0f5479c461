#include "backends/blkback/executor.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "protocols/ring/layout.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kPage = ring::kRingPageSize;
constexpr uint32_t kSectorsPerPage = kPage / kSectorBytes;
/// Of data in memory at a time.
constexpr size_t kMostUnderWay = size_t{4} << 20;
constexpr uint32_t kSegmentsPerPage = kPage / sizeof(blkif_request_segment);

size_t offset_of(const blkif_request_segment& segment) {
  return size_t{segment.first_sect} * kSectorBytes;
}

size_t length_of(const blkif_request_segment& segment) {
  return (size_t{segment.last_sect} - segment.first_sect + 1) * kSectorBytes;
}

int16_t to_answer(DiskStatus status) {
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

void Executor::execute(std::span<const GuestRequest> requests, std::span<int16_t> answers) {
  for (size_t i = 0; i < requests.size(); ++i) {
    const uint8_t operation = requests[i].operation;
    const bool known = !requests[i].indirect || profile_.max_indirect_segments > 0;
    if (known && (operation == BLKIF_OP_READ || operation == BLKIF_OP_WRITE)) {
      begin(requests[i], answers[i]);
      if (under_way_ >= kMostUnderWay) finish();
      continue;
    }
    finish();
    answers[i] = carry_out(requests[i]);
  }
  finish();
  for (const int16_t answer : answers) {
    if (answer == BLKIF_RSP_ERROR) ++statistics_.errors;
    if (answer == BLKIF_RSP_EOPNOTSUPP) ++statistics_.unsupported;
  }
}

int16_t Executor::carry_out(const GuestRequest& request) {
  switch (request.operation) {
    case BLKIF_OP_WRITE_BARRIER:
      if (request.indirect || !profile_.barrier) return BLKIF_RSP_EOPNOTSUPP;
      return request.segment_count == 0 ? flush() : barrier(request);  // BLKIF-IO-011
    case BLKIF_OP_FLUSH_DISKCACHE:
      if (request.indirect || !profile_.flush_cache) return BLKIF_RSP_EOPNOTSUPP;
      return flush();
    case BLKIF_OP_DISCARD:
      if (request.indirect || !profile_.discard) return BLKIF_RSP_EOPNOTSUPP;
      return discard(request);
    default: return BLKIF_RSP_EOPNOTSUPP;  // BLKIF-IO-014
  }
}

int16_t Executor::barrier(const GuestRequest& request) {
  if (const int16_t status = flush(); status != BLKIF_RSP_OKAY) return status;
  int16_t status = BLKIF_RSP_ERROR;
  begin(request, status);
  finish();
  return status == BLKIF_RSP_OKAY ? to_answer(disk_.flush()) : status;  // BLKIF-IO-015
}

int16_t Executor::flush() {
  ++statistics_.flushes;
  return to_answer(disk_.flush());
}

int16_t Executor::discard(const GuestRequest& request) {
  const uint64_t unit = profile_.sector_unit();
  if (read_only_ || request.sectors > disk_.size() / unit) return BLKIF_RSP_ERROR;
  const uint64_t length = request.sectors * unit;
  const auto at = locate(request.sector, length);
  if (!at) return BLKIF_RSP_ERROR;
  ++statistics_.discards;
  return to_answer(disk_.discard(*at, length));
}

std::optional<uint64_t> Executor::locate(uint64_t sector, uint64_t bytes) const {
  const uint64_t unit = profile_.sector_unit();
  if (bytes > disk_.size() || sector > (disk_.size() - bytes) / unit) return {};
  return sector * unit;
}

void Executor::begin(const GuestRequest& request, int16_t& answer) {
  const size_t index = transfers_.size();
  if (index == jobs_.size()) jobs_.emplace_back();
  Job& job = jobs_[index];
  DiskTransfer transfer;
  answer = BLKIF_RSP_ERROR;
  if (!prepare(request, job, transfer)) return;
  job.answer = &answer;
  transfers_.push_back(transfer);
  under_way_ += transfer.data.size();
}

void Executor::finish() {
  if (transfers_.empty()) return;
  disk_.transfer(transfers_);
  for (size_t i = 0; i < transfers_.size(); ++i) {
    const DiskTransfer& transfer = transfers_[i];
    *jobs_[i].answer = to_answer(transfer.status);
    if (transfer.write || transfer.status != DiskStatus::kOk) continue;
    ++statistics_.reads;
    statistics_.sectors_read += transfer.data.size() / kSectorBytes;
    if (!move_data(jobs_[i], Direction::kToGuest)) *jobs_[i].answer = BLKIF_RSP_ERROR;
  }
  transfers_.clear();
  under_way_ = 0;
}

bool Executor::prepare(const GuestRequest& request, Job& job, DiskTransfer& transfer) {
  transfer.write = request.operation != BLKIF_OP_READ;
  if (transfer.write && read_only_) return false;  // BLKIF-NEG-026
  if (!collect_segments(request, job)) return false;
  size_t bytes = 0;
  for (const blkif_request_segment& segment : job.segments) bytes += length_of(segment);
  const auto at = locate(request.sector, bytes);
  if (!at || *at % profile_.sector_size != 0 || bytes % profile_.sector_size != 0) return false;
  job.data = job.buffer.take(bytes);
  transfer.offset = *at;
  transfer.data = job.data;
  if (request.indirect) ++statistics_.indirect;
  if (!transfer.write) return true;
  if (!move_data(job, Direction::kFromGuest)) return false;
  ++statistics_.writes;
  statistics_.sectors_written += bytes / kSectorBytes;
  return true;
}

bool Executor::collect_segments(const GuestRequest& request, Job& job) {
  std::vector<blkif_request_segment>& segments = job.segments;
  const uint32_t count = request.segment_count;
  segments.resize(count);
  if (!request.indirect) {
    if (count < 1 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST) return false;  // BLKIF-IO-011
    std::copy_n(request.segments.begin(), count, segments.begin());
  } else {
    // BLKIF-IO-020: no more than was offered, in no more pages than a request can name.
    if (count < 1 || count > profile_.max_indirect_segments) return false;
    for (uint32_t done = 0, page = 0; done < count; ++page) {
      if (page >= request.indirect_refs.size()) return false;
      const uint32_t here = std::min(count - done, kSegmentsPerPage);
      const std::span<blkif_request_segment> part(segments.data() + done, here);
      if (!copy_from_guest(request.indirect_refs[page], std::as_writable_bytes(part))) return false;
      done += here;
    }
  }
  return std::all_of(segments.begin(), segments.end(), [](const blkif_request_segment& segment) {
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

bool Executor::move_data(Job& job, Direction direction) {
  if (kept_ != nullptr) return use_kept(job, direction);
  return profile_.map_data ? map_data(job, direction) : copy_data(job, direction);
}

bool Executor::map_data(Job& job, Direction direction) {
  std::vector<uint32_t> refs;
  for (const blkif_request_segment& segment : job.segments) refs.push_back(segment.gref);
  const auto count = static_cast<uint32_t>(refs.size());
  const int protection = direction == Direction::kToGuest ? PROT_READ | PROT_WRITE : PROT_READ;
  // BLKIF-IO-034: one bad reference and nothing of this request is done.
  void* mapped =
      xengnttab_map_domain_grant_refs(handles_.grants, count, domain_, refs.data(), protection);
  if (mapped == nullptr) return false;
  std::byte* page = static_cast<std::byte*>(mapped);
  std::byte* data = job.data.data();
  for (const blkif_request_segment& segment : job.segments) {
    const size_t length = length_of(segment);
    move_bytes(page + offset_of(segment), data, length, direction == Direction::kToGuest);
    data += length;
    page += kPage;
  }
  return xengnttab_unmap(handles_.grants, mapped, count) == 0;
}

bool Executor::use_kept(Job& job, Direction direction) {
  std::vector<grant_ref_t> refs;
  for (const blkif_request_segment& segment : job.segments) refs.push_back(segment.gref);
  std::vector<std::byte*> pages;
  const bool mapped = kept_->map(refs, pages);
  std::byte* data = job.data.data();
  for (size_t i = 0; mapped && i < pages.size(); ++i) {
    const size_t length = length_of(job.segments[i]);
    move_bytes(pages[i] + offset_of(job.segments[i]), data, length,
               direction == Direction::kToGuest);
    data += length;
  }
  kept_->finish();
  return mapped;
}

bool Executor::copy_data(Job& job, Direction direction) {
  std::vector<xengnttab_grant_copy_segment_t> copies;
  std::byte* data = job.data.data();
  for (const blkif_request_segment& segment : job.segments) {
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
