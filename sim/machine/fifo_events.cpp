#include "sim/machine/fifo_events.hpp"

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr event_word_t flag(unsigned bit) { return event_word_t{1} << bit; }

enum class LinkResult : uint8_t { kLinked, kUnlinked, kChanging };

/// Writes `port` into the link of a tail that is still linked. `kChanging` when the guest
/// changed the word meanwhile.
LinkResult try_set_link(event_word_t& tail, Port port) {
  event_word_t seen = std::atomic_ref(tail).load();
  if ((seen & flag(EVTCHN_FIFO_LINKED)) == 0) return LinkResult::kUnlinked;
  constexpr event_word_t kReplaced = flag(EVTCHN_FIFO_BUSY) | EVTCHN_FIFO_LINK_MASK;
  const bool done = std::atomic_ref(tail).compare_exchange_strong(seen, (seen & ~kReplaced) | port);
  return done ? LinkResult::kLinked : LinkResult::kChanging;
}

/// False when the guest has taken the tail, so that the queue starts anew at its head.
bool set_link(event_word_t& tail, Port port) {
  LinkResult result = try_set_link(tail, port);
  if (result != LinkResult::kChanging) return result == LinkResult::kLinked;
  // BUSY keeps a guest that keeps the rules from unmasking; the others are not waited for.
  constexpr int kTries = 4;
  std::atomic_ref(tail).fetch_or(flag(EVTCHN_FIFO_BUSY));
  for (int i = 0; i < kTries && result == LinkResult::kChanging; ++i) {
    result = try_set_link(tail, port);
  }
  if (result != LinkResult::kLinked) std::atomic_ref(tail).fetch_and(~flag(EVTCHN_FIFO_BUSY));
  return result != LinkResult::kUnlinked;
}

}  // namespace

FifoEvents::FifoEvents(Domain& owner, Port max_ports)
    : owner_(owner), ports_(std::make_unique<PortState[]>(max_ports)), vcpus_(owner.vcpus()) {}

FifoEvents::~FifoEvents() { clear(); }

std::byte* FifoEvents::map(uint64_t gfn) {
  const auto frame = owner_.machine_frame(gfn);
  if (!frame) return nullptr;
  FrameStore& store = owner_.machine().frames();
  store.pin(*frame);
  frames_.push_back(*frame);
  return store.address(*frame);
}

int64_t FifoEvents::map_control_block(unsigned vcpu, uint64_t gfn, uint32_t offset) {
  const std::lock_guard lock(mutex_);
  if (vcpus_[vcpu].block != nullptr) return error(XEN_EINVAL);
  std::byte* page = map(gfn);
  if (page == nullptr) return error(XEN_EINVAL);
  vcpus_[vcpu].block = reinterpret_cast<evtchn_fifo_control_block_t*>(page + offset);
  return 0;
}

int64_t FifoEvents::expand_array(uint64_t gfn) {
  const std::lock_guard lock(mutex_);
  const Port slot = pages_in_use_.load();
  if (slot >= kMaxPages) return error(XEN_ENOSPC);
  std::byte* page = map(gfn);
  if (page == nullptr) return error(XEN_EINVAL);
  pages_[slot].store(reinterpret_cast<event_word_t*>(page));
  pages_in_use_.store(slot + 1);
  return 0;
}

void FifoEvents::clear() {
  const std::lock_guard lock(mutex_);
  for (Vcpu& vcpu : vcpus_) vcpu = {};
  pages_in_use_.store(0);
  for (auto& page : pages_) page.store(nullptr);
  for (const MachineFrame frame : frames_) owner_.machine().frames().unpin(frame);
  frames_.clear();
}

event_word_t* FifoEvents::word(Port port) const {
  event_word_t* page = pages_[port / kWordsPerPage].load();
  return page == nullptr ? nullptr : page + port % kWordsPerPage;
}

bool FifoEvents::test(Port port, unsigned bit) const {
  if (event_word_t* word = this->word(port)) {
    return (std::atomic_ref(*word).load() & flag(bit)) != 0;
  }
  if (bit == EVTCHN_FIFO_PENDING) return ports_[port].remembered.load();
  return bit == EVTCHN_FIFO_MASKED;
}

bool FifoEvents::set(Port port, unsigned bit) {
  if (event_word_t* word = this->word(port)) {
    return (std::atomic_ref(*word).fetch_or(flag(bit)) & flag(bit)) != 0;
  }
  if (bit == EVTCHN_FIFO_PENDING) return ports_[port].remembered.exchange(true);
  return bit == EVTCHN_FIFO_MASKED;
}

bool FifoEvents::reset(Port port, unsigned bit) {
  if (event_word_t* word = this->word(port)) {
    return (std::atomic_ref(*word).fetch_and(~flag(bit)) & flag(bit)) != 0;
  }
  return bit == EVTCHN_FIFO_PENDING && ports_[port].remembered.exchange(false);
}

bool FifoEvents::link(Port port, unsigned vcpu) {
  const std::lock_guard lock(mutex_);
  event_word_t* word = this->word(port);
  Vcpu& target = vcpus_[vcpu];
  if (word == nullptr || target.block == nullptr) return false;
  constexpr event_word_t kLinked = flag(EVTCHN_FIFO_LINKED);
  if ((std::atomic_ref(*word).fetch_or(kLinked) & kLinked) != 0) return false;
  // A former tail that links anew has left its queue empty; nothing may be hung onto it there.
  PortState& state = ports_[port];
  Port& last_tail = vcpus_[state.last_vcpu].tails[state.last_priority];
  if (last_tail == port) last_tail = 0;
  const uint8_t priority = state.priority.load();
  state.last_vcpu = static_cast<uint8_t>(vcpu);
  state.last_priority = priority;

  Port& tail = target.tails[priority];
  event_word_t* tail_word = tail == 0 ? nullptr : this->word(tail);
  const bool appended = tail_word != nullptr && set_link(*tail_word, port);
  if (!appended) std::atomic_ref(target.block->head[priority]).store(port);
  tail = port;
  if (appended) return false;
  return (std::atomic_ref(target.block->ready).fetch_or(1u << priority) & 1u << priority) == 0;
}

}  // namespace ringside::sim
