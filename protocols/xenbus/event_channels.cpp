#include "protocols/xenbus/event_channels.hpp"

#include <algorithm>
#include <utility>

#include "protocols/xenbus/event_channel.hpp"

namespace ringside::xenbus {

EventChannels::~EventChannels() {
  if (shared_ == nullptr) return;
  two_level_.mask_all();
  for (Cpu& cpu : cpus_) {
    platform_.set_upcall(cpu.index, {});
    cpu.again->cancel();
  }
  if (uses_fifo() && !ok(return_to_two_level())) {
    platform_.log(platform::LogLevel::kError, "Xen keeps the event pages of a driver that leaves");
  }
}

Status EventChannels::prepare() {
  const unsigned count = std::min<unsigned>(platform_.cpu_count(), XEN_LEGACY_MAX_VCPUS);
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  chunks_lock_ = *std::move(lock);
  auto cpus = platform::Array<Cpu>::create(platform_, count);
  if (!cpus) return cpus.status();
  unsigned index = 0;
  for (Cpu& cpu : *cpus) {
    cpu.owner = this;
    cpu.index = index++;
    auto own_lock = platform_.create_lock();
    if (!own_lock) return own_lock.status();
    cpu.lock = *std::move(own_lock);
  }
  cpus_ = *std::move(cpus);
  // Once they are where they stay.
  for (Cpu& cpu : cpus_) {
    auto again = platform_.create_timer(Delegate::to<&Cpu::upcall>(cpu), cpu.index);
    if (!again) return again.status();
    cpu.again = *std::move(again);
  }
  const Status status = two_level_.start(platform_, count);
  if (!ok(status)) return status;
  fifo_wanted_ = platform_.setting("UseEvtchnFifoAbi", 1) != 0;
  return fifo_wanted_ ? fifo_.start(count) : Status::kOk;
}

Status EventChannels::start(std::byte* shared_info) {
  const Status status = prepare();
  if (!ok(status)) return status;
  shared_ = reinterpret_cast<shared_info_t*>(shared_info);
  two_level_.attach(*shared_);
  choose_abi();
  connect_upcalls();
  return Status::kOk;
}

void EventChannels::resume(std::byte* shared_info) {
  for (platform::Box<Chunk>& chunk : chunks_) {
    if (!chunk) continue;
    for (Slot& place : chunk->slots) {
      if (Channel* channel = place.exchange(nullptr)) channel->lose();
    }
  }
  shared_ = reinterpret_cast<shared_info_t*>(shared_info);
  two_level_.attach(*shared_);
  choose_abi();
  connect_upcalls();
}

void EventChannels::choose_abi() {
  abi_ = &two_level_;
  if (!fifo_wanted_) return;
  Status status = fifo_.enter();
  if (!ok(status) && status != Status::kNotSupported) {
    // An earlier driver's control block is in the way, or ours went only half the way.
    status = return_to_two_level();
    if (ok(status)) status = fifo_.enter();
    if (!ok(status) && status != Status::kNotSupported) (void)return_to_two_level();
  }
  if (ok(status)) abi_ = &fifo_;
}

Status EventChannels::return_to_two_level() {
  struct Fixed {
    uint32_t parameter = 0;
    Result<Hypercalls::RemotePort> remote = Status::kNotFound;
  };
  std::array<Fixed, 2> fixed{
      {{.parameter = HVM_PARAM_STORE_EVTCHN}, {.parameter = HVM_PARAM_CONSOLE_EVTCHN}}};
  for (Fixed& one : fixed) {
    const auto port = xen_.parameter(one.parameter);
    if (port && *port != 0) one.remote = xen_.remote_of(static_cast<Port>(*port));
  }
  const Status reset = xen_.reset_events();
  if (!ok(reset)) return reset;
  abi_ = &two_level_;
  Status status = Status::kOk;
  for (Fixed& one : fixed) {
    if (!one.remote) continue;
    const auto port = one.remote->port == 0
                          ? xen_.alloc_unbound(one.remote->domain)
                          : xen_.bind_interdomain(one.remote->domain, one.remote->port);
    const Status kept = port ? xen_.set_parameter(one.parameter, *port) : port.status();
    if (!ok(kept)) status = kept;
  }
  return status;
}

void EventChannels::connect_upcalls() {
  reachable_cpus_ = 0;
  for (Cpu& cpu : cpus_) platform_.set_upcall(cpu.index, Delegate::to<&Cpu::upcall>(cpu));
  if (platform_.setting("UseEvtchnUpcall", 1) != 0) {
    for (const Cpu& cpu : cpus_) {
      const uint8_t vector = platform_.upcall_vector(cpu.index);
      if (vector == 0 || !ok(xen_.set_upcall_vector(cpu.index, vector))) break;
      ++reachable_cpus_;
    }
  }
  if (reachable_cpus_ != 0) return;
  // The line interrupts CPU 0 alone. Source: hvm/params.h, HVM_PARAM_CALLBACK_IRQ.
  (void)xen_.set_parameter(HVM_PARAM_CALLBACK_IRQ, platform_.upcall_line());
  reachable_cpus_ = 1;
}

Result<Owned<EventChannel>> EventChannels::open_unbound(DomainId peer, Delegate handler,
                                                        unsigned cpu) {
  if (cpu >= cpus()) return Status::kInvalidArgument;
  const auto port = xen_.alloc_unbound(peer);
  if (!port) return port.status();
  return install(*port, handler, cpu, Closing::kClose, true);
}

Result<Owned<EventChannel>> EventChannels::open_interdomain(DomainId peer, Port remote,
                                                            Delegate handler, unsigned cpu) {
  if (cpu >= cpus()) return Status::kInvalidArgument;
  const auto port = xen_.bind_interdomain(peer, remote);
  if (!port) return port.status();
  return install(*port, handler, cpu, Closing::kClose, true);
}

Result<Owned<EventChannel>> EventChannels::open_virq(uint32_t virq, Delegate handler,
                                                     unsigned cpu) {
  if (cpu >= cpus()) return Status::kInvalidArgument;
  const auto port = xen_.bind_virq(virq, cpu);
  if (!port) return port.status();
  return install(*port, handler, cpu, Closing::kClose, false);
}

Result<Owned<EventChannel>> EventChannels::open_fixed(Port port, Delegate handler, unsigned cpu) {
  if (cpu >= cpus() || port == 0) return Status::kInvalidArgument;
  return install(port, handler, cpu, Closing::kLeaveBound, true);
}

Result<Owned<EventChannel>> EventChannels::install(Port port, Delegate handler, unsigned cpu,
                                                   Closing closing, bool movable) {
  const auto give_up = [&](Status why) {
    if (closing == Closing::kClose) (void)xen_.close(port);
    return why;
  };
  if (Status status = make_slot(port); !ok(status)) return give_up(status);
  auto box = platform::Box<Channel>::create(platform_, *this, port, handler, cpu, closing);
  if (!box) return give_up(box.status());
  Channel* channel = box->get();
  Status status = channel->start();
  // EVTCHN-003: a fresh port is bound to CPU 0.
  if (ok(status) && movable) status = xen_.bind_vcpu(port, cpu);
  if (!ok(status)) return give_up(status);
  channel->keep(*std::move(box));
  slot(port)->store(channel, std::memory_order_release);
  // What came in before there was a handler is raised again. [EVTCHN-001]
  (void)xen_.unmask(port);
  return Owned<EventChannel>(channel);
}

Status EventChannels::make_slot(Port port) {
  if (Status status = abi_->cover(port); !ok(status)) return status;
  const Port index = port / kPortsPerChunk;
  if (chunk_of_[index].load() != nullptr) return Status::kOk;
  auto chunk = platform::Box<Chunk>::create(platform_);
  if (!chunk) return chunk.status();
  const platform::LockGuard guard(*chunks_lock_);
  if (chunk_of_[index].load() != nullptr) return Status::kOk;
  chunks_[index] = *std::move(chunk);
  chunk_of_[index].store(chunks_[index].get(), std::memory_order_release);
  return Status::kOk;
}

/// Null for a port that nobody here ever opened.
EventChannels::Slot* EventChannels::slot(Port port) const {
  if (port >= FifoEvents::kPorts) return nullptr;
  Chunk* chunk = chunk_of_[port / kPortsPerChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &chunk->slots[port % kPortsPerChunk];
}

void EventChannels::remove(Channel& channel) {
  channel.mask();
  Cpu& cpu = cpus_[channel.cpu()];
  {
    const platform::LockGuard guard(*cpu.lock);
    // The port of a lost channel may be another's by now.
    if (!channel.lost()) slot(channel.port())->store(nullptr, std::memory_order_release);
  }
  await_handler(cpu, channel);
  channel.stop_resting();
  if (channel.lost()) return;
  // The rest may have ended, and the mask with it.
  channel.mask();
  if (channel.closing() == Closing::kClose) (void)xen_.close(channel.port());
}

Status EventChannels::move(Channel& channel, unsigned cpu) {
  if (cpu >= cpus()) return Status::kInvalidArgument;
  if (channel.lost()) return Status::kClosed;
  const bool was_masked = abi_->masked(channel.port());
  channel.mask();
  const unsigned before = channel.cpu();
  {
    const platform::LockGuard guard(*cpus_[before].lock);
    channel.set_cpu(cpu);
  }
  await_handler(cpus_[before], channel);
  const Status status = xen_.bind_vcpu(channel.port(), cpu);
  if (!ok(status)) channel.set_cpu(before);
  if (!was_masked) (void)xen_.unmask(channel.port());
  return status;
}

/// A handler may close its own channel; any other CPU waits for it to return.
void EventChannels::await_handler(Cpu& cpu, const Channel& channel) {
  if (platform_.cpu() == cpu.index) {
    if (cpu.active.load() == &channel) cpu.active.store(nullptr);
    return;
  }
  while (cpu.active.load() == &channel) platform_.yield();
}

void EventChannels::upcall(Cpu& cpu) {
  // EVTCHN-001: the flag is cleared before anything is looked at: Xen sets it last.
  std::atomic_ref<uint8_t>(shared_->vcpu_info[cpu.index].evtchn_upcall_pending).exchange(0);
  if (abi_->poll(cpu.index, *this)) cpu.again->start(platform_.now());
}

void EventChannels::ready(unsigned index, Port port) {
  Cpu& cpu = cpus_[index];
  Channel* channel = nullptr;
  {
    const platform::LockGuard guard(*cpu.lock);
    const Slot* place = slot(port);
    channel = place == nullptr ? nullptr : place->load(std::memory_order_acquire);
    if (channel == nullptr) return;
    if (channel->cpu() != index) {
      if (abi_->astray()) (void)xen_.unmask(port);
      return;
    }
    if (!channel->take()) return;
    cpu.active.store(channel);
  }
  channel->handle();
  // Unless the handler closed its channel.
  if (cpu.active.load() == channel) channel->handled();
  cpu.active.store(nullptr);
}

}  // namespace ringside::xenbus
