#include "sim/machine/grant_copy.hpp"

#include <cstring>

namespace ringside::sim {
namespace {

/// Holds one side of a copy for as long as it takes.
class HeldSide {
 public:
  HeldSide(Machine& machine, Domain& user, const CopySide& side, bool read_only)
      : ref_(side.ref), read_only_(read_only), offset_(side.offset) {
    if (side.local != nullptr) {
      bytes_ = side.local;
      offset_ = 0;
      return;
    }
    granter_ = side.domain == DOMID_SELF ? &user : machine.find(side.domain);
    if (granter_ == nullptr) {
      held_.status = GNTST_bad_domain;
      return;
    }
    held_ = granter_->grants().acquire(user.id(), ref_, read_only_, GrantUse::kCopy);
    if (held_.status != GNTST_okay) {
      granter_ = nullptr;
      return;
    }
    bytes_ = machine.frames().address(held_.frame) + side.offset;
  }
  ~HeldSide() {
    if (granter_ != nullptr) granter_->grants().release(ref_, read_only_);
  }
  HeldSide(const HeldSide&) = delete;
  HeldSide& operator=(const HeldSide&) = delete;

  int16_t status() const { return bytes_ == nullptr ? held_.status : GNTST_okay; }
  std::byte* bytes() const { return bytes_; }
  bool in_page(uint32_t length) const {
    return offset_ <= kPageSize && length <= kPageSize - offset_;
  }
  /// Within the part of the page that is granted. Precondition: in_page().
  bool in_grant(uint32_t length) const {
    return granter_ == nullptr ||
           (offset_ >= held_.start && offset_ + length <= held_.start + held_.length);
  }

 private:
  GrantRef ref_;
  bool read_only_;
  uint32_t offset_;
  Domain* granter_ = nullptr;
  GrantMap held_;
  std::byte* bytes_ = nullptr;
};

int16_t copy(Machine& machine, Domain& user, const CopySide& source, const CopySide& destination,
             uint32_t length) {
  const HeldSide from(machine, user, source, true);
  if (from.status() != GNTST_okay) return from.status();
  const HeldSide to(machine, user, destination, false);
  if (to.status() != GNTST_okay) return to.status();
  if (!from.in_page(length) || !to.in_page(length)) return GNTST_bad_copy_arg;
  if (!from.in_grant(length) || !to.in_grant(length)) return GNTST_general_error;
  std::memmove(to.bytes(), from.bytes(), length);
  return GNTST_okay;
}

}  // namespace

int16_t grant_copy(Machine& machine, Domain& user, const CopySide& source,
                   const CopySide& destination, uint32_t length) {
  const int16_t status = copy(machine, user, source, destination, length);
  machine.trace().record(Trace::Kind::kGrant, "copy",
                         {user.id(), source.domain, source.ref, destination.domain, destination.ref,
                          length, static_cast<uint64_t>(status)});
  return status;
}

}  // namespace ringside::sim
