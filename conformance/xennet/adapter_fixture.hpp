#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/netback/port.hpp"
#include "conformance/rig/migration.hpp"
#include "conformance/rig/profiles.hpp"
#include "conformance/rig/vif_device.hpp"
#include "conformance/xennet/recording_ndis.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {

/// A list to send, its packets in pages of the guest.
struct GuestList : xennet::NetBufferList {
  std::deque<xennet::NetBuffer> buffers;
  std::deque<xennet::Mdl> mdls;
  std::deque<uintptr_t> frames;
};

/// How a packet lies in the guest's memory.
struct Layout {
  size_t chunk = platform::kPageSize;  ///< bytes in each page and MDL
  uint16_t offset = 0;                 ///< where they start in the page
  uint16_t lead = 0;                   ///< bytes of the first MDL before the packet
};

/// One network adapter: XENNET over a vif, the toolstack below, NDIS played above.
class AdapterDevice {
 public:
  AdapterDevice(DriverGuest& guest, xennet::Ndis& ndis)
      : guest_(guest), paths_(guest.host().toolstack().attach_vif(guest.domid(), {})) {
    guest_.run([&] {
      auto held = xenbus::AcquiredServices::acquire(guest_.platform(), guest_.bus().directory(),
                                                    xennet::Adapter::kConsumer);
      if (!held) return;
      held_ = *std::move(held);
      auto adapter = xennet::Adapter::create(held_.services(), "device/vif/0", ndis);
      if (adapter) adapter_ = *std::move(adapter);
    });
    if (!adapter_) throw RigError("no adapter");
  }
  ~AdapterDevice() {
    guest_.run([this] {
      adapter_->halt();
      [[maybe_unused]] const auto last_held = std::exchange(held_, {});
      [[maybe_unused]] const auto last = std::exchange(adapter_, {});
    });
    guest_.host().toolstack().force_detach(paths_);
  }
  AdapterDevice(const AdapterDevice&) = delete;
  AdapterDevice& operator=(const AdapterDevice&) = delete;

  xennet::Adapter* operator->() { return adapter_.get(); }
  const sim::DevicePaths& paths() const { return paths_; }
  /// The guest came back as this domain, and gets its vif there.
  void attach(uint16_t domid) { paths_ = guest_.host().toolstack().attach_vif(domid, {}); }

 private:
  DriverGuest& guest_;
  sim::DevicePaths paths_;
  xenbus::AcquiredServices held_;
  platform::Box<xennet::Adapter> adapter_;
};

/// The whole stack, from lists to a network behind the reference netback.
class AdapterFixture : public testing::Test {
 protected:
  static constexpr sim::Nanoseconds kShort = 20 * platform::kMillisecond;
  static constexpr unsigned kCpus = 2;

  void build(const std::string& profile, const std::map<std::string, uint32_t>& settings = {},
             uint64_t seed = options().seed) {
    host_.emplace(HostConfig{.seed = seed});
    sim::GuestConfig config;
    config.vcpus = kCpus;
    guest_.emplace(*host_, config, nullptr, settings);
    profile_ = profile.empty() ? chosen_netback_profile() : net_profile(profile);
    start_backend();
    ndis_ = std::make_unique<RecordingNdis>(guest_->platform());
    device_ = std::make_unique<AdapterDevice>(*guest_, *ndis_);
    ndis_->adapter = &adapter();
  }
  /// Saves the guest, with whatever is under way, and restores it on its host.
  void suspend_and_resume() {
    if (!suspend_agent_) {
      guest_->run([this] { suspend_agent_ = *xenbus::SuspendAgent::create(guest_->services()); });
    }
    suspend(*guest_);
    restore(*guest_, {device_->paths()}, [this](uint16_t domid) { device_->attach(domid); });
  }
  void start_backend() {
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port(); }, profile_);
  }
  virtual backends::Port& port() { return port_; }
  /// Initialised, running, and all that comes is wanted.
  void run_adapter(const std::string& network_address = {}) {
    guest_->run([&] {
      ASSERT_EQ(adapter().initialize(network_address), xennet::NdisStatus::kSuccess);
      adapter().restart();
    });
    set_filter(xennet::kFilterPromiscuous);
  }
  void SetUp() override { build(""); }
  void TearDown() override {
    if (!device_) return;
    return_kept();
    if (adapter().state() == xennet::Adapter::State::kRunning) pause();
    device_.reset();
    guest_->run([this] {
      [[maybe_unused]] const auto last = std::exchange(suspend_agent_, {});
      for (const platform::Page& page : pages_) guest_->platform().release_page(page);
    });
    netback_.reset();
    guest_.reset();
    EXPECT_EQ(host_->audit(), std::vector<std::string>{});
    for (const auto& [list, statuses] : ndis_->completions) EXPECT_EQ(statuses.size(), 1u);
    EXPECT_EQ(ndis_->wrong_counts, 0u);
    EXPECT_EQ(ndis_->received_while_paused, 0u);
  }

  xennet::Adapter& adapter() { return *device_->operator->(); }
  std::string front(const std::string& key) { return device_->paths().frontend + "/" + key; }
  std::string back(const std::string& key) { return device_->paths().backend + "/" + key; }
  void settle() { host_->pass(kShort); }

  // --- sending ------------------------------------------------------------------------------
  GuestList& new_list() { return lists_.emplace_back(); }
  void add(GuestList& list, const Bytes& frame, const Layout& how = {}) {
    xennet::NetBuffer& buffer = list.buffers.emplace_back();
    if (list.buffers.size() == 1) list.first = &buffer;
    if (list.buffers.size() > 1) list.buffers[list.buffers.size() - 2].next = &buffer;
    buffer.offset = how.lead;
    buffer.length = static_cast<uint32_t>(frame.size());
    xennet::Mdl* last = nullptr;
    guest_->run([&] {
      for (size_t at = 0; at < frame.size(); at += how.chunk) {
        const size_t length = std::min(how.chunk, frame.size() - at);
        const auto page = guest_->platform().allocate_page();
        if (!page) throw RigError("no page for a test frame");
        pages_.push_back(*page);
        const uint32_t lead = at == 0 ? how.lead : 0;
        std::memcpy(page->address + how.offset + lead, &frame[at], length);
        list.frames.push_back(static_cast<uintptr_t>(page->frame));
        xennet::Mdl& mdl = list.mdls.emplace_back();
        mdl = {nullptr, page->address + how.offset, static_cast<uint32_t>(lead + length),
               &list.frames.back()};
        (last == nullptr ? buffer.mdl : last->next) = &mdl;
        last = &mdl;
      }
    });
  }
  GuestList& list_of(const Bytes& frame, const Layout& how = {}) {
    GuestList& list = new_list();
    add(list, frame, how);
    return list;
  }
  void send(GuestList& list, unsigned cpu = 0) {
    guest_->run([&] { adapter().send(&list); }, cpu);
  }
  /// How the list ended; nothing while it has not.
  std::optional<xennet::NdisStatus> ended(const GuestList& list) {
    const auto found = ndis_->completions.find(&list);
    if (found == ndis_->completions.end()) return {};
    return found->second.front();
  }
  xennet::NdisStatus send_and_wait(GuestList& list) {
    send(list);
    host_->require("the list to end", [&] { return ended(list).has_value(); });
    return *ended(list);
  }

  // --- receiving ----------------------------------------------------------------------------
  void inject(Bytes bytes, backends::Frame::Checksum checksum = backends::Frame::Checksum::kUnknown,
              backends::Frame::GsoType gso = backends::Frame::GsoType::kNone, uint16_t size = 0) {
    port_.inject({std::move(bytes), checksum, gso, size});
  }
  const std::vector<RecordingNdis::Received>& wait_received(size_t count) {
    host_->require("frames to come up", [&] { return ndis_->frames.size() >= count; });
    return ndis_->frames;
  }
  void return_kept() {
    guest_->run([this] {
      for (xennet::NetBufferList* list : std::exchange(ndis_->kept, {})) {
        list->next = nullptr;
        adapter().return_lists(list);
      }
    });
  }

  // --- states and OIDs ----------------------------------------------------------------------
  void begin_pause() {
    guest_->run([this] { EXPECT_EQ(adapter().pause(), xennet::NdisStatus::kPending); });
  }
  void pause() {
    const unsigned before = ndis_->pauses;
    begin_pause();
    host_->require("the pause to complete", [&] { return ndis_->pauses == before + 1; });
  }
  void restart() {
    ndis_->paused = false;
    guest_->run([this] { adapter().restart(); });
  }
  template <typename T>
  xennet::NdisStatus set(xennet::Oid oid, T value) {
    xennet::OidRequest request{.oid = oid, .buffer = std::as_writable_bytes(std::span(&value, 1))};
    xennet::NdisStatus status{};
    guest_->run([&] { status = adapter().set(request); });
    return status;
  }
  void set_filter(uint32_t filter) {
    EXPECT_EQ(set(xennet::Oid::kGenCurrentPacketFilter, filter), xennet::NdisStatus::kSuccess);
  }
  template <typename T>
  T query(xennet::Oid oid) {
    T value{};
    xennet::OidRequest request{.oid = oid, .buffer = std::as_writable_bytes(std::span(&value, 1))};
    guest_->run([&] { EXPECT_EQ(adapter().query(request), xennet::NdisStatus::kSuccess); });
    return value;
  }

  std::optional<Host> host_;
  std::optional<DriverGuest> guest_;
  backends::NetbackProfile profile_;
  backends::MemoryPort port_;
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<RecordingNdis> ndis_;
  std::unique_ptr<AdapterDevice> device_;

 private:
  platform::Box<xenbus::SuspendAgent> suspend_agent_;
  std::vector<platform::Page> pages_;
  std::deque<GuestList> lists_;
};

}  // namespace ringside::conformance
