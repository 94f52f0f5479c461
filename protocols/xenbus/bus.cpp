#include "protocols/xenbus/bus.hpp"

#include <utility>

#include "protocols/platform/line.hpp"

namespace ringside::xenbus {

Bus::Bus(platform::Platform& platform, Hypercall& hypercall, Directory* below)
    : platform_(platform),
      xen_(hypercall),
      unplug_(platform),
      shared_info_(platform, xen_),
      grants_(platform, xen_),
      foreign_(platform, xen_),
      events_(platform, xen_),
      debug_(platform, events_, unplug_.ports()),
      store_(platform, xen_, events_),
      console_(platform, xen_, events_),
      suspend_(platform, xen_),
      balloon_(platform, xen_, suspend_),
      directory_(platform, *this, below) {}

Bus::~Bus() = default;

Result<platform::Box<Bus>> Bus::create(platform::Platform& platform, Hypercall& hypercall,
                                       Directory* below) {
  auto bus = platform::Box<Bus>::create(platform, platform, hypercall, below);
  if (!bus) return bus.status();
  const Status status = (*bus)->start();
  if (!ok(status)) return status;
  return *std::move(bus);
}

Status Bus::start() {
  // UNPLUG-003: refused drivers touch nothing else.
  Status status = unplug_.start();
  if (!ok(status)) return status;
  auto never = platform_.create_event();
  if (!never) return never.status();
  never_ = *std::move(never);
  status = shared_info_.start();
  if (ok(status)) status = grants_.start();
  if (ok(status)) status = events_.start(shared_info_.address());
  if (ok(status)) status = debug_.start();
  if (ok(status)) status = store_.start();
  if (ok(status)) status = console_.start();
  if (ok(status)) status = suspend_.start();
  if (ok(status)) status = balloon_.start();
  if (ok(status)) status = directory_.start();
  if (!ok(status)) return status;
  // CONTROL-004: XENBUS's own come first, as all others stand on it.
  auto early = suspend_.add(SuspendPhase::kEarly, Delegate::to<&Bus::resume_early>(*this));
  if (!early) return early.status();
  auto late = suspend_.add(SuspendPhase::kLate, Delegate::to<&Bus::resume_late>(*this));
  if (!late) return late.status();
  early_ = *std::move(early);
  late_ = *std::move(late);
  auto telling = debug_.add("XENBUS", Delegate::to<&Bus::tell>(*this));
  if (!telling) return telling.status();
  telling_ = *std::move(telling);
  return Status::kOk;
}

void Bus::resume_early() {
  // CONTROL-005: Xen knows nothing of what the former domain had. Without these pages there is
  // no way on, and no one to tell.
  RINGSIDE_ASSERT(platform_, ok(shared_info_.resume()));
  RINGSIDE_ASSERT(platform_, ok(grants_.resume()));
  unplug_.resume();
  foreign_.resume();
  events_.resume(shared_info_.address());
  store_.disconnect();
  console_.disconnect();
}

void Bus::resume_late() {
  if (!ok(insist([this] { return store_.resume(); }, "no store after the resume"))) {
    store_.give_up();
  }
  (void)insist([this] { return console_.resume(); }, "no console after the resume");
  (void)insist([this] { return debug_.resume(); }, "no debug interrupt after the resume");
}

template <typename Step>
Status Bus::insist(Step step, std::string_view complaint) {
  Status status = step();
  for (unsigned tries = 1; may_pass(status) && tries < kLateTries; ++tries) {
    (void)platform_.wait_until(*never_, platform_.now() + kLatePause);
    status = step();
  }
  if (!ok(status)) platform_.log(platform::LogLevel::kError, complaint);
  return status;
}

void Bus::tell() {
  platform::Line line;
  line.text("XENBUS: grant version ").number(grants_.version());
  line.text(", free references ").number(grants_.free_references());
  line.text(", parked ").number(grants_.parked());
  line.text(events_.uses_fifo() ? ", FIFO events" : ", two-level events");
  line.text(", resumed ").number(suspend_.count()).text(" times");
  debug_.print(line.view());
}

}  // namespace ringside::xenbus
