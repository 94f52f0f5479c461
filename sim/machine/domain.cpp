#include "sim/machine/domain.hpp"

#include <algorithm>
#include <stdexcept>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

constexpr uint32_t kHoles = 4096;  // frame numbers above the memory, for Xen's own frames

}  // namespace

Domain::Domain(Machine& machine, DomainId id, DomainConfig config)
    : machine_(machine),
      id_(id),
      config_(std::move(config)),
      total_gfns_(uint64_t{config_.max_pages} + kHoles),
      slots_(std::make_unique<Slot[]>(total_gfns_)),
      next_hole_(config_.max_pages),
      shared_info_frame_(machine.frames().allocate().value()),
      shared_info_(reinterpret_cast<shared_info_t*>(machine.frames().address(shared_info_frame_))),
      vcpu_info_(std::make_unique<std::atomic<vcpu_info_t*>[]>(config_.vcpus)),
      runners_(std::make_unique<std::atomic<Actor*>[]>(config_.vcpus)),
      upcall_vectors_(std::make_unique<std::atomic<uint8_t>[]>(config_.vcpus)) {
  if (config_.vcpus == 0 || config_.vcpus > XEN_LEGACY_MAX_VCPUS) {
    throw std::invalid_argument("a domain has 1 to 32 vCPUs");
  }
  for (unsigned i = 0; i < config_.vcpus; ++i) vcpu_info_[i].store(&shared_info_->vcpu_info[i]);
  grants_ = std::make_unique<GrantTable>(machine, *this);
  events_ = std::make_unique<EventChannels>(machine, *this, machine.config().max_ports);
}

Domain::~Domain() = default;

std::vector<uint64_t> Domain::allocate_pages(uint32_t count) {
  std::vector<uint64_t> gfns;
  const std::lock_guard lock(mutex_);
  const uint64_t left = config_.max_pages - next_gfn_ + free_gfns_.size();
  if (count == 0 || count > left) return gfns;
  const auto first = machine_.frames().allocate(count);
  if (!first) return gfns;
  for (uint32_t i = 0; i < count; ++i) {
    if (free_gfns_.empty()) {
      gfns.push_back(next_gfn_++);
    } else {
      gfns.push_back(free_gfns_.back());
      free_gfns_.pop_back();
    }
  }
  // Neighbours in memory get numbers in descending order: nobody may count on ascending ones.
  std::sort(gfns.rbegin(), gfns.rend());
  for (uint32_t i = 0; i < count; ++i) {
    slots_[gfns[i]].owned = true;
    slots_[gfns[i]].frame.store(*first + i, std::memory_order_release);
  }
  populated_.fetch_add(count);
  return gfns;
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
    frames.push_back(detach(gfn));
    free_gfns_.push_back(gfn);
    if (machine_.frames().pins(frames.back()) > 0) {
      misuses_.push_back("gfn " + std::to_string(gfn) + " was released while a peer used it");
    }
  }
  // Runs stay runs, so that they can be handed out again as such.
  for (size_t i = 0; i < frames.size();) {
    size_t end = i + 1;
    while (end < frames.size() && frames[end] == frames[end - 1] + 1) ++end;
    machine_.frames().release(frames[i], static_cast<uint32_t>(end - i));
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
  if (gfn >= total_gfns_ || slots_[gfn].frame.load() == 0) return false;
  const bool owned = slots_[gfn].owned;
  const MachineFrame frame = detach(gfn);
  if (owned) machine_.frames().release(frame);
  return true;
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

std::optional<unsigned> Domain::shutdown_reason() const {
  const int reason = shutdown_reason_.load();
  if (reason < 0) return std::nullopt;
  return static_cast<unsigned>(reason);
}

void Domain::set_shutdown(unsigned reason) {
  shutdown_reason_.store(static_cast<int>(reason));
  machine_.dom0().events().raise_virq(VIRQ_DOM_EXC);
}

int64_t Domain::suspend() {
  resume_answer_.store(-1);
  Actor* self = Actor::current();
  suspended_.store(self);
  set_shutdown(SHUTDOWN_suspend);
  if (self == nullptr) return 0;
  self->wait([this] { return resume_answer_.load() >= 0; });
  return resume_answer_.load();
}

void Domain::resume(int64_t answer) {
  shutdown_reason_.store(-1);
  resume_answer_.store(answer);
  if (Actor* waiter = suspended_.exchange(nullptr)) waiter->wake();
}

void Domain::pause() { pauses_.fetch_add(1); }

void Domain::unpause() {
  pauses_.fetch_sub(1);
  for (unsigned vcpu = 0; vcpu < config_.vcpus; ++vcpu) kick(vcpu);
}

void Domain::take_memory(Domain& from) {
  const std::scoped_lock lock(mutex_, from.mutex_);
  for (uint64_t gfn = 0; gfn < total_gfns_; ++gfn) {
    if (from.slots_[gfn].frame.load() == 0) continue;
    const bool owned = from.slots_[gfn].owned;
    const MachineFrame frame = from.detach(gfn);
    if (!owned) continue;
    slots_[gfn].owned = true;
    slots_[gfn].frame.store(frame, std::memory_order_release);
    populated_.fetch_add(1);
  }
  next_gfn_ = from.next_gfn_;
  free_gfns_ = std::move(from.free_gfns_);
  next_hole_ = from.next_hole_;
  free_holes_ = std::move(from.free_holes_);
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

void Domain::set_runner(unsigned vcpu, Actor* actor) { runners_[vcpu].store(actor); }

void Domain::kick(unsigned vcpu) {
  if (Actor* runner = runners_[vcpu].load()) runner->wake();
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
  events_->reset();
  grants_->unmap_all();
  for (uint64_t gfn = 0; gfn < total_gfns_; ++gfn) displace(gfn);
}

}  // namespace ringside::sim
