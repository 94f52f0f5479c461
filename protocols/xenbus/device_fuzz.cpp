#include "protocols/xenbus/device.hpp"

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocols/platform/platform_fuzz.hpp"

using namespace ringside;
using namespace ringside::xenbus;

// One device whose store, back end, memory and suspends are whatever the input says. Aborts when
// the driver is called out of order, something is kept, or one input makes endless work.
namespace {

constexpr unsigned kMostReads = 200'000;  ///< of one input

class World final : public FakePlatform,
                    public Grants,
                    public Events,
                    public Store,
                    public Suspend {
 public:
  struct FakeWatch final : Watch {
    void destroy() override { world->watches.erase(this); }
    World* world = nullptr;
    std::string path;
    Delegate changed;
  };
  struct FakeCallback final : SuspendCallback {
    void destroy() override { std::erase(*list, this), delete this; }
    std::vector<FakeCallback*>* list = nullptr;
    Delegate call;
  };

  // --- grants and events: a device has none of its own ---
  Result<Owned<GrantCache>> create_cache(const char*, uint32_t, uint32_t) override {
    return Status::kNoMemory;
  }
  Result<Owned<EventChannel>> open_unbound(DomainId, Delegate, unsigned) override {
    return Status::kNoResources;
  }
  Result<Owned<EventChannel>> open_interdomain(DomainId, Port, Delegate, unsigned) override {
    return Status::kNoResources;
  }
  Result<Owned<EventChannel>> open_virq(uint32_t, Delegate, unsigned) override {
    return Status::kNoResources;
  }
  unsigned cpus() const override { return 1; }

  // --- store ---
  Result<platform::Buffer> read(Transaction, std::string_view path) override {
    CHECK(++reads < kMostReads);
    if (const Status status = trouble(); !ok(status)) return status;
    const auto found = nodes.find(std::string(path));
    if (found == nodes.end()) return Status::kNotFound;
    return platform::Buffer::copy(*this, found->second);
  }
  Status write(Transaction, std::string_view path, std::string_view value) override {
    if (const Status status = trouble(); !ok(status)) return status;
    nodes[std::string(path)] = value;
    fire(path);
    return Status::kOk;
  }
  Status make_directory(Transaction, std::string_view) override { return trouble(); }
  Status remove(Transaction, std::string_view path) override {
    if (const Status status = trouble(); !ok(status)) return status;
    return nodes.erase(std::string(path)) == 0 ? Status::kNotFound : Status::kOk;
  }
  Result<Listing> directory(Transaction, std::string_view) override { return Status::kNotFound; }
  Status set_permissions(Transaction, std::string_view, std::span<const Permission>) override {
    return trouble();
  }
  Result<Transaction> begin() override {
    if (const Status status = trouble(); !ok(status)) return status;
    ++transactions;
    return Transaction{.id = 1};
  }
  Status commit(Transaction) override {
    --transactions;
    return trouble();
  }
  void abort(Transaction) override { --transactions; }
  Result<Owned<Watch>> watch(std::string_view path, Delegate changed) override {
    if (const Status status = trouble(); !ok(status)) return status;
    auto one = std::make_unique<FakeWatch>();
    FakeWatch* const raw = one.get();
    raw->world = this;
    raw->path = path;
    raw->changed = changed;
    watches[raw] = std::move(one);
    changed();
    return Owned<Watch>(raw);
  }
  void fire(std::string_view path) {
    std::vector<Delegate> hit;
    for (const auto& [raw, one] : watches) {
      if (path.starts_with(one->path)) hit.push_back(one->changed);
    }
    for (const Delegate& changed : hit) changed();
  }

  // --- suspend ---
  Result<Owned<SuspendCallback>> add(SuspendPhase phase, Delegate callback) override {
    if (fails()) return Status::kNoMemory;
    auto* one = new FakeCallback;
    one->list = phase == SuspendPhase::kEarly ? &early : &late;
    one->call = callback;
    one->list->push_back(one);
    return Owned<SuspendCallback>(one);
  }
  Result<SuspendOutcome> trigger() override { return Status::kNotSupported; }
  uint32_t count() const override { return 0; }
  bool busy() const override { return false; }

  /// What the store answers once, when the input says so.
  Status trouble() {
    if (trouble_in == 0 || --trouble_in != 0) return Status::kOk;
    return next_trouble;
  }

  unsigned trouble_in = 0;
  Status next_trouble = Status::kAgain;
  unsigned reads = 0;
  int transactions = 0;
  std::map<std::string, std::string> nodes;
  std::map<FakeWatch*, std::unique_ptr<FakeWatch>> watches;
  std::vector<FakeCallback*> early, late;
};

/// Checks the order in which a device calls. [XENBUS-003..009]
struct Driver final : DeviceDriver {
  Status next() { return fail_next ? std::exchange(fail_next, false), answer : Status::kOk; }

  Status prepare(DomainId, const Node&) override {
    CHECK(!prepared);
    prepared = true;
    published = connected = stopped = false;
    return next();
  }
  Status publish(const Node& frontend) override {
    CHECK(prepared && !connected && !stopped);
    published = true;
    if (const Status status = next(); !ok(status)) return status;
    return frontend.write("ring-ref", "1");
  }
  Status connect(const Node&) override {
    CHECK(published && !connected && !stopped);
    if (const Status status = next(); !ok(status)) return status;
    connected = true;
    return Status::kOk;
  }
  void backend_changed(const Node&) override { CHECK(connected && !stopped); }
  bool may_eject() override { return eject; }
  void stop() override {
    CHECK(prepared && !stopped);
    stopped = true;
  }
  void release() override {
    CHECK(prepared);
    prepared = published = connected = false;
  }

  bool prepared = false, published = false, connected = false, stopped = false;
  bool eject = true, fail_next = false;
  Status answer = Status::kNoMemory;
};

constexpr const char* kFront = "device/vif/0";
constexpr const char* kBack = "/local/domain/0/backend/vif/1/0";

/// The input, byte by byte; zeroes behind its end.
struct Script {
  bool over() const { return at == bytes.size(); }
  uint8_t take() { return over() ? uint8_t{0} : bytes[at++]; }
  std::span<const uint8_t> bytes;
  size_t at = 0;
};

void put(World& world, const std::string& path, const std::string& value) {
  world.nodes[path] = value;
  world.fire(path);
}

void back_end_acts(World& world, Script& script) {
  static constexpr const char* kStates[] = {"0", "1", "2", "3", "4", "5",  "6",
                                            "7", "8", "9", "",  "x", "-1", "99999999999999999999"};
  const std::string back = kBack;
  const uint8_t what = script.take();
  switch (what % 6) {
    case 0: return put(world, back + "/state", kStates[script.take() % std::size(kStates)]);
    case 1: return put(world, back + "/online", script.take() % 2 == 0 ? "0" : "1");
    case 2:
      std::erase_if(world.nodes, [&](const auto& node) { return node.first.starts_with(back); });
      return world.fire(back);
    case 3: return put(world, std::string(kFront) + "/backend", script.take() % 3 == 0 ? "" : back);
    case 4:
      world.nodes.erase(std::string(kFront) + (script.take() % 2 == 0 ? "/backend" : "/state"));
      return world.fire(kFront);
    default: return put(world, back + "/sectors", std::to_string(script.take()));
  }
}

void run_deferred(World& world) {
  for (unsigned round = 0; round < 4; ++round) {
    for (FakeTimer& timer : world.timers) timer.fire();
    for (FakeWork& work : world.works) work.fire();
  }
}

void owner_acts(World& world, Device& device, Driver& driver, Script& script) {
  const uint8_t what = script.take();
  switch (what % 7) {
    case 0: (void)device.start(); break;
    case 1: device.close(); break;
    case 2: (void)device.reopen(); break;
    case 3: device.refuse_eject(); break;
    case 4: device.fail(Status::kPeerViolation); break;
    case 5: driver.eject = !driver.eject; break;
    default: driver.fail_next = true; break;
  }
  (void)world;
}

void step(World& world, Device& device, Driver& driver, Script& script) {
  switch (script.take() % 8) {
    case 0:
    case 1: return back_end_acts(world, script);
    case 2: return owner_acts(world, device, driver, script);
    case 3: world.fail_in = script.take() % 16; return;
    case 4:
      world.trouble_in = 1 + script.take() % 8;
      world.next_trouble = static_cast<Status>(1 + script.take() % 15);
      return;
    case 5:
      for (auto* callback : std::vector(world.early)) callback->call();
      for (auto* callback : std::vector(world.late)) callback->call();
      return;
    default: return run_deferred(world);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  Driver driver;
  Script script{{data, size}};
  put(world, std::string(kFront) + "/backend", kBack);
  put(world, std::string(kFront) + "/backend-id", "0");
  put(world, std::string(kFront) + "/state", "1");
  put(world, std::string(kBack) + "/state", "2");
  put(world, std::string(kBack) + "/online", "1");
  const auto published =
      script.take() % 2 == 0 ? DeviceState::kInitialised : DeviceState::kConnected;
  {
    auto device = Device::create({world, world, world, world, &world}, kFront, {published}, driver);
    if (!device) return 0;
    while (!script.over()) {
      step(world, **device, driver, script);
      CHECK(world.transactions == 0);
    }
    world.fail_in = world.trouble_in = 0;
    driver.fail_next = false;
    run_deferred(world);
  }
  CHECK(!driver.prepared);
  CHECK(world.blocks == 0 && world.watches.empty() && world.transactions == 0);
  CHECK(world.early.empty() && world.late.empty());
  return 0;
}
