#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conformance/netif/recording_client.hpp"
#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/vif_device.hpp"
#include "protocols/xenbus/acquired_services.hpp"
#include "protocols/xenbus/enumerator.hpp"

namespace ringside::conformance {
namespace {

using xenbus::AcquiredServices;
using xenbus::Enumerator;

/// One network interface as its operating system has it.
class Interface final : public xenvif::Client {
 public:
  void transmitted(xenvif::Queue&, uint64_t, xenvif::TxStatus) override {}
  void room(xenvif::Queue&) override {}
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override {
    queue.give_back(packet);
  }
  void link_changed(xenvif::LinkState link) override { up = link == xenvif::LinkState::kUp; }
  bool eject_requested() override {
    ++eject_requests;
    return !in_use;
  }

  platform::Box<xenvif::Vif> vif;
  bool up = false;
  bool in_use = false;
  unsigned eject_requests = 0;
};

/// XENVIF as installed: a front end for each vif there is.
class InstalledXenvif final : private Enumerator::Client {
 public:
  static Result<std::unique_ptr<InstalledXenvif>> load(DriverGuest& guest) {
    auto held = AcquiredServices::acquire(guest.platform(), guest.bus().directory(),
                                          xenvif::Vif::kConsumer);
    if (!held) return held.status();
    std::unique_ptr<InstalledXenvif> driver(new InstalledXenvif(*std::move(held)));
    auto enumerator = Enumerator::create(driver->services(), {.directory = "device/vif"}, *driver);
    if (!enumerator) return enumerator.status();
    driver->enumerator_ = *std::move(enumerator);
    return driver;
  }
  ~InstalledXenvif() {
    enumerator_ = {};
    for (auto& [name, interface] : interfaces) interface->vif = {};
  }
  xenbus::Services services() const { return held_.services(); }

  std::map<std::string, std::unique_ptr<Interface>, std::less<>> interfaces;
  unsigned departures = 0;

 private:
  explicit InstalledXenvif(AcquiredServices held) : held_(std::move(held)) {}

  Status arrived(std::string_view name) override {
    auto interface = std::make_unique<Interface>();
    auto vif = xenvif::Vif::create(services(), fmt::format("device/vif/{}", name), *interface);
    if (!vif) return vif.status();
    const Status status = (*vif)->start();
    if (!ok(status)) return status;
    interface->vif = *std::move(vif);
    interfaces[std::string(name)] = std::move(interface);
    return Status::kOk;
  }
  void departed(std::string_view name) override {
    const auto found = interfaces.find(name);
    found->second->vif = {};
    interfaces.erase(found);
    ++departures;
  }

  AcquiredServices held_;
  platform::Box<Enumerator> enumerator_;
};

/// A guest that runs while its interfaces are plugged and pulled.
class HotPlugTest : public testing::Test {
 protected:
  HotPlugTest() {
    netback_ = start_netback(host_, [this](uint16_t, unsigned handle) -> backends::Port* {
      return &wires_[handle].left();
    });
    guest_.run([&] { driver_ = *InstalledXenvif::load(guest_); });
  }
  ~HotPlugTest() override {
    guest_.run([&] { driver_ = {}; });
    EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
  }
  sim::DevicePaths plug(unsigned handle) {
    return host_.toolstack().attach_vif(guest_.domid(), {.handle = handle});
  }
  /// What the guest has and owes, XENBUS's own included.
  size_t held() { return host_.machine().audit(guest_.domain()).size(); }
  void settle() { host_.pass(2 * platform::kSecond); }
  Interface& interface(const std::string& name) { return *driver_->interfaces.at(name); }
  bool gone(const std::string& name) { return !driver_->interfaces.contains(name); }
  void require_up(const std::string& name) {
    host_.require("link " + name, [&] { return !gone(name) && interface(name).up; });
  }
  /// What xl network-detach does.
  void detach(const sim::DevicePaths& paths) {
    host_.toolstack().begin_detach(paths);
    host_.require("detached", [&] { return host_.toolstack().detached(paths); });
    EXPECT_TRUE(host_.toolstack().finish_detach(paths));
  }

  Host host_;
  std::map<unsigned, backends::Link> wires_;
  DriverGuest guest_{host_};
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<InstalledXenvif> driver_;
};

TEST_F(HotPlugTest, AnInterfacePluggedInComesUpAndPulledOutIsGone) {
  const auto first = plug(0);
  require_up("0");
  const auto second = plug(1);
  require_up("1");
  detach(first);
  host_.require("gone", [&] { return gone("0"); });
  EXPECT_TRUE(interface("1").up) << "the other one is not disturbed";
  detach(second);
  settle();
  EXPECT_TRUE(gone("1"));
}

TEST_F(HotPlugTest, XENBUS_018_AnInterfaceInUseStaysAndTheToolstackIsToldWhy) {
  const auto paths = plug(0);
  require_up("0");
  interface("0").in_use = true;
  host_.toolstack().begin_detach(paths);
  settle();
  ASSERT_EQ(interface("0").eject_requests, 1u) << "asked once";
  guest_.run([&] { interface("0").vif->device().refuse_eject(); });
  settle();
  EXPECT_EQ(host_.toolstack().read(paths.frontend + "/error"),
            "UNPLUG FAILED: device is still in use");
  EXPECT_TRUE(interface("0").up);

  // Its user lets go at last.
  guest_.run([&] { interface("0").vif->close(); });
  host_.require("detached", [&] { return host_.toolstack().detached(paths); });
  EXPECT_TRUE(host_.toolstack().finish_detach(paths));
  settle();
  EXPECT_TRUE(gone("0"));
}

TEST_F(HotPlugTest, XENBUS_018_AnEjectThatIsTakenBackCanBeAskedAgain) {
  const auto paths = plug(0);
  require_up("0");
  interface("0").in_use = true;
  host_.toolstack().write(paths.backend + "/online", "0");
  settle();
  host_.toolstack().write(paths.backend + "/online", "1");
  settle();
  EXPECT_TRUE(interface("0").up);
  EXPECT_EQ(interface("0").eject_requests, 1u);
  interface("0").in_use = false;
  detach(paths);
  settle();
  EXPECT_TRUE(gone("0"));
}

TEST_F(HotPlugTest, XENBUS_018_ABackEndThatIsClosedIsNotWaitedFor) {
  const auto paths = plug(0);
  require_up("0");
  interface("0").in_use = true;
  host_.toolstack().write(paths.backend + "/online", "0");
  settle();
  EXPECT_TRUE(interface("0").up);
  netback_ = {};
  host_.toolstack().write(paths.backend + "/state", std::to_string(XenbusStateClosed));
  settle();
  EXPECT_FALSE(interface("0").up);
}

TEST_F(HotPlugTest, ASurpriseRemovalTakesTheInterfaceDownAtOnce) {
  const auto paths = plug(0);
  require_up("0");
  interface("0").in_use = true;  // nobody is asked
  host_.toolstack().force_detach(paths);
  settle();
  EXPECT_TRUE(gone("0"));
}

TEST_F(HotPlugTest, TheSameHandleCanBePluggedAgainAndAgain) {
  size_t held_after_first = 0;
  for (int round = 0; round < 20; ++round) {
    const auto paths = plug(0);
    require_up("0");
    if (round % 2 == 0) {
      detach(paths);
    } else {
      host_.toolstack().force_detach(paths);
    }
    // Not even time to look: the next one may be there before the driver saw the last one go.
    if (round % 3 == 0) settle();
    if (round == 0) held_after_first = held();
  }
  settle();
  EXPECT_TRUE(gone("0"));
  EXPECT_EQ(held(), held_after_first);
}

}  // namespace
}  // namespace ringside::conformance
