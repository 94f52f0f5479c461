#include "protocols/xenbus/two_level_events.hpp"

#include <atomic>
#include <bit>

namespace ringside::xenbus {

namespace {

using Word = xen_ulong_t;
constexpr unsigned kBits = TwoLevelEvents::kBitsPerWord;

std::atomic_ref<Word> atomic(Word& word) { return std::atomic_ref<Word>(word); }
std::atomic_ref<Word> word_of(Word (&words)[kBits], Port port) {
  return atomic(words[port / kBits]);
}
Word bit_of(Port port) { return Word{1} << (port % kBits); }

}  // namespace

Status TwoLevelEvents::start(platform::Platform& platform, unsigned cpus) {
  auto made = platform::Array<Cpu>::create(platform, cpus);
  if (!made) return made.status();
  cpus_ = *std::move(made);
  return Status::kOk;
}

void TwoLevelEvents::attach(shared_info_t& shared) {
  shared_ = &shared;
  mask_all();
}

void TwoLevelEvents::mask_all() {
  for (Word& word : shared_->evtchn_mask) atomic(word).store(~Word{0});
}

void TwoLevelEvents::mask(Port port) { word_of(shared_->evtchn_mask, port).fetch_or(bit_of(port)); }

bool TwoLevelEvents::unmask(Port port) {
  word_of(shared_->evtchn_mask, port).fetch_and(~bit_of(port));
  return (word_of(shared_->evtchn_pending, port).load() & bit_of(port)) != 0;
}

bool TwoLevelEvents::masked(Port port) {
  return (word_of(shared_->evtchn_mask, port).load() & bit_of(port)) != 0;
}

void TwoLevelEvents::set_pending(Port port) {
  word_of(shared_->evtchn_pending, port).fetch_or(bit_of(port));
}

bool TwoLevelEvents::acknowledge(Port port) {
  return (word_of(shared_->evtchn_pending, port).fetch_and(~bit_of(port)) & bit_of(port)) != 0;
}

bool TwoLevelEvents::poll(unsigned cpu, Sink& sink) {
  // Selector before words: Xen sets them the other way round, so what is missed here causes
  // another upcall.
  const Word selector = atomic(shared_->vcpu_info[cpu].evtchn_pending_sel).exchange(0);
  if (selector == 0) return false;
  Port& next_port = cpus_[cpu].next_port;
  const unsigned first = next_port / kBits;
  const unsigned first_bit = next_port % kBits;
  for (unsigned i = 0; i <= kBits; ++i) {
    const unsigned index = (first + i) % kBits;
    if ((selector & (Word{1} << index)) == 0) continue;
    Word ready =
        atomic(shared_->evtchn_pending[index]).load() & ~atomic(shared_->evtchn_mask[index]).load();
    // The word that the round begins in is seen twice: its upper part now, the rest at the end.
    const Word upper = ~Word{0} << first_bit;
    if (i == 0) ready &= upper;
    if (i == kBits) ready &= ~upper;
    for (; ready != 0; ready &= ready - 1) {
      const Port port = index * kBits + static_cast<unsigned>(std::countr_zero(ready));
      next_port = (port + 1) % kPorts;
      sink.ready(cpu, port);
    }
  }
  return false;
}

}  // namespace ringside::xenbus
