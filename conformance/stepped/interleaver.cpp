#include "conformance/stepped/interleaver.hpp"

#include <algorithm>
#include <utility>

namespace ringside::conformance {
namespace {

Interleaver* running = nullptr;

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

}  // namespace

Interleaver* Interleaver::current() { return running; }

Interleaver::Outcome Interleaver::check(const Scenario& scenario) {
  Outcome outcome;
  Choices choices = Choices::exhaustive();
  seen_.clear();
  do {
    ++outcome.executions;
    outcome.violation = execute(scenario(), choices);
  } while (!outcome.violation && choices.next());
  outcome.states = seen_.size();
  return outcome;
}

std::optional<std::string> Interleaver::execute(const Execution& execution, Choices& choices) {
  threads_.clear();
  order_.clear();
  versions_.clear();
  for (const Thread& thread : execution.threads) {
    threads_.push_back({.fiber = std::make_unique<sim::Fiber>(thread.body), .thread = &thread});
  }
  // To their first access: nobody else can tell when.
  for (unsigned i = 0; i < threads_.size(); ++i) go_on(i);
  bool follow = true;
  for (;;) {
    const std::vector<unsigned> next = runnable();
    if (next.empty()) {
      if (wake_the_waiting()) continue;
      break;
    }
    // States on the way to the choice that is new this time are known, but lead to it.
    if (follow && !choices.replaying() && seen_before()) follow = false;
    unsigned taken = 0;
    if (follow && next.size() > 1) taken = choices.choose(static_cast<unsigned>(next.size()));
    go_on(next[taken]);
  }
  std::optional<std::string> violation = abandon_the_stuck();
  if (!violation) violation = execution.verdict();
  if (violation) *violation += "; the order was " + schedule();
  return violation;
}

void Interleaver::go_on(unsigned index) {
  self_ = index;
  ++threads_[index].steps;
  order_.push_back(index);
  running = this;
  threads_[index].fiber->enter();
  running = nullptr;
}

std::optional<std::string> Interleaver::abandon_the_stuck() {
  std::string stuck;
  for (Running& one : threads_) {
    if (one.fiber->returned()) continue;
    stuck += " " + one.thread->name;
    // Its stack can't be taken down in the middle of something: it is left where it is.
    (void)one.fiber.release();
  }
  if (stuck.empty()) return std::nullopt;
  return "threads wait for each other:" + stuck;
}

std::vector<unsigned> Interleaver::runnable() const {
  std::vector<unsigned> found;
  for (unsigned i = 0; i < threads_.size(); ++i) {
    const Running& one = threads_[i];
    if (one.fiber->returned()) continue;
    const bool ready = one.waits_for == nullptr || one.quiet || (*one.waits_for)();
    if (ready && one.thread->may_run()) found.push_back(i);
  }
  return found;
}

bool Interleaver::wake_the_waiting() {
  bool any = false;
  for (Running& one : threads_) {
    if (one.fiber->returned() || one.waits_for == nullptr || one.insists || one.quiet) continue;
    one.quiet = any = true;
  }
  return any;
}

bool Interleaver::seen_before() {
  uint64_t state = 0;
  for (const Running& one : threads_) {
    state = mix(state, one.history);
    state = mix(state, one.steps * 4 + (one.fiber->returned() ? 2 : 0) + (one.quiet ? 1 : 0));
  }
  return !seen_.insert(state).second;
}

void Interleaver::access(const volatile void* at, Access access) {
  Running& one = threads_[self_];
  const unsigned index = self_;
  one.fiber->leave();
  uint64_t& version = versions_[at];
  one.history = mix(mix(one.history, version), access == Access::kWrite ? 2 : 1);
  if (access == Access::kWrite) version = ++one.writes * 16 + index + 1;
}

bool Interleaver::tears() const {
  return !torn_.empty() && threads_[self_].thread->name.starts_with(torn_);
}

void Interleaver::block(const std::function<bool()>& ready) {
  threads_[self_].insists = true;
  (void)wait(ready);
}

bool Interleaver::wait(const std::function<bool()>& ready) {
  Running& one = threads_[self_];
  one.waits_for = &ready;
  one.fiber->leave();
  one.waits_for = nullptr;
  one.insists = false;
  return !std::exchange(one.quiet, false);
}

std::string Interleaver::schedule() const {
  std::string text;
  for (size_t i = 0; i < order_.size();) {
    size_t end = i;
    while (end < order_.size() && order_[end] == order_[i]) ++end;
    text += (text.empty() ? "" : ", ") + threads_[order_[i]].thread->name + " x" +
            std::to_string(end - i);
    i = end;
  }
  return text;
}

}  // namespace ringside::conformance
