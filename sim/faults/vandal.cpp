#include "sim/faults/vandal.hpp"

#include <atomic>
#include <utility>

namespace ringside::sim {
namespace {

constexpr uint32_t kIndexBytes = 64;  // struct __ring: indices first, then the slots

/// One page of another domain, mapped for writing as long as this lives.
class Mapped {
 public:
  Mapped(Machine& machine, DomainId granter, GrantRef ref)
      : machine_(machine), map_(machine.dom0().grants().map(granter, ref, /*read_only=*/false)) {}
  ~Mapped() {
    if (*this) machine_.dom0().grants().unmap(map_.handle);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  explicit operator bool() const { return map_.status == GNTST_okay; }
  std::atomic_ref<uint32_t> word(uint32_t offset) const {
    return std::atomic_ref(
        *reinterpret_cast<uint32_t*>(machine_.frames().address(map_.frame) + offset));
  }

 private:
  Machine& machine_;
  GrantMap map_;
};

uint32_t word_offset(Random& random) {
  const uint64_t bytes = random.chance(0.7) ? kIndexBytes : kPageSize;
  return static_cast<uint32_t>(random.below(bytes / sizeof(uint32_t)) * sizeof(uint32_t));
}

/// Often a small change of what is there, which is harder to see through than noise.
uint32_t worse_value(Random& random, uint32_t value) {
  if (random.chance(0.5)) return value + static_cast<uint32_t>(random.below(16)) - 8;
  return static_cast<uint32_t>(random.next());
}

}  // namespace

Vandal::Vandal(Machine& machine, DomainId granter)
    : machine_(&machine), granter_(granter), random_(machine.world().random().fork()) {}

bool Vandal::scribble(GrantRef ref) {
  const Mapped page(*machine_, granter_, ref);
  if (!page) return false;
  const auto word = page.word(word_offset(random_));
  word.store(worse_value(random_, word.load()));
  return true;
}

bool Vandal::tear(GrantRef ref) {
  if (std::exchange(torn_, false)) {
    const Mapped page(*machine_, granter_, torn_ref_);
    if (page) page.word(torn_offset_).store(torn_value_);
    return static_cast<bool>(page);
  }
  const Mapped page(*machine_, granter_, ref);
  if (!page) return false;
  torn_ref_ = ref;
  torn_offset_ = word_offset(random_);
  const auto word = page.word(torn_offset_);
  torn_value_ = word.load();
  word.store(worse_value(random_, torn_value_));
  torn_ = true;
  return true;
}

}  // namespace ringside::sim
