#include "sim/guest/platform.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "sim/guest/lock.hpp"

namespace ringside::sim {

using platform::Frame;
using platform::kMaxRangePages;
using platform::Nanoseconds;
using platform::Page;
using platform::PageRange;

GuestPlatform::GuestPlatform(Machine& machine, Domain& domain)
    : world_(machine.world()), domain_(&domain), random_(machine.world().random().fork()) {
  for (unsigned i = 0; i < domain.vcpus(); ++i) {
    vcpus_.push_back(std::make_unique<Vcpu>(machine, domain, i));
  }
}

void GuestPlatform::release(void* memory) {
  RINGSIDE_ASSERT(*this, memory == nullptr || heap_.release(memory));
}

Result<Page> GuestPlatform::allocate_page() {
  const auto range = allocate_pages(1);
  if (!range) return range.status();
  return Page{.address = range->address, .frame = range->frames[0]};
}

void GuestPlatform::release_page(Page page) {
  PageRange range{.address = page.address, .count = 1};
  range.frames[0] = page.frame;
  release_pages(range);
}

Result<PageRange> GuestPlatform::allocate_pages(unsigned count) {
  if (count == 0 || count > kMaxRangePages) return Status::kInvalidArgument;
  if (heap_.fails()) return Status::kNoMemory;
  const auto gfns = domain().allocate_pages(count);
  if (gfns.empty()) return Status::kNoMemory;
  PageRange range{.address = domain().page_address(gfns[0]), .count = count};
  std::copy(gfns.begin(), gfns.end(), range.frames.begin());
  const std::lock_guard lock(mutex_);
  pages_[gfns[0]] = count;
  return range;
}

void GuestPlatform::release_pages(const PageRange& pages) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pages_.find(pages.frames[0]);
    known = found != pages_.end() && found->second == pages.count;
    if (known) pages_.erase(found);
  }
  RINGSIDE_ASSERT(*this, known);
  RINGSIDE_ASSERT(*this, domain().page_address(pages.frames[0]) == pages.address);
  domain().release_pages(std::span(pages.frames).first(pages.count));
}

Result<Frame> GuestPlatform::reserve_frames(unsigned count) {
  if (heap_.fails()) return Status::kNoMemory;
  const uint64_t first = domain().reserve_frames(count);
  if (first == Domain::kNoFrame) return Status::kNoMemory;
  const std::lock_guard lock(mutex_);
  reserved_[first] = count;
  return first;
}

void GuestPlatform::release_frames(Frame first, unsigned count) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = reserved_.find(first);
    known = found != reserved_.end() && found->second == count;
    if (known) reserved_.erase(found);
  }
  RINGSIDE_ASSERT(*this, known);
  domain().release_frames(first, count);
}

Result<std::byte*> GuestPlatform::map_frame(Frame frame) {
  std::byte* address = domain().page_address(frame);
  if (address == nullptr) return Status::kInvalidArgument;
  const std::lock_guard lock(mutex_);
  ++mapped_[address];
  return address;
}

void GuestPlatform::unmap_frame(std::byte* address) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = mapped_.find(address);
    known = found != mapped_.end();
    if (known && --found->second == 0) mapped_.erase(found);
  }
  RINGSIDE_ASSERT(*this, known);
}

Vcpu* GuestPlatform::current_vcpu() {
  const Actor* self = Actor::current();
  if (self == nullptr || self->place().vcpu >= vcpus_.size()) return nullptr;
  Vcpu* vcpu = vcpus_[self->place().vcpu].get();
  return vcpu->is_current() ? vcpu : nullptr;
}

unsigned GuestPlatform::cpu() {
  const Vcpu* self = current_vcpu();
  return self == nullptr ? 0 : self->index();
}

Result<unsigned> GuestPlatform::take_frames(std::span<Frame> frames) {
  if (heap_.fails()) return Status::kNoMemory;
  const auto gfns = domain().take_spare(frames.size());
  std::ranges::copy(gfns, frames.begin());
  return static_cast<unsigned>(gfns.size());
}

void GuestPlatform::give_frames(std::span<const Frame> frames) { domain().give_spare(frames); }

bool GuestPlatform::low_on_memory() {
  // As Windows does: when so little is free, programs are about to feel it.
  return domain().spare_pages() < low_memory_pages_.load();
}

Status GuestPlatform::wait_until(platform::Event& event, Nanoseconds deadline) {
  auto& awaited = static_cast<GuestEvent&>(event);
  Vcpu* self = current_vcpu();
  if (self == nullptr) return wait_outside(awaited, deadline);
  RINGSIDE_ASSERT(*this, !self->at_dispatch());
  return self->wait_until(awaited, deadline);
}

Status GuestPlatform::wait_outside(GuestEvent& event, Nanoseconds deadline) {
  const auto is_set = [&event] { return event.is_set(); };
  constexpr Nanoseconds kStep = 10'000;
  World& world = world_;
  if (Actor* self = Actor::current()) {
    while (!self->wait(is_set, std::min(deadline, world.now() + kStep))) {
      if (world.now() >= deadline) return Status::kTimedOut;
    }
    return Status::kOk;
  }
  const Nanoseconds now = world.now();
  const bool set = world.run_until(is_set, deadline > now ? deadline - now : 0);
  return set ? Status::kOk : Status::kTimedOut;
}

void GuestPlatform::yield() {
  Actor* self = Actor::current();
  if (self == nullptr) return;
  if (Vcpu* vcpu = current_vcpu(); vcpu != nullptr && vcpu->stopping()) {
    vcpu->count_stopped_wait();
  }
  self->yield();
}

Result<Owned<platform::Event>> GuestPlatform::create_event() {
  if (heap_.fails()) return Status::kNoMemory;
  return Owned<platform::Event>(new GuestEvent(&counts_.events));
}

Result<Owned<platform::Lock>> GuestPlatform::create_lock() {
  if (heap_.fails()) return Status::kNoMemory;
  return Owned<platform::Lock>(new GuestLock(&counts_.locks, *this));
}

Result<Owned<platform::Timer>> GuestPlatform::create_timer(Delegate expired, unsigned cpu) {
  if (cpu >= vcpus_.size()) return Status::kInvalidArgument;
  if (heap_.fails()) return Status::kNoMemory;
  return Owned<platform::Timer>(new GuestTimer(&counts_.timers, *vcpus_[cpu], expired));
}

Result<Owned<platform::Work>> GuestPlatform::create_work(Delegate run, unsigned cpu) {
  if (cpu >= vcpus_.size()) return Status::kInvalidArgument;
  if (heap_.fails()) return Status::kNoMemory;
  return Owned<platform::Work>(new GuestWork(&counts_.works, *vcpus_[cpu], run));
}

void GuestPlatform::set_upcall(unsigned cpu, Delegate upcall) {
  RINGSIDE_ASSERT(*this, cpu < vcpus_.size());
  vcpus_[cpu]->set_upcall(upcall);
}

uint8_t GuestPlatform::upcall_vector(unsigned cpu) {
  constexpr uint8_t kFirst = 0xb0;
  return static_cast<uint8_t>(kFirst + cpu % 0x40);
}

uint32_t GuestPlatform::upcall_line() {
  constexpr uint32_t kPlatformDeviceGsi = 28;
  return kPlatformDeviceGsi;
}

Status GuestPlatform::run_alone(Delegate body) {
  Vcpu* self = current_vcpu();
  if (self == nullptr) return Status::kNotSupported;
  RINGSIDE_ASSERT(*this, !self->at_dispatch());
  /// The other vCPUs, kept as long as this lives.
  struct Alone {
    GuestPlatform& platform;
    Vcpu& self;
    Alone(GuestPlatform& guest, Vcpu& vcpu) : platform(guest), self(vcpu) {
      self.enter_dispatch();
      for_others([](Vcpu& other) { other.hold(); });
      for_others([this](Vcpu& other) {
        while (!other.held()) platform.yield();
      });
    }
    ~Alone() {
      for_others([](Vcpu& other) { other.let_go(); });
      self.leave_dispatch();
    }
    void for_others(const std::function<void(Vcpu&)>& act) const {
      for (const auto& vcpu : platform.vcpus_) {
        if (vcpu.get() != &self) act(*vcpu);
      }
    }
  };
  const Alone alone(*this, *self);
  body();
  return Status::kOk;
}

void GuestPlatform::move_to(Domain& domain) {
  domain_.store(&domain);
  for (const auto& vcpu : vcpus_) vcpu->move_to(domain);
}

uint64_t GuestPlatform::random() {
  const std::lock_guard lock(mutex_);
  return random_.next();
}

void GuestPlatform::log(platform::LogLevel level, std::string_view line) {
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  constexpr size_t kKept = 10'000;
  std::function<void(platform::LogLevel, std::string_view)> listener;
  {
    const std::lock_guard lock(mutex_);
    if (lines_.size() < kKept) {
      lines_.push_back(kNames[static_cast<size_t>(level)] + (": " + std::string(line)));
    }
    listener = listener_;
  }
  if (listener) listener(level, line);
}

uint32_t GuestPlatform::setting(std::string_view name, uint32_t fallback) {
  const std::lock_guard lock(mutex_);
  const auto found = settings_.find(name);
  return found == settings_.end() ? fallback : found->second;
}

Status GuestPlatform::store_setting(std::string_view name, uint32_t value) {
  if (heap_.fails()) return Status::kNoMemory;
  set_setting(std::string(name), value);
  return Status::kOk;
}

uint32_t GuestPlatform::read_port(uint16_t port, unsigned bytes) {
  PortDevice* device = domain().port_device();
  const uint32_t all_ones = bytes == 4 ? ~0u : (1u << 8 * bytes) - 1;
  const uint32_t value = device == nullptr ? all_ones : device->read(port, bytes) & all_ones;
  world_.trace().record(Trace::Kind::kPort, "in", {domain().id(), port, bytes, value});
  return value;
}

void GuestPlatform::write_port(uint16_t port, unsigned bytes, uint32_t value) {
  world_.trace().record(Trace::Kind::kPort, "out", {domain().id(), port, bytes, value});
  if (PortDevice* device = domain().port_device()) device->write(port, bytes, value);
}

void GuestPlatform::fail(const char* file, int line, const char* condition) {
  for (const std::string& step : world_.trace().recent()) {
    std::fprintf(stderr, "%s\n", step.c_str());
  }
  std::fprintf(stderr, "%s:%d: %s: broken invariant: %s (seed %llu)\n", file, line,
               domain().name().c_str(), condition, static_cast<unsigned long long>(world_.seed()));
  std::abort();
}

void GuestPlatform::set_setting(std::string name, uint32_t value) {
  const std::lock_guard lock(mutex_);
  settings_[std::move(name)] = value;
}

std::vector<std::string> GuestPlatform::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

void GuestPlatform::on_log(std::function<void(platform::LogLevel, std::string_view)> listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void GuestPlatform::stop() {
  for (const auto& vcpu : vcpus_) vcpu->stop();
}

std::vector<std::string> GuestPlatform::audit() const {
  const std::string who = "domain " + std::to_string(domain().id()) + ": ";
  std::vector<std::string> findings;
  heap_.audit(findings);
  const auto count = [&](const char* what, int number) {
    if (number != 0) {
      findings.push_back(std::to_string(number) + ' ' + what + " not destroyed");
    }
  };
  count("events were", counts_.events.load());
  count("locks were", counts_.locks.load());
  count("timers were", counts_.timers.load());
  count("work items were", counts_.works.load());
  const std::lock_guard lock(mutex_);
  for (const auto& [gfn, pages] : pages_) {
    findings.push_back(std::to_string(pages) + " pages at gfn " + std::to_string(gfn) +
                       " were not released");
  }
  for (const auto& [gfn, frames] : reserved_) {
    findings.push_back(std::to_string(frames) + " reserved frames at " + std::to_string(gfn) +
                       " were not released");
  }
  if (!mapped_.empty()) {
    findings.push_back(std::to_string(mapped_.size()) + " frames were not unmapped");
  }
  for (std::string& finding : findings) finding.insert(0, who);
  return findings;
}

}  // namespace ringside::sim
