#include "protocols/xenbus/event_channels.hpp"

#include <algorithm>
#include <bit>

namespace ringside::xenbus {

namespace {

using Word = xen_ulong_t;

std::atomic_ref<Word> atomic(Word& word) { return std::atomic_ref<Word>(word); }

Word bit_of(Port port) { return Word{1} << (port % EventChannels::kBitsPerWord); }

}  // namespace

class EventChannels::Channel final : public EventChannel {
 public:
  Channel(EventChannels& owner, Port port, Delegate handler, unsigned cpu, Closing closing)
      : owner_(owner), port_(port), handler_(handler), cpu_(cpu), closing_(closing) {}

  Port port() const override { return port_; }
  void notify() override {
    if (!lost_.load()) (void)owner_.xen_.send(port_);
  }
  void mask() override {
    if (!lost_.load()) atomic(mask_word()).fetch_or(bit_of(port_));
  }
  bool unmask() override;
  void destroy() override;

  Delegate handler() const { return handler_; }
  unsigned cpu() const { return cpu_; }
  Closing closing() const { return closing_; }
  bool lost() const { return lost_.load(); }
  void lose() { lost_.store(true); }
  void keep(platform::Box<Channel> self) { self_ = std::move(self); }

 private:
  Word& mask_word() const { return owner_.shared_->evtchn_mask[port_ / kBitsPerWord]; }
  Word& pending_word() const { return owner_.shared_->evtchn_pending[port_ / kBitsPerWord]; }

  EventChannels& owner_;
  Port port_;
  Delegate handler_;
  unsigned cpu_;
  Closing closing_;
  std::atomic<bool> lost_ = false;  ///< its port is of the domain before the last resume
  platform::Box<Channel> self_;
};

bool EventChannels::Channel::unmask() {
  if (lost_.load()) return false;
  if (owner_.platform_.cpu() != cpu_) {
    // EVTCHN-001: only Xen can raise the event on another CPU, and does so only when it finds
    // the mask bit still set.
    (void)owner_.xen_.unmask(port_);
    return false;
  }
  atomic(mask_word()).fetch_and(~bit_of(port_));
  if ((atomic(pending_word()).load() & bit_of(port_)) == 0) return false;
  mask();
  // Whoever clears the bit owns the event: the caller here, or the upcall that came between.
  if ((atomic(pending_word()).fetch_and(~bit_of(port_)) & bit_of(port_)) != 0) return true;
  (void)owner_.xen_.unmask(port_);
  return false;
}

void EventChannels::Channel::destroy() {
  owner_.remove(*this);
  const platform::Box<Channel> self = std::move(self_);
}

EventChannels::~EventChannels() {
  if (shared_ == nullptr) return;
  for (Word& word : shared_->evtchn_mask) atomic(word).store(~Word{0});
  for (Cpu& cpu : cpus_) platform_.set_upcall(cpu.index, {});
}

Status EventChannels::start(std::byte* shared_info) {
  const unsigned count = std::min<unsigned>(platform_.cpu_count(), XEN_LEGACY_MAX_VCPUS);
  auto cpus = platform::Array<Cpu>::create(platform_, count);
  if (!cpus) return cpus.status();
  auto channels = platform::Array<std::atomic<Channel*>>::create(platform_, kPorts);
  if (!channels) return channels.status();
  unsigned index = 0;
  for (Cpu& cpu : *cpus) {
    cpu.owner = this;
    cpu.index = index++;
    auto lock = platform_.create_lock();
    if (!lock) return lock.status();
    cpu.lock = *std::move(lock);
  }
  cpus_ = *std::move(cpus);
  channels_ = *std::move(channels);

  shared_ = reinterpret_cast<shared_info_t*>(shared_info);
  for (Word& word : shared_->evtchn_mask) atomic(word).store(~Word{0});
  for (Cpu& cpu : cpus_) platform_.set_upcall(cpu.index, Delegate::to<&Cpu::upcall>(cpu));
  return Status::kOk;
}

void EventChannels::resume(std::byte* shared_info) {
  for (std::atomic<Channel*>& slot : channels_) {
    if (Channel* channel = slot.exchange(nullptr)) channel->lose();
  }
  shared_ = reinterpret_cast<shared_info_t*>(shared_info);
  for (Word& word : shared_->evtchn_mask) atomic(word).store(~Word{0});
}

vcpu_info_t& EventChannels::vcpu(unsigned cpu) const { return shared_->vcpu_info[cpu]; }

Result<Owned<EventChannel>> EventChannels::open_unbound(DomainId peer, Delegate handler,
                                                        unsigned cpu) {
  if (cpu >= cpus_.size()) return Status::kInvalidArgument;
  const auto port = xen_.alloc_unbound(peer);
  if (!port) return port.status();
  return install(*port, handler, cpu, Closing::kClose);
}

Result<Owned<EventChannel>> EventChannels::open_interdomain(DomainId peer, Port remote,
                                                            Delegate handler, unsigned cpu) {
  if (cpu >= cpus_.size()) return Status::kInvalidArgument;
  const auto port = xen_.bind_interdomain(peer, remote);
  if (!port) return port.status();
  return install(*port, handler, cpu, Closing::kClose);
}

Result<Owned<EventChannel>> EventChannels::open_fixed(Port port, Delegate handler, unsigned cpu) {
  if (cpu >= cpus_.size() || port == 0 || port >= kPorts) return Status::kInvalidArgument;
  return install(port, handler, cpu, Closing::kLeaveBound);
}

Result<Owned<EventChannel>> EventChannels::install(Port port, Delegate handler, unsigned cpu,
                                                   Closing closing) {
  const auto give_up = [&](Status why) {
    if (closing == Closing::kClose) (void)xen_.close(port);
    return why;
  };
  if (port >= kPorts) return give_up(Status::kNoResources);
  auto box = platform::Box<Channel>::create(platform_, *this, port, handler, cpu, closing);
  if (!box) return give_up(box.status());
  Channel* channel = box->get();
  // EVTCHN-003: a fresh port is bound to CPU 0.
  const Status bound = xen_.bind_vcpu(port, cpu);
  if (!ok(bound)) return give_up(bound);
  channel->keep(*std::move(box));
  channels_[port].store(channel, std::memory_order_release);
  // What came in before there was a handler is raised again. [EVTCHN-001]
  (void)xen_.unmask(port);
  return Owned<EventChannel>(channel);
}

void EventChannels::remove(Channel& channel) {
  channel.mask();
  Cpu& cpu = cpus_[channel.cpu()];
  {
    const platform::LockGuard guard(*cpu.lock);
    // The port of a lost channel may be another's by now.
    if (!channel.lost()) channels_[channel.port()].store(nullptr, std::memory_order_release);
  }
  // A handler may close its own channel; any other CPU waits for it to return.
  while (cpu.active.load() == &channel && platform_.cpu() != cpu.index) platform_.yield();
  if (channel.lost()) return;
  if (channel.closing() == Closing::kClose) (void)xen_.close(channel.port());
}

void EventChannels::upcall(Cpu& cpu) {
  vcpu_info_t& info = vcpu(cpu.index);
  // EVTCHN-001: first the flag, then the selector, then the words: Xen sets them the other
  // way round, so what is missed here causes another upcall.
  std::atomic_ref<uint8_t>(info.evtchn_upcall_pending).exchange(0);
  const Word selector = atomic(info.evtchn_pending_sel).exchange(0);
  if (selector == 0) return;

  // EVTCHN-004: one look at each word, beginning after the port served last.
  const unsigned first = cpu.next_port / kBitsPerWord;
  const unsigned first_bit = cpu.next_port % kBitsPerWord;
  for (unsigned i = 0; i <= kBitsPerWord; ++i) {
    const unsigned index = (first + i) % kBitsPerWord;
    if ((selector & (Word{1} << index)) == 0) continue;
    Word ready =
        atomic(shared_->evtchn_pending[index]).load() & ~atomic(shared_->evtchn_mask[index]).load();
    // The word that the round begins in is seen twice: its upper part now, the rest at the end.
    const Word upper = ~Word{0} << first_bit;
    if (i == 0) ready &= upper;
    if (i == kBitsPerWord) ready &= ~upper;
    for (; ready != 0; ready &= ready - 1) {
      dispatch(cpu, index * kBitsPerWord + static_cast<unsigned>(std::countr_zero(ready)));
    }
  }
}

void EventChannels::dispatch(Cpu& cpu, Port port) {
  Delegate handler;
  {
    const platform::LockGuard guard(*cpu.lock);
    Channel* channel = channels_[port].load(std::memory_order_acquire);
    if (channel == nullptr || channel->cpu() != cpu.index) return;
    // EVTCHN-005: acknowledged before the handler looks for work, so that what arrives while
    // it looks is announced again.
    const Word before =
        atomic(shared_->evtchn_pending[port / kBitsPerWord]).fetch_and(~bit_of(port));
    if ((before & bit_of(port)) == 0) return;
    handler = channel->handler();
    cpu.active.store(channel);
  }
  cpu.next_port = (port + 1) % kPorts;
  handler();
  cpu.active.store(nullptr);
}

}  // namespace ringside::xenbus
