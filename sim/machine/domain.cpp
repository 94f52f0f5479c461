#include "sim/machine/domain.hpp"

#include <algorithm>
#include <stdexcept>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

constexpr uint32_t kHoles = 4096;  // frame numbers above the memory, for Xen's own frames

uint64_t memory_gfns(const DomainConfig& config) {
  if (config.memory_gfns != 0) return config.memory_gfns;
  return std::max<uint64_t>(config.max_pages, uint64_t{config.pages.value_or(0)} + 1);
}

}  // namespace

Domain::Domain(Machine& machine, DomainId id, DomainConfig config)
    : machine_(machine),
      id_(id),
      config_(std::move(config)),
      created_(machine.world().now()),
      max_pages_(config_.max_pages),
      memory_gfns_(sim::memory_gfns(config_)),
      total_gfns_(memory_gfns_ + kHoles),
      slots_(std::make_unique<Slot[]>(total_gfns_)),
      next_hole_(memory_gfns_),
      shared_info_frame_(machine.frames().allocate().value()),
      shared_info_(reinterpret_cast<shared_info_t*>(machine.frames().address(shared_info_frame_))),
      vcpu_info_(std::make_unique<std::atomic<vcpu_info_t*>[]>(config_.vcpus)),
      runners_(std::make_unique<std::atomic<Actor*>[]>(config_.vcpus)),
      upcall_vectors_(std::make_unique<std::atomic<uint8_t>[]>(config_.vcpus)) {
  if (config_.vcpus == 0 || config_.vcpus > XEN_LEGACY_MAX_VCPUS) {
    throw std::invalid_argument("a domain has 1 to 32 vCPUs");
  }
  for (unsigned i = 0; i < config_.vcpus; ++i) vcpu_info_[i].store(&shared_info_->vcpu_info[i]);
  tell_time();
  grants_ = std::make_unique<GrantTable>(machine, *this);
  events_ = std::make_unique<EventChannels>(machine, *this, machine.config().max_ports);
  if (config_.pages && !ask_for_spare(*config_.pages)) {
    machine_.frames().release(shared_info_frame_);
    throw std::runtime_error("the machine has no memory left for " + config_.name);
  }
}

Domain::~Domain() = default;

bool Domain::charge(uint32_t pages) {
  uint32_t had = populated_.load();
  do {
    if (pages > max_pages_.load() || had > max_pages_.load() - pages) return false;
  } while (!populated_.compare_exchange_weak(had, had + pages));
  return true;
}

bool Domain::ask_for_spare(size_t count) {
  const auto missing = static_cast<uint32_t>(count - std::min(count, spare_.size()));
  if (missing == 0) return true;
  if (missing > memory_gfns_ - next_gfn_ || !charge(missing)) return false;
  if (!machine_.frames().reserve(missing)) {
    populated_.fetch_sub(missing);
    return false;
  }
  next_gfn_ += missing;
  for (uint32_t i = 1; i <= missing; ++i) add_spare(next_gfn_ - i);
  return true;
}

void Domain::add_spare(uint64_t gfn) {
  slots_[gfn].unbacked = true;
  slots_[gfn].spare = true;
  spare_.push_back(gfn);
}

void Domain::forget_spare(uint64_t gfn) {
  slots_[gfn].unbacked = false;
  // Whoever took it is not looked for; a number that the kernel still has is rare.
  if (std::exchange(slots_[gfn].spare, false)) std::erase(spare_, gfn);
}

void Domain::drop_spare(size_t count) {
  for (; count > 0; --count) {
    slots_[spare_.back()].spare = false;
    spare_.pop_back();
  }
}

std::vector<uint64_t> Domain::allocate_pages(uint32_t count) {
  std::vector<uint64_t> gfns;
  const std::lock_guard lock(mutex_);
  if (count == 0) return gfns;
  if (config_.pages ? spare_.size() < count : !ask_for_spare(count)) return gfns;
  const auto first = machine_.frames().allocate_reserved(count);
  if (!first) return gfns;
  gfns.assign(spare_.end() - count, spare_.end());
  drop_spare(count);
  // Neighbours in memory get numbers in descending order: nobody may count on ascending ones.
  std::sort(gfns.rbegin(), gfns.rend());
  for (uint32_t i = 0; i < count; ++i) {
    slots_[gfns[i]].owned = true;
    slots_[gfns[i]].unbacked = false;
    slots_[gfns[i]].frame.store(*first + i, std::memory_order_release);
  }
  return gfns;
}

std::vector<uint64_t> Domain::take_spare(size_t count) {
  const std::lock_guard lock(mutex_);
  const auto end = spare_.begin() + static_cast<ptrdiff_t>(std::min(count, spare_.size()));
  std::vector<uint64_t> gfns(spare_.begin(), end);
  spare_.erase(spare_.begin(), end);
  for (const uint64_t gfn : gfns) slots_[gfn].spare = false;
  return gfns;
}

void Domain::give_spare(std::span<const uint64_t> gfns) {
  std::vector<uint64_t> back;
  const std::lock_guard lock(mutex_);
  for (const uint64_t gfn : gfns) {
    if (gfn >= total_gfns_ || !(slots_[gfn].unbacked || slots_[gfn].frame.load() != 0)) {
      misuses_.push_back("gfn " + std::to_string(gfn) + " has no memory, and is given for use");
      continue;
    }
    if (!slots_[gfn].unbacked) machine_.frames().release_reserved(slots_[gfn].frame.exchange(0), 1);
    slots_[gfn].unbacked = true;
    slots_[gfn].spare = true;
    back.push_back(gfn);
  }
  // Not at the end, whence pages are taken into use: what came back is the coldest.
  spare_.insert(spare_.begin(), back.rbegin(), back.rend());
}

size_t Domain::spare_pages() const {
  const std::lock_guard lock(mutex_);
  return spare_.size();
}

MachineFrame Domain::detach(uint64_t gfn) {
  populated_.fetch_sub(slots_[gfn].owned ? 1 : 0);
  return slots_[gfn].frame.exchange(0);
}

void Domain::release_pages(std::span<const uint64_t> gfns) {
  const std::lock_guard lock(mutex_);
  std::vector<MachineFrame> frames;
  for (const uint64_t gfn : gfns) {
    if (gfn >= total_gfns_ || !slots_[gfn].owned || slots_[gfn].frame.load() == 0) {
      misuses_.push_back("gfn " + std::to_string(gfn) + " was released without being allocated");
      continue;
    }
    frames.push_back(slots_[gfn].frame.exchange(0));
    add_spare(gfn);
    if (machine_.frames().pins(frames.back()) > 0) {
      misuses_.push_back("gfn " + std::to_string(gfn) + " was released while a peer used it");
    }
  }
  // Runs stay runs, so that they can be handed out again as such.
  for (size_t i = 0; i < frames.size();) {
    size_t end = i + 1;
    while (end < frames.size() && frames[end] == frames[end - 1] + 1) ++end;
    machine_.frames().release_reserved(frames[i], static_cast<uint32_t>(end - i));
    i = end;
  }
}

uint64_t Domain::reserve_frames(uint32_t count) {
  const std::lock_guard lock(mutex_);
  for (auto hole = free_holes_.begin(); hole != free_holes_.end(); ++hole) {
    if (hole->second != count) continue;
    const uint64_t first = hole->first;
    free_holes_.erase(hole);
    return first;
  }
  if (count == 0 || count > total_gfns_ - next_hole_) return kNoFrame;
  next_hole_ += count;
  return next_hole_ - count;
}

void Domain::release_frames(uint64_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) displace(first + i);
  const std::lock_guard lock(mutex_);
  free_holes_.emplace_back(first, count);
}

bool Domain::place(uint64_t gfn, MachineFrame frame, bool owned) {
  if (gfn >= total_gfns_) return false;
  displace(gfn);
  const std::lock_guard lock(mutex_);
  slots_[gfn].owned = owned;
  slots_[gfn].frame.store(frame, std::memory_order_release);
  populated_.fetch_add(owned ? 1 : 0);
  return true;
}

bool Domain::displace(uint64_t gfn) {
  const std::lock_guard lock(mutex_);
  if (gfn >= total_gfns_) return false;
  if (slots_[gfn].unbacked) {
    forget_spare(gfn);
    machine_.frames().cancel_reservation(1);
    populated_.fetch_sub(1);
    return true;
  }
  if (slots_[gfn].frame.load() == 0) return false;
  const bool owned = slots_[gfn].owned;
  const MachineFrame frame = detach(gfn);
  if (owned) machine_.frames().release(frame);
  return true;
}

bool Domain::populate(uint64_t gfn, unsigned order) {
  const uint32_t count = 1u << order;
  if (gfn >= total_gfns_ || count > total_gfns_ - gfn || !charge(count)) return false;
  const auto first = machine_.frames().allocate(count);
  if (first) {
    for (uint32_t i = 0; i < count; ++i) place(gfn + i, *first + i, true);
  }
  // place() counts what it places.
  populated_.fetch_sub(count);
  return first.has_value();
}

bool Domain::add_unplaced(unsigned order) {
  const uint32_t count = 1u << order;
  if (!charge(count)) return false;
  const auto first = machine_.frames().allocate(count);
  if (!first) {
    populated_.fetch_sub(count);
    return false;
  }
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < count; ++i) unplaced_.push_back(*first + i);
  return true;
}

bool Domain::back(uint64_t gfn) {
  const std::lock_guard lock(mutex_);
  if (gfn >= total_gfns_) return false;
  Slot& slot = slots_[gfn];
  if (!slot.unbacked) return slot.frame.load() != 0;
  const auto frame = machine_.frames().allocate_reserved(1);
  if (!frame) return false;
  forget_spare(gfn);
  slot.owned = true;
  slot.frame.store(*frame, std::memory_order_release);
  return true;
}

std::vector<E820Entry> Domain::memory_map() const {
  const std::lock_guard lock(mutex_);
  return memory_map_;
}

void Domain::set_memory_map(std::vector<E820Entry> map) {
  const std::lock_guard lock(mutex_);
  memory_map_ = std::move(map);
}

void Domain::move_page(uint64_t from, uint64_t to) {
  MachineFrame frame = 0;
  bool owned = false;
  {
    const std::lock_guard lock(mutex_);
    owned = slots_[from].owned;
    frame = detach(from);
  }
  place(to, frame, owned);
}

std::optional<MachineFrame> Domain::machine_frame(uint64_t gfn) const {
  if (gfn >= total_gfns_) return std::nullopt;
  const MachineFrame frame = slots_[gfn].frame.load(std::memory_order_acquire);
  if (frame == 0) return std::nullopt;
  return frame;
}

bool Domain::has_memory(uint64_t gfn) const {
  const std::lock_guard lock(mutex_);
  return gfn < total_gfns_ && (slots_[gfn].unbacked || slots_[gfn].frame.load() != 0);
}

uint64_t Domain::gfn_of(MachineFrame frame) const {
  for (uint64_t gfn = 0; gfn < total_gfns_; ++gfn) {
    if (slots_[gfn].frame.load() == frame) return gfn;
  }
  return kNoFrame;
}

std::byte* Domain::page_address(uint64_t gfn) const {
  const auto frame = machine_frame(gfn);
  return frame ? machine_.frames().address(*frame) : nullptr;
}

bool Domain::move_vcpu_info(unsigned vcpu, uint64_t gfn, uint32_t offset) {
  std::byte* page = page_address(gfn);
  if (page == nullptr || offset > kPageSize - sizeof(vcpu_info_t)) return false;
  auto* moved = reinterpret_cast<vcpu_info_t*>(page + offset);
  *moved = vcpu_info(vcpu);
  // Events that were set in the old place meanwhile are found by looking at all words.
  vcpu_info_[vcpu].store(moved);
  moved->evtchn_pending_sel = ~0ul;
  moved->evtchn_upcall_pending = 1;
  kick(vcpu);
  return true;
}

void Domain::tell_time(int64_t offset) {
  const HostClock& clock = machine_.config().clock;
  for (unsigned vcpu = 0; vcpu < config_.vcpus; ++vcpu) {
    clock.write_system_time(vcpu_info(vcpu).time, machine_.world().now());
  }
  clock.write_wall_clock(*shared_info_, offset);
}

void Domain::set_mover(std::function<void(Domain&)> mover) {
  const std::lock_guard lock(mutex_);
  mover_ = std::move(mover);
}

void Domain::move_guest(Domain& to) {
  std::function<void(Domain&)> mover;
  {
    const std::lock_guard lock(mutex_);
    mover = std::exchange(mover_, {});
  }
  if (mover) mover(to);
}

void Domain::set_auditor(std::function<void(std::vector<std::string>&)> auditor) {
  const std::lock_guard lock(mutex_);
  auditor_ = std::move(auditor);
}

void Domain::audit(std::vector<std::string>& findings) {
  grants_->audit(findings);
  events_->audit(findings);
  const std::lock_guard lock(mutex_);
  const std::string who = "domain " + std::to_string(id_) + ": ";
  for (const std::string& misuse : misuses_) findings.push_back(who + misuse);
  if (auditor_) auditor_(findings);
}

void Domain::destroy() {
  dying_.store(true);
  machine_.timers().stop_all(id_);
  events_->reset();
  grants_->unmap_all();
  {
    const std::lock_guard lock(mutex_);
    drop_spare(spare_.size());
  }
  for (uint64_t gfn = 0; gfn < total_gfns_; ++gfn) displace(gfn);
  const std::lock_guard lock(mutex_);
  for (const MachineFrame frame : unplaced_) machine_.frames().release(frame);
  populated_.fetch_sub(static_cast<uint32_t>(unplaced_.size()));
  unplaced_.clear();
}

}  // namespace ringside::sim
