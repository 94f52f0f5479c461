#include "protocols/xenbus/fifo_events.hpp"

#include <bit>
#include <cstring>

namespace ringside::xenbus {

namespace {

constexpr event_word_t flag(unsigned bit) { return event_word_t{1} << bit; }

constexpr event_word_t kPending = flag(EVTCHN_FIFO_PENDING);
constexpr event_word_t kMasked = flag(EVTCHN_FIFO_MASKED);
constexpr event_word_t kLinked = flag(EVTCHN_FIFO_LINKED);
constexpr event_word_t kBusy = flag(EVTCHN_FIFO_BUSY);

/// Takes the event out of its queue; the port behind it, 0 at the tail.
Port unlink(std::atomic_ref<event_word_t> word) {
  event_word_t seen = word.load();
  while (!word.compare_exchange_weak(seen, seen & ~(kLinked | EVTCHN_FIFO_LINK_MASK))) {
  }
  return seen & EVTCHN_FIFO_LINK_MASK;
}

}  // namespace

FifoEvents::~FifoEvents() {
  for (unsigned i = 0; i < page_count_.load(); ++i) platform_.release_page(pages_[i]);
  if (control_) platform_.release_page(control_);
}

Status FifoEvents::start(unsigned cpus) {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto made = platform::Array<Cpu>::create(platform_, cpus);
  if (!made) return made.status();
  cpus_ = *std::move(made);
  const auto control = platform_.allocate_page();
  if (!control) return control.status();
  control_ = *control;
  return Status::kOk;
}

Status FifoEvents::enter() {
  std::memset(control_.address, 0, platform::kPageSize);
  for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu) {
    cpus_[cpu] = {};
    const auto offset = static_cast<uint32_t>(cpu * kBlockStride);
    const Status status = xen_.init_fifo_control(cpu, control_.frame, offset);
    if (!ok(status)) return status;
  }
  // After a resume: Xen is given the pages that there are once more.
  for (unsigned i = 0; i < page_count_.load(); ++i) {
    mask_all(pages_[i].address);
    const Status status = xen_.expand_fifo_array(pages_[i].frame);
    if (!ok(status)) return status;
  }
  return Status::kOk;
}

Status FifoEvents::cover(Port port) {
  if (port >= kPorts) return Status::kNoResources;
  while (port / kWordsPerPage >= page_count_.load()) {
    const auto page = platform_.allocate_page();
    if (!page) return page.status();
    // EVTCHN-002: a port is masked until somebody listens to it.
    mask_all(page->address);
    Status status = Status::kOk;
    bool taken = false;
    {
      const platform::LockGuard guard(*lock_);
      const unsigned count = page_count_.load();
      if (port / kWordsPerPage >= count) {
        status = xen_.expand_fifo_array(page->frame);
        taken = ok(status);
      }
      if (taken) {
        pages_[count] = *page;
        page_count_.store(count + 1);
      }
    }
    if (!taken) platform_.release_page(*page);
    if (!ok(status)) return status;
  }
  return Status::kOk;
}

void FifoEvents::mask_all(std::byte* page) {
  auto* words = reinterpret_cast<event_word_t*>(page);
  for (Port i = 0; i < kWordsPerPage; ++i) std::atomic_ref(words[i]).store(kMasked);
}

event_word_t* FifoEvents::find_word(Port port) const {
  const unsigned page = port / kWordsPerPage;
  if (page >= page_count_.load()) return nullptr;
  return reinterpret_cast<event_word_t*>(pages_[page].address) + port % kWordsPerPage;
}

std::atomic_ref<event_word_t> FifoEvents::word(Port port) const {
  return std::atomic_ref(*find_word(port));
}

evtchn_fifo_control_block_t& FifoEvents::block(unsigned cpu) const {
  return *reinterpret_cast<evtchn_fifo_control_block_t*>(control_.address + cpu * kBlockStride);
}

void FifoEvents::mask(Port port) { word(port).fetch_or(kMasked); }

bool FifoEvents::masked(Port port) { return (word(port).load() & kMasked) != 0; }

bool FifoEvents::unmask(Port port) {
  const auto bits = word(port);
  // While Xen hangs another event onto this one, BUSY asks for the word to be left alone.
  event_word_t seen = bits.load();
  for (unsigned tries = 0; tries < kBusyTries; ++tries) {
    seen &= ~kBusy;
    if (bits.compare_exchange_weak(seen, seen & ~kMasked)) return (seen & kPending) != 0;
  }
  bits.fetch_and(~kMasked);
  return (bits.load() & kPending) != 0;
}

void FifoEvents::set_pending(Port port) { word(port).fetch_or(kPending); }

bool FifoEvents::acknowledge(Port port) {
  return (word(port).fetch_and(~kPending) & kPending) != 0;
}

bool FifoEvents::poll(unsigned cpu, Sink& sink) {
  const std::atomic_ref<uint32_t> announced(block(cpu).ready);
  uint32_t ready = cpus_[cpu].ready | announced.exchange(0);
  for (unsigned left = kBudget; ready != 0 && left > 0; --left) {
    // The lowest number is the highest priority.
    consume(cpu, static_cast<unsigned>(std::countr_zero(ready)), ready, sink);
    // No locked access for each event, as mostly nothing new was announced.
    if (announced.load() != 0) ready |= announced.exchange(0);
  }
  cpus_[cpu].ready = ready;
  return ready != 0;
}

void FifoEvents::consume(unsigned cpu, unsigned queue, uint32_t& ready, Sink& sink) {
  if (queue >= EVTCHN_FIFO_MAX_QUEUES) {
    ready &= ~(1u << queue);
    return;
  }
  Port& head = cpus_[cpu].heads[queue];
  // The control block is right only for a queue that was empty.
  const Port port = head != 0 ? head : std::atomic_ref(block(cpu).head[queue]).load();
  event_word_t* const bits = port == 0 ? nullptr : find_word(port);
  head = bits == nullptr ? 0 : unlink(std::atomic_ref(*bits));
  if (head == 0) ready &= ~(1u << queue);
  if (bits == nullptr) return;
  const event_word_t seen = std::atomic_ref(*bits).load();
  if ((seen & kPending) != 0 && (seen & kMasked) == 0) sink.ready(cpu, port);
}

}  // namespace ringside::xenbus
