#include "protocols/xenvif/queue.hpp"

#include <sanitizer/asan_interface.h>

#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocols/platform/platform_fuzz.hpp"
#include "protocols/platform/xen.hpp"

using namespace ringside;

// One queue whose back end answers whatever the input says. Aborts when a packet ends twice or
// never, when the client is handed a page that the back end can still write, or when anything is
// kept. The number of hostile answers is printed at the end.
namespace {

uint64_t hostile_answers = 0;

struct Input {
  uint8_t byte() { return at < size ? data[at++] : uint8_t{0}; }
  uint16_t word() { return static_cast<uint16_t>(byte() | byte() << 8); }
  bool over() const { return at >= size; }
  const uint8_t* data;
  size_t size;
  size_t at = 0;
};

/// Grants, channels and the store's few nodes.
class World final : public FakePlatform,
                    public xenbus::Grants,
                    public xenbus::Events,
                    public xenbus::Store {
 public:
  struct Grant {
    platform::Frame frame = 0;
    xenbus::Access access = xenbus::Access::kReadOnly;
    bool live = false, mapped = false, parked = false;
    platform::Page page;  ///< parked with it, or none
  };
  struct Cache final : xenbus::GrantCache {
    explicit Cache(World& owner) : world(owner) {}
    Result<xenbus::GrantRef> permit(xenbus::DomainId, platform::Frame frame,
                                    xenbus::Access access) override {
      if (world.fails()) return Status::kNoResources;
      if (world.free.empty()) {
        world.free.push_back(static_cast<uint32_t>(world.grants.size()));
        world.grants.emplace_back();
      }
      const uint32_t ref = world.free.back();
      world.free.pop_back();
      world.grants[ref] = {.frame = frame, .access = access, .live = true, .page = {}};
      ++world.granted[frame];
      return uint32_t{ref};
    }
    Status revoke(xenbus::GrantRef ref) override {
      CHECK(world.grants.at(ref).live);
      if (world.grants[ref].mapped) return Status::kBusy;
      world.end(ref);
      return Status::kOk;
    }
    void park(xenbus::GrantRef ref, platform::Page page) override {
      CHECK(world.grants.at(ref).mapped);
      world.grants[ref].parked = true;
      world.grants[ref].page = page;
    }
    void destroy() override { delete this; }
    World& world;
  };
  struct Channel final : xenbus::EventChannel {
    xenbus::Port port() const override { return 1; }
    void notify() override {}
    void set_auto_mask(bool) override {}
    void mask() override {}
    bool unmask() override { return false; }
    void found_nothing() override {}
    void trigger() override {}
    Status bind(unsigned) override { return Status::kNotSupported; }
    uint32_t count() const override { return 0; }
    Status wait(uint32_t, platform::Nanoseconds) override { return Status::kTimedOut; }
    void destroy() override { std::erase(world->channels, this), delete this; }
    World* world = nullptr;
    Delegate handler;
  };

  void end(uint32_t ref) {
    --granted[grants[ref].frame];
    grants[ref] = {};
    free.push_back(ref);
  }
  void let_go() {
    for (uint32_t ref = 0; ref < grants.size(); ++ref) {
      grants[ref].mapped = false;
      if (!grants[ref].parked) continue;
      if (grants[ref].page) release_page(grants[ref].page);
      end(ref);
    }
  }
  // Six hundred pages go with each connection: they are kept, and out of bounds meanwhile.
  Result<platform::Page> allocate_page() override {
    if (fails()) return Status::kNoMemory;
    if (stock.empty()) stock.push_back(static_cast<std::byte*>(std::aligned_alloc(4096, 4096)));
    std::byte* address = stock.back();
    stock.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(address, 4096);
    std::memset(address, 0, 4096);
    ++pages;
    at[++last_frame] = address;
    return platform::Page{address, platform::Frame{last_frame}};
  }
  void release_page(platform::Page page) override {
    CHECK(at.erase(page.frame) == 1);
    ASAN_POISON_MEMORY_REGION(page.address, 4096);
    stock.push_back(page.address);
    --pages;
  }

  Result<Owned<xenbus::GrantCache>> create_cache(const char*, uint32_t, uint32_t) override {
    if (fails()) return Status::kNoMemory;
    return Owned<xenbus::GrantCache>(new Cache(*this));
  }
  Result<Owned<xenbus::EventChannel>> open_unbound(xenbus::DomainId, Delegate handler,
                                                   unsigned) override {
    if (fails()) return Status::kNoResources;
    auto* channel = new Channel;
    channel->world = this;
    channel->handler = handler;
    channels.push_back(channel);
    return Owned<xenbus::EventChannel>(channel);
  }
  Result<Owned<xenbus::EventChannel>> open_interdomain(xenbus::DomainId, xenbus::Port, Delegate,
                                                       unsigned) override {
    return Status::kNotSupported;
  }
  Result<Owned<xenbus::EventChannel>> open_virq(uint32_t, Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  unsigned cpus() const override { return 1; }

  Result<platform::Buffer> read(xenbus::Transaction, std::string_view) override {
    return Status::kNotFound;
  }
  Status write(xenbus::Transaction, std::string_view path, std::string_view value) override {
    nodes[std::string(path)] = static_cast<uint32_t>(std::stoul(std::string(value)));
    return Status::kOk;
  }
  Status make_directory(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Status remove(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Result<xenbus::Listing> directory(xenbus::Transaction, std::string_view) override {
    return Status::kNotFound;
  }
  Status set_permissions(xenbus::Transaction, std::string_view,
                         std::span<const xenbus::Permission>) override {
    return Status::kOk;
  }
  Result<xenbus::Transaction> begin() override { return xenbus::Transaction{}; }
  Status commit(xenbus::Transaction) override { return Status::kOk; }
  void abort(xenbus::Transaction) override {}
  Result<Owned<xenbus::Watch>> watch(std::string_view, Delegate) override {
    return Status::kNotSupported;
  }

  static inline std::vector<std::byte*>& stock = *new std::vector<std::byte*>;  // never freed
  std::vector<Grant> grants{32};
  std::vector<uint32_t> free;
  std::unordered_map<platform::Frame, int> granted;
  std::unordered_map<platform::Frame, std::byte*> at;
  std::map<std::string, uint32_t> nodes;
  std::vector<Channel*> channels;
};

class Driven final : xenvif::Client, xenvif::Queue::Owner {
 public:
  explicit Driven(Input input) : input_(input) {
    for (platform::Page& page : pages_) page = *world_.allocate_page();
    CHECK(ok(hash_.start(world_)));
    const uint8_t features = input_.byte();
    features_ = {.scatter_gather = (features & 1) != 0,
                 .gso_v4 = (features & 2) != 0,
                 .gso_v6 = (features & 4) != 0,
                 .checksum_v4 = (features & 8) != 0,
                 .checksum_v6 = (features & 16) != 0,
                 .split_channels = (features & 32) != 0,
                 .multicast = true};
    settings_.trusted = (features & 64) == 0;
    if ((features & 128) != 0) hash_.set({.types = xenvif::kAllHashTypes});
    hash_.set_accepted((features & 128) != 0);
    queue_.emplace(services_, 0, static_cast<xenvif::Client&>(*this),
                   static_cast<xenvif::Queue::Owner&>(*this));
  }

  void run() {
    connect();
    while (!input_.over()) step();
    world_.fail_in = 0;
    disconnect();
    give_back(kept_.size());
    queue_.reset();
    world_.let_go();
    CHECK(under_way_.empty() && world_.channels.empty());
    for (const platform::Page& page : pages_) world_.release_page(page);
    CHECK(world_.pages == 0 && world_.event_references == 0);
    // The lock of the hash is left.
    for (const World::Grant& grant : world_.grants) CHECK(!grant.live);
  }

 private:
  void connect() {
    connected_ = ok(queue_->prepare(7, features_, settings_, hash_));
    if (!connected_) return queue_->release();
    (void)queue_->publish(xenbus::Node(world_, xenbus::kNoTransaction, "q"));
    tx_ = ring("q/tx-ring-ref");
    rx_ = ring("q/rx-ring-ref");
    tx_done_ = rx_done_ = 0;
    queue_->start();
  }
  void disconnect() {
    queue_->stop();
    queue_->release();
    connected_ = false;
  }
  std::byte* ring(const char* node) {
    return world_.at.at(world_.grants.at(world_.nodes.at(node)).frame);
  }
  uint32_t& index(std::byte* ring, size_t which) {
    return reinterpret_cast<uint32_t*>(ring)[which];  // req_prod, req_event, rsp_prod, rsp_event
  }
  template <typename T>
  T& slot(std::byte* ring, uint32_t number, size_t stride) {
    return *reinterpret_cast<T*>(ring + 64 + number % 256 * stride);
  }

  void step() {
    const uint8_t what = input_.byte();
    if (!connected_ || failed_) {
      if (connected_) disconnect();
      failed_ = false;
      return connect();
    }
    switch (what % 11) {
      case 0: return transmit();
      case 1: return answer_tx(what / 11, false);
      case 2: return answer_tx(1 + what / 11, true);
      case 3: return answer_rx(what / 11, false);
      case 4: return answer_rx(1 + what / 11, true);
      case 5:
        for (const World::Channel* channel : std::vector(world_.channels)) channel->handler();
        return;
      case 6: return give_back(what / 11);
      case 7: return world_.fire_timers();
      case 8: return hold(what);
      case 9: index((what & 64) ? tx_ : rx_, 2) += input_.byte() - 128u; return;
      default: return seldom(what / 11);
    }
  }
  void seldom(unsigned what) {
    switch (what % 4) {
      case 0: return disconnect();
      case 1: world_.fail_in = input_.byte(); return;
      case 2: world_.let_go(); return;
      default: {
        const xenvif::MacAddress address{1, 0, 0, 0, 0, input_.byte()};
        (void)queue_->set_multicast({&address, 1});
      }
    }
  }
  void hold(uint8_t what) {
    const auto ref = 32 + input_.word() % (world_.grants.size() - 31);
    if (ref < world_.grants.size() && world_.grants[ref].live) {
      world_.grants[ref].mapped = (what & 64) != 0;
    }
  }
  void transmit() {
    std::array<xenvif::Fragment, 24> fragments;
    const unsigned count = input_.byte() % fragments.size();
    for (unsigned i = 0; i < count; ++i) {
      const platform::Page& page = pages_[input_.byte() % pages_.size()];
      const auto offset = static_cast<uint16_t>(input_.byte() * 16);
      const auto length = static_cast<uint16_t>(input_.byte() * 17);
      fragments[i] = {page.address + offset % 4096, page.frame, offset, length};
    }
    const uint8_t how = input_.byte();
    const uint64_t cookie = ++cookie_;
    under_way_.insert(cookie);
    const Status status =
        queue_->transmit({.fragments = std::span(fragments).first(count),
                          .checksum = static_cast<xenvif::Checksum>(how % 3),
                          .gso = {static_cast<xenvif::GsoType>(how / 3 % 3), input_.byte()},
                          .hash = {xenvif::HashType::kIpv4, 5},
                          .cookie = cookie});
    if (!ok(status)) under_way_.erase(cookie);
    queue_->flush();
  }
  void answer_tx(unsigned count, bool hostile) {
    for (; count > 0 && tx_done_ != index(tx_, 0); --count, ++tx_done_) {
      const auto request = slot<netif_tx_request_t>(tx_, tx_done_, 12);
      netif_tx_response_t response{request.id, NETIF_RSP_OKAY};
      if (hostile) {
        ++hostile_answers;
        response.status = static_cast<int16_t>(static_cast<int8_t>(input_.byte()));
        if (input_.byte() > 240) response.id = input_.word();
      }
      slot<netif_tx_response_t>(tx_, tx_done_, 12) = response;
      index(tx_, 2) = tx_done_ + 1;
    }
  }
  void answer_rx(unsigned count, bool hostile) {
    for (; count > 0 && rx_done_ != index(rx_, 0); --count, ++rx_done_) {
      const auto request = slot<netif_rx_request_t>(rx_, rx_done_, 8);
      netif_rx_response_t response{request.id, 0, 0, 60};
      if (hostile) {
        ++hostile_answers;
        if (input_.byte() > 200) response.id = input_.word();
        response.offset = input_.word();
        response.flags = input_.byte() % 64;
        response.status = static_cast<int16_t>(input_.word());
      }
      slot<netif_rx_response_t>(rx_, rx_done_, 8) = response;
      index(rx_, 2) = rx_done_ + 1;
    }
  }
  void give_back(size_t count) {
    for (; count > 0 && !kept_.empty(); --count) {
      const xenvif::RxPacket packet = kept_.back();
      kept_.pop_back();
      queue_->give_back(packet);
    }
  }

  void transmitted(xenvif::Queue&, uint64_t cookie, xenvif::TxStatus status) override {
    CHECK(under_way_.erase(cookie) == 1);
    (void)status;
  }
  void room(xenvif::Queue&) override {}
  void received(xenvif::Queue&, const xenvif::RxPacket& packet) override {
    uint32_t length = 0;
    for (const xenvif::Fragment& fragment : packet.fragments) {
      CHECK(fragment.offset + fragment.length <= 4096);
      CHECK(fragment.address == world_.at.at(fragment.frame) + fragment.offset);
      CHECK(world_.granted[fragment.frame] == 0);
      length += fragment.length;
    }
    CHECK(length == packet.length && length >= 14);
    kept_.push_back(packet);
  }
  void link_changed(xenvif::LinkState) override {}
  void queue_failed(Status) override { failed_ = true; }
  void queue_started(xenvif::Queue&) override {}

  Input input_;
  World world_;
  xenbus::Services services_{world_, world_, world_, world_};
  xenvif::HashSettings hash_;
  xenvif::BackendFeatures features_;
  xenvif::Settings settings_;
  std::optional<xenvif::Queue> queue_;
  std::array<platform::Page, 32> pages_;
  std::byte* tx_ = nullptr;
  std::byte* rx_ = nullptr;
  uint32_t tx_done_ = 0;
  uint32_t rx_done_ = 0;
  bool connected_ = false;
  bool failed_ = false;
  uint64_t cookie_ = 0;
  std::set<uint64_t> under_way_;
  std::vector<xenvif::RxPacket> kept_;
};

void report() {
  std::fprintf(stderr, "%llu hostile answers\n", static_cast<unsigned long long>(hostile_answers));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  [[maybe_unused]] static const int registered = std::atexit(report);
  Driven(Input{data, size}).run();
  return 0;
}
