#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenbus {

/// What a live grant lets its peer do.
struct GrantedFrame {
  platform::Frame frame = 0;
  Access access = Access::kReadWrite;
};

/// The entries of this domain's grant table as Xen sees them, of version 1 or 2: shared frames,
/// for version 2 frames of status words too, and the handshakes that begin and end a grant.
///
/// Which references are free is its user's business. permit(), end() and query() of different
/// references may overlap; grow() and resume() overlap with nothing that needs the new frame.
/// Source: grant_table.h. [GRANT-001..009]
class GrantEntries {
 public:
  /// The most frames ever asked for: 64 Ki references in version 1, 32 Ki in version 2.
  static constexpr uint32_t kMaxFrames = 128;

  GrantEntries(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  GrantEntries(const GrantEntries&) = delete;
  GrantEntries& operator=(const GrantEntries&) = delete;
  ~GrantEntries();

  /// Settles the version and finds place for the table as far as Xen lets it grow. `wanted` is
  /// 1, 2, or 0 for the lowest in which every frame of this domain can be named.
  Status start(uint32_t wanted);
  uint32_t version() const { return version_; }
  uint32_t entries_per_frame() const { return version_ == 2 ? kPerFrameV2 : kPerFrameV1; }
  uint32_t capacity() const { return max_frames_ * entries_per_frame(); }
  uint32_t entries() const { return frame_count_ * entries_per_frame(); }

  /// One frame of entries more. kNoResources at Xen's limit.
  Status grow();
  /// Puts every frame where it was in a table that Xen has made anew. What was granted then is
  /// no more: end() of it answers kOk. A smaller table has no place for some references.
  /// kNotSupported when Xen offers the version no more. [GRANT-009]
  Status resume();

  /// Precondition: ref < entries(), and the entry is free. kNotSupported when the version can't
  /// name the frame, kNoResources when this host has no such entry. [GRANT-001, GRANT-004]
  Status permit(GrantRef ref, DomainId peer, platform::Frame frame, Access access);
  /// Looks once. kBusy while the peer uses it, kAgain when the peer was faster between our look
  /// and our exchange, kInvalidArgument when nothing is granted by it. [GRANT-002]
  Status end(GrantRef ref);
  /// kNotFound when `ref` grants nothing, or grants nothing any more.
  Result<GrantedFrame> query(GrantRef ref) const;
  /// No one has used this entry since the table was made: neither we nor an earlier driver.
  bool untouched(GrantRef ref) const;

 private:
  static constexpr uint32_t kPerFrameV1 = platform::kPageSize / sizeof(grant_entry_v1_t);
  static constexpr uint32_t kPerFrameV2 = platform::kPageSize / sizeof(grant_entry_v2_t);
  static constexpr uint32_t kStatusPerFrame = platform::kPageSize / sizeof(grant_status_t);

  /// What we did with an entry: Xen's table alone does not tell after it was made anew, nor
  /// after a version 2 grant was ended whose peer has not let go.
  enum class State : uint8_t { kFree, kLive, kEnding };
  struct SharedFrame {
    std::byte* address = nullptr;
    platform::Array<std::atomic<State>> states;
  };

  uint32_t frames_of_status(uint32_t frames) const;
  platform::Frame status_place(uint32_t index) const { return first_frame_ + max_frames_ + index; }
  uint32_t places() const { return max_frames_ + frames_of_status(max_frames_); }
  Status settle_version(uint32_t wanted);
  Result<std::byte*> place(uint64_t index, platform::Frame where);
  void displace(std::byte* address, platform::Frame where);
  Status place_status(uint32_t index);

  /// False on a host whose table has no such entry, where an earlier one had.
  bool in_place(GrantRef ref) const;
  grant_entry_v1_t& v1(GrantRef ref) const;
  grant_entry_v2_t& v2(GrantRef ref) const;
  std::atomic_ref<uint16_t> flags(GrantRef ref) const;
  std::atomic_ref<uint16_t> status_word(GrantRef ref) const;
  std::atomic<State>& state(GrantRef ref) const;
  Status end_v1(GrantRef ref);
  Status end_v2(GrantRef ref);

  platform::Platform& platform_;
  Hypercalls& xen_;
  uint32_t version_ = 1;
  platform::Frame first_frame_ = 0;
  uint32_t max_frames_ = 0;
  uint32_t frame_count_ = 0;
  uint32_t status_count_ = 0;
  platform::Array<SharedFrame> frames_;
  platform::Array<std::byte*> status_;
};

}  // namespace ringside::xenbus
