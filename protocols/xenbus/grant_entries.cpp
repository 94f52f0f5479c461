#include "protocols/xenbus/grant_entries.hpp"

#include <algorithm>

namespace ringside::xenbus {
namespace {

constexpr platform::Frame kLastFrameV1 = 0xffffffffu;
constexpr unsigned kInUse = GTF_reading | GTF_writing;

}  // namespace

GrantEntries::~GrantEntries() {
  if (frames_.empty()) return;
  for (uint32_t i = 0; i < frame_count_; ++i) displace(frames_[i].address, first_frame_ + i);
  for (uint32_t i = 0; i < status_count_; ++i) displace(status_[i], status_place(i));
  platform_.release_frames(first_frame_, places());
}

uint32_t GrantEntries::frames_of_status(uint32_t frames) const {
  if (version_ == 1) return 0;
  return (frames * kPerFrameV2 + kStatusPerFrame - 1) / kStatusPerFrame;
}

Status GrantEntries::settle_version(uint32_t wanted) {
  if (wanted == 0) {
    const auto last = xen_.maximum_frame();
    // GRANT-004: version 1 is what every Xen and back end has seen most of.
    wanted = last && *last > kLastFrameV1 ? 2 : 1;
  }
  const Status status = xen_.set_grant_version(wanted);
  version_ = wanted;
  if (ok(status)) return Status::kOk;
  // Too old a Xen for the question, one that does not offer it, or a former driver's grants are
  // still in use: the table stays what it is. Xen 4.0 and 4.1 do not say which that is, but refuse
  // a version only to a table of the other one.
  const uint32_t other = wanted == 1 ? 2 : 1;
  const auto current = xen_.grant_version();
  version_ = current.value_or(status == Status::kNotSupported ? 1 : other);
  return version_ == 1 || version_ == 2 ? Status::kOk : Status::kNotSupported;
}

Status GrantEntries::start(uint32_t wanted) {
  const auto size = xen_.grant_table_size();
  if (!size) return size.status();
  max_frames_ = std::min(size->max_frames, kMaxFrames);
  if (max_frames_ == 0) return Status::kNoResources;
  const Status settled = settle_version(wanted);
  if (!ok(settled)) return settled;

  auto frames = platform::Array<SharedFrame>::create(platform_, max_frames_);
  if (!frames) return frames.status();
  auto status = platform::Array<std::byte*>::create(platform_, frames_of_status(max_frames_));
  if (!status) return status.status();
  const auto first = platform_.reserve_frames(places());
  if (!first) return first.status();
  first_frame_ = *first;
  status_ = *std::move(status);
  frames_ = *std::move(frames);
  return Status::kOk;
}

Result<std::byte*> GrantEntries::place(uint64_t index, platform::Frame where) {
  const Status placed = xen_.add_to_physmap(XENMAPSPACE_grant_table, index, where);
  if (!ok(placed)) return placed;
  auto address = platform_.map_frame(where);
  if (!address) (void)xen_.remove_from_physmap(where);
  return address;
}

void GrantEntries::displace(std::byte* address, platform::Frame where) {
  if (address == nullptr) return;
  platform_.unmap_frame(address);
  (void)xen_.remove_from_physmap(where);
}

Status GrantEntries::place_status(uint32_t index) {
  const auto address = place(uint64_t{XENMAPIDX_grant_table_status} | index, status_place(index));
  if (!address) return address.status();
  status_[index] = *address;
  return Status::kOk;
}

Status GrantEntries::grow() {
  if (frame_count_ == max_frames_) return Status::kNoResources;
  auto states = platform::Array<std::atomic<State>>::create(platform_, entries_per_frame());
  if (!states) return states.status();
  // Entries first: asked for a status frame, Xen would add the entries of a whole one.
  const auto address = place(frame_count_, first_frame_ + frame_count_);
  if (!address) return address.status();
  if (status_count_ < frames_of_status(frame_count_ + 1)) {
    const Status placed = place_status(status_count_);
    if (!ok(placed)) {
      displace(*address, first_frame_ + frame_count_);
      return placed;
    }
    ++status_count_;
  }
  frames_[frame_count_].address = *address;
  frames_[frame_count_].states = *std::move(states);
  ++frame_count_;
  return Status::kOk;
}

Status GrantEntries::resume() {
  // GRANT-003: what Xen made for the domain on restore is of version 1 and one frame long.
  if (const Status status = xen_.set_grant_version(version_); version_ != 1 && !ok(status)) {
    return status;
  }
  const auto size = xen_.grant_table_size();
  if (!size) return size.status();
  if (size->max_frames == 0) return Status::kNoResources;
  // GRANT-009: references that this host does not have are out of use.
  const uint32_t offered = std::min(size->max_frames, frame_count_);
  for (uint32_t i = 0; i < frame_count_; ++i) {
    if (frames_[i].address != nullptr) platform_.unmap_frame(frames_[i].address);
    frames_[i].address = nullptr;
    if (i >= offered) continue;
    const auto address = place(i, first_frame_ + i);
    if (!address) return address.status();
    frames_[i].address = *address;
  }
  for (uint32_t i = 0; i < status_count_; ++i) {
    if (status_[i] != nullptr) platform_.unmap_frame(status_[i]);
    status_[i] = nullptr;
    if (i >= frames_of_status(offered)) continue;
    if (const Status status = place_status(i); !ok(status)) return status;
  }
  return Status::kOk;
}

grant_entry_v1_t& GrantEntries::v1(GrantRef ref) const {
  std::byte* frame = frames_[ref / kPerFrameV1].address;
  return reinterpret_cast<grant_entry_v1_t*>(frame)[ref % kPerFrameV1];
}

grant_entry_v2_t& GrantEntries::v2(GrantRef ref) const {
  std::byte* frame = frames_[ref / kPerFrameV2].address;
  return reinterpret_cast<grant_entry_v2_t*>(frame)[ref % kPerFrameV2];
}

std::atomic_ref<uint16_t> GrantEntries::flags(GrantRef ref) const {
  return std::atomic_ref<uint16_t>(version_ == 2 ? v2(ref).hdr.flags : v1(ref).flags);
}

std::atomic_ref<uint16_t> GrantEntries::status_word(GrantRef ref) const {
  std::byte* frame = status_[ref / kStatusPerFrame];
  return std::atomic_ref<uint16_t>(reinterpret_cast<grant_status_t*>(frame)[ref % kStatusPerFrame]);
}

bool GrantEntries::in_place(GrantRef ref) const {
  return frames_[ref / entries_per_frame()].address != nullptr;
}

std::atomic<GrantEntries::State>& GrantEntries::state(GrantRef ref) const {
  const SharedFrame& frame = frames_[ref / entries_per_frame()];
  return const_cast<std::atomic<State>&>(frame.states[ref % entries_per_frame()]);
}

Status GrantEntries::permit(GrantRef ref, DomainId peer, platform::Frame frame, Access access) {
  if (!in_place(ref)) return Status::kNoResources;
  if (version_ == 2) {
    v2(ref).full_page.frame = frame;
    v2(ref).hdr.domid = peer;
  } else {
    // GRANT-004: a truncated frame number would grant another page.
    if (frame > kLastFrameV1) return Status::kNotSupported;
    v1(ref).frame = static_cast<uint32_t>(frame);
    v1(ref).domid = peer;
  }
  state(ref).store(State::kLive, std::memory_order_relaxed);
  // GRANT-001: whoever sees the flags sees whom and what they permit.
  std::atomic_thread_fence(std::memory_order_release);
  const unsigned readonly = access == Access::kReadOnly ? GTF_readonly : 0u;
  flags(ref).store(static_cast<uint16_t>(GTF_permit_access | readonly), std::memory_order_release);
  return Status::kOk;
}

Status GrantEntries::end(GrantRef ref) {
  if (ref >= entries() || state(ref).load(std::memory_order_relaxed) == State::kFree) {
    return Status::kInvalidArgument;
  }
  const Status status = !in_place(ref) ? Status::kOk : version_ == 2 ? end_v2(ref) : end_v1(ref);
  if (ok(status)) state(ref).store(State::kFree, std::memory_order_relaxed);
  return status;
}

Status GrantEntries::end_v1(GrantRef ref) {
  const auto word = flags(ref);
  uint16_t seen = word.load(std::memory_order_relaxed);
  // The table was made anew since: nobody has it.
  if ((seen & GTF_type_mask) != GTF_permit_access) return Status::kOk;
  if ((seen & kInUse) != 0) return Status::kBusy;
  // GRANT-002: Xen sets the two bits in the same 16-bit word, so that this exchange fails
  // when the peer maps the page between our look and our end of its access.
  if (!word.compare_exchange_strong(seen, 0, std::memory_order_seq_cst)) return Status::kAgain;
  v1(ref).domid = 0;
  v1(ref).frame = 0;
  return Status::kOk;
}

Status GrantEntries::end_v2(GrantRef ref) {
  // GRANT-005: Xen marks the status word and then looks at the flags again; we clear the flags
  // and then look at the status word. With a barrier on both sides one of us sees the other.
  flags(ref).store(GTF_invalid, std::memory_order_seq_cst);
  state(ref).store(State::kEnding, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if ((status_word(ref).load(std::memory_order_seq_cst) & kInUse) != 0) return Status::kBusy;
  v2(ref).hdr.domid = 0;
  v2(ref).full_page.frame = 0;
  return Status::kOk;
}

Result<GrantedFrame> GrantEntries::query(GrantRef ref) const {
  if (ref >= entries() || !in_place(ref) ||
      state(ref).load(std::memory_order_relaxed) != State::kLive) {
    return Status::kNotFound;
  }
  const uint16_t seen = flags(ref).load(std::memory_order_acquire);
  if ((seen & GTF_type_mask) != GTF_permit_access) return Status::kNotFound;
  return GrantedFrame{
      .frame = version_ == 2 ? platform::Frame{v2(ref).full_page.frame} : v1(ref).frame,
      .access = (seen & GTF_readonly) != 0 ? Access::kReadOnly : Access::kReadWrite};
}

bool GrantEntries::untouched(GrantRef ref) const {
  if (flags(ref).load(std::memory_order_relaxed) != GTF_invalid) return false;
  return version_ == 1 || status_word(ref).load(std::memory_order_relaxed) == 0;
}

}  // namespace ringside::xenbus
