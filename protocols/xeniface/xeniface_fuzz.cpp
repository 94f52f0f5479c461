#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/world_fuzz.hpp"

using namespace ringside;

// Programs with several handles that send whatever the input says, and a peer that maps what
// it is granted for as long as it likes. Aborts when a handle reaches another's objects, a
// page is reused that the peer maps, or anything is lost or answered twice.
namespace {

constexpr unsigned kHandles = 3;

struct Program final : xeniface::Caller {
  struct Mapping final : xeniface::UserMapping {
    Mapping(World& owner, xeniface::UserAddress where) : world(owner), at(where) {
      ++world.mappings;
    }
    xeniface::UserAddress address() const override { return at; }
    void keep() override {}
    void destroy() override {
      --world.mappings;
      delete this;
    }
    World& world;
    xeniface::UserAddress at;
  };

  explicit Program(World& owner) : world(owner) {
    for (platform::Page& page : own) page = *world.allocate_page();
  }
  ~Program() {
    for (const platform::Page& page : own) world.release_page(page);
  }
  bool is_administrator() const override { return true; }
  bool may_read_and_write() const override { return true; }
  Status read(xeniface::UserAddress from, std::span<std::byte> to) override {
    CHECK(to.size() <= xeniface::kMaxPath);
    if (from < kMemory || from > kMemory + 4096 || to.size() > kMemory + 4096 - from) {
      return Status::kAccessDenied;
    }
    std::memcpy(to.data(), own[0].address + (from - kMemory), to.size());
    return Status::kOk;
  }
  Result<Owned<platform::Event>> open_event(xeniface::UserHandle handle) override {
    if (handle % 4 != 0) return Status::kNotFound;
    return Owned<platform::Event>(new FakeEvent(world.event_references));
  }
  Result<Owned<xeniface::UserMapping>> map(std::span<const platform::Page> pages,
                                           xenbus::Access) override {
    for (const platform::Page& page : pages) std::memset(page.address, 0xff, 4096);
    return mapping(next_address += 0x10000);
  }
  Result<Owned<xeniface::UserMapping>> pin(xeniface::UserAddress address,
                                           std::span<platform::Page> pages,
                                           xenbus::Access) override {
    if (address < kMemory || address >= kMemory + own.size() * 4096) return Status::kAccessDenied;
    const size_t first = (address - kMemory) / 4096;
    if (pages.size() > own.size() - first) return Status::kAccessDenied;
    std::copy_n(own.begin() + static_cast<ptrdiff_t>(first), pages.size(), pages.begin());
    return mapping(address);
  }
  Result<Owned<xeniface::UserMapping>> mapping(xeniface::UserAddress at) {
    if (world.fails()) return Status::kNoMemory;
    return Owned<xeniface::UserMapping>(new Mapping(world, at));
  }

  static constexpr xeniface::UserAddress kMemory = 0x10000;
  World& world;
  std::array<platform::Page, 3> own;
  xeniface::UserAddress next_address = 0x100000;
};

struct Irp final : xeniface::PendingRequest {
  Status deliver(std::span<const std::byte>) override {
    CHECK(!std::exchange(delivered, true));
    return world->fails() ? Status::kAccessDenied : Status::kOk;
  }
  void complete(xeniface::NtStatus) override {
    // Whoever ends it is its own handle.
    CHECK(*acting == handle && !std::exchange(completed, true));
  }
  World* world = nullptr;
  const int* acting = nullptr;
  int handle = 0;
  bool delivered = false, pending = false, completed = false;
};

class Session {
 public:
  explicit Session(FuzzInput& source) : source_(source) {
    for (auto& one : programs_) one.emplace(world_);
    gateway_ = *xeniface::Gateway::create(
        {.services = {world_, world_, world_, world_}, .foreign = &world_});
    for (int i = 0; i < int{kHandles}; ++i) open(i);
  }
  ~Session() {
    world_.fail_in = 0;
    for (acting_ = 0; acting_ < int{kHandles}; ++acting_) handles_[index()].reset();
    for (const Irp& irp : irps_) CHECK(irp.completed == irp.pending);
    for (World::Grant& one : world_.grants) world_.unmap(one);
    { const auto last = std::move(gateway_); }
    for (auto& one : programs_) one.reset();
    CHECK(world_.blocks == 0 && world_.pages == 0 && world_.caches == 0 && world_.mappings == 0);
    CHECK(world_.event_references == 0 && world_.channels.empty() && world_.watches.empty());
    for (const World::Grant& one : world_.grants) CHECK(!one.taken);
  }

  void step() {
    const uint8_t what = source_.byte();
    acting_ = source_.byte() % int{kHandles};
    switch (what % 9) {
      case 0:
      case 1: return dispatch();
      case 2: return cancel();
      case 3: return handles_[index()] ? handles_[index()]->cleanup() : void(0);
      case 4: return open(acting_);
      case 5: return peer();
      case 6: return happen();
      case 7: {
        std::byte* const memory = programs_[index()]->own[0].address;
        const size_t at = source_.double_word() % 4096;
        const size_t count = std::min<size_t>(source_.byte() % 64, 4096 - at);
        for (size_t i = 0; i < count; ++i) memory[at + i] = std::byte{source_.byte()};
        return;
      }
      case 8: world_.fail_in = source_.byte(); return;
    }
  }

 private:
  size_t index() const { return static_cast<size_t>(acting_); }

  void open(int which) {
    acting_ = which;
    handles_[index()].reset();
    world_.fail_in = 0;
    handles_[index()] = *gateway_->open(*programs_[index()]);
  }

  void dispatch() {
    static constexpr uint32_t kFunctions[] = {
        0x800, 0x801, 0x802, 0x803, 0x804, 0x805, 0x806, 0x810, 0x811, 0x812, 0x813, 0x814, 0x820,
        0x821, 0x822, 0x823, 0x824, 0x825, 0x826, 0x827, 0x830, 0x831, 0x832, 0x840, 0x84f};
    const uint8_t which = source_.byte();
    const uint8_t flags = source_.byte();
    const uint32_t method = (which >= 12 && which < 20 && which % 2 == 0) ? 3 : 0;
    const uint32_t code = which < std::size(kFunctions)
                              ? xeniface::control_code(kFunctions[which], method)
                              : source_.double_word();
    const size_t input = (flags & 1) != 0 ? source_.double_word() % 8192 : source_.byte() % 64;
    const size_t output = (flags & 2) != 0 ? source_.double_word() % 8192 : source_.byte();
    // Exactly as long as the contract wants, so that a byte beyond is an error of memory.
    std::vector<std::byte> buffer(xeniface::is_buffered(code) ? std::max(input, output) : input);
    for (size_t i = 0; i < std::min<size_t>(input, 128); ++i) buffer[i] = std::byte{source_.byte()};
    Irp& irp = irps_.emplace_back();
    irp.world = &world_;
    irp.acting = &acting_;
    irp.handle = acting_;
    const xeniface::Answer answer = handles_[index()]->dispatch(
        {.code = code,
         .buffer = buffer,
         .input_length = static_cast<uint32_t>(input),
         .output_length = static_cast<uint32_t>(output),
         .width = (flags & 4) != 0 ? xeniface::Width::k32 : xeniface::Width::k64,
         .pending = (flags & 8) != 0 ? nullptr : &irp});
    irp.pending = answer.status == xeniface::NtStatus::kPending;
    CHECK(!irp.pending || irp.delivered);
    CHECK(answer.status != xeniface::NtStatus::kSuccess || answer.information <= output);
    CHECK(static_cast<uint32_t>(answer.status) < 0x80000000 || answer.information == 0 ||
          answer.status == xeniface::NtStatus::kBufferOverflow);
  }

  void cancel() {
    if (irps_.empty()) return;
    Irp& irp = irps_[source_.byte() % irps_.size()];
    if (irp.pending) handles_[index()]->cancel(irp);
  }

  void peer() {
    World::Grant& one = world_.grants[source_.byte()];
    if (!one.live) return;
    if (one.mapped) return world_.unmap(one);
    one.mapped = !one.parked;
  }

  /// An event, a change in the store, or time passes.
  void happen() {
    for (auto& [port, channel] : world_.channels) channel.handler();
    for (auto& [raw, watch] : world_.watches) watch->changed();
    for (FakeTimer& timer : world_.timers) timer.fire();
    for (FakeWork& work : world_.works) work.fire();
    world_.value_length = source_.byte() % (world_.value.size() + 1);
    for (uint8_t& byte : world_.value) byte = source_.byte();
  }

  FuzzInput& source_;
  World world_;
  std::array<std::optional<Program>, kHandles> programs_;
  platform::Box<xeniface::Gateway> gateway_;
  std::array<Owned<xeniface::Handle>, kHandles> handles_;
  std::deque<Irp> irps_;
  int acting_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput source{data, size};
  Session session(source);
  for (int steps = 0; !source.over() && steps < 200; ++steps) session.step();
  return 0;
}
