#include "sim/machine/grant_copy.hpp"

#include <cstring>

namespace ringside::sim {
namespace {

/// Holds one side of a copy for as long as it takes.
class HeldSide {
 public:
  HeldSide(Machine& machine, Domain& user, const CopySide& side, uint32_t length, bool read_only)
      : ref_(side.ref), read_only_(read_only) {
    if (side.local != nullptr) {
      bytes_ = side.local;
      return;
    }
    if (side.offset > kPageSize || length > kPageSize - side.offset) {
      status_ = GNTST_bad_copy_arg;
      return;
    }
    granter_ = side.domain == DOMID_SELF ? &user : machine.find(side.domain);
    if (granter_ == nullptr) {
      status_ = GNTST_bad_domain;
      return;
    }
    const GrantMap held = granter_->grants().acquire(user.id(), ref_, read_only_);
    status_ = held.status;
    if (status_ != GNTST_okay) {
      granter_ = nullptr;
      return;
    }
    bytes_ = machine.frames().address(held.frame) + side.offset;
  }
  ~HeldSide() {
    if (granter_ != nullptr) granter_->grants().release(ref_, read_only_);
  }
  HeldSide(const HeldSide&) = delete;
  HeldSide& operator=(const HeldSide&) = delete;

  int16_t status() const { return status_; }
  std::byte* bytes() const { return bytes_; }

 private:
  GrantRef ref_;
  bool read_only_;
  Domain* granter_ = nullptr;
  int16_t status_ = GNTST_okay;
  std::byte* bytes_ = nullptr;
};

int16_t copy(Machine& machine, Domain& user, const CopySide& source, const CopySide& destination,
             uint32_t length) {
  const HeldSide from(machine, user, source, length, true);
  if (from.status() != GNTST_okay) return from.status();
  const HeldSide to(machine, user, destination, length, false);
  if (to.status() != GNTST_okay) return to.status();
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
