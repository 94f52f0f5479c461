#include "sim/toolstack/toolstack.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "sim/machine/machine.hpp"
#include "sim/machine/profiles.hpp"
#include "sim/toolstack/domain_image.hpp"
#include "sim/xenstore/xenstored.hpp"

namespace ringside::sim {
namespace {

using platform::kSecond;

class ToolstackTest : public testing::Test {
 protected:
  /// Sends one request through the domain's own page and waits for an answer of one message.
  std::string ask(Domain& guest, uint32_t type, const std::string& payload) {
    auto& page = *reinterpret_cast<xenstore_domain_interface*>(
        guest.page_address(guest.hvm_param(HVM_PARAM_STORE_PFN)));
    const xsd_sockmsg header{type, 1, 0, static_cast<uint32_t>(payload.size())};
    for (const char c :
         std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + payload) {
      page.req[MASK_XENSTORE_IDX(page.req_prod++)] = c;
    }
    guest.events().send(static_cast<Port>(guest.hvm_param(HVM_PARAM_STORE_EVTCHN)));
    world_->run_until([&] { return page.rsp_prod - page.rsp_cons >= sizeof(header); }, kSecond);
    std::string bytes;
    while (page.rsp_cons != page.rsp_prod) {
      bytes += page.rsp[MASK_XENSTORE_IDX(page.rsp_cons++)];
    }
    return bytes.substr(std::min(bytes.size(), sizeof(header)));
  }

  explicit ToolstackTest(std::string_view release = "4.17")
      : machine_(*world_, on_xen(*find_xen_profile(release))) {}

  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_;
  Xenstored xenstored_{machine_};
  Toolstack toolstack_{machine_, xenstored_};
};

TEST_F(ToolstackTest, AGuestReachesTheStoreOverItsPage) {
  Domain& guest = toolstack_.create_domain({.name = "one", .vcpus = 2});
  EXPECT_EQ(ask(guest, XS_READ, std::string("name\0", 5)), "one");
  EXPECT_EQ(ask(guest, XS_READ, std::string("cpu/1/availability\0", 19)), "online");
  EXPECT_EQ(ask(guest, XS_WRITE, std::string("data/mine\0x", 11)), std::string("OK\0", 3));
  EXPECT_EQ(ask(guest, XS_WRITE, std::string("name\0x", 6)), std::string("EACCES\0", 7));
  EXPECT_TRUE(guest.events().pending(static_cast<Port>(guest.hvm_param(HVM_PARAM_STORE_EVTCHN))))
      << "each move of an index is followed by an event";
  EXPECT_EQ(toolstack_.read("/local/domain/1/data/mine"), "x");
}

TEST_F(ToolstackTest, AVifHasTheNodesOfXl) {
  Domain& guest = toolstack_.create_domain();
  const DevicePaths vif = toolstack_.attach_vif(guest.id(), {.mac = "00:16:3e:11:22:33"});
  EXPECT_EQ(vif.frontend, "/local/domain/1/device/vif/0");
  EXPECT_EQ(vif.backend, "/local/domain/0/backend/vif/1/0");
  EXPECT_EQ(toolstack_.read(vif.frontend + "/backend"), vif.backend);
  EXPECT_EQ(toolstack_.read(vif.frontend + "/backend-id"), "0");
  EXPECT_EQ(toolstack_.read(vif.frontend + "/state"), "1");
  EXPECT_EQ(toolstack_.read(vif.frontend + "/mac"), "00:16:3e:11:22:33");
  EXPECT_EQ(toolstack_.read(vif.backend + "/frontend"), vif.frontend);
  EXPECT_EQ(toolstack_.read(vif.backend + "/online"), "1");

  auto other = xenstored_.connect(9);
  auto owner = xenstored_.connect(guest.id());
  EXPECT_EQ(owner->write(vif.frontend + "/state", "3"), 0);
  EXPECT_EQ(owner->read(vif.backend + "/state"), "1");
  EXPECT_EQ(owner->write(vif.backend + "/state", "3"), EACCES);
  EXPECT_EQ(other->read(vif.frontend + "/state"), std::nullopt);
}

TEST_F(ToolstackTest, AVbdMayHaveABackEndElsewhere) {
  Domain& driver = toolstack_.create_domain();
  Domain& guest = toolstack_.create_domain();
  const DevicePaths vbd = toolstack_.attach_vbd(
      guest.id(), {.params = "aio:/disk", .type = "qdisk", .backend_domid = driver.id()});
  EXPECT_EQ(vbd.backend, "/local/domain/1/backend/qdisk/2/51712");
  EXPECT_EQ(toolstack_.read(vbd.frontend + "/virtual-device"), "51712");
  EXPECT_EQ(toolstack_.read(vbd.backend + "/type"), "qdisk");
  auto backend = xenstored_.connect(driver.id());
  EXPECT_EQ(backend->write(vbd.backend + "/state", "2"), 0);
  EXPECT_EQ(backend->read(vbd.frontend + "/state"), "1");
  EXPECT_EQ(backend->write(vbd.frontend + "/state", "2"), EACCES);
}

TEST_F(ToolstackTest, ADeviceIsAttachedAtOnce) {
  Domain& guest = toolstack_.create_domain();
  auto onlooker = xenstored_.connect();
  ASSERT_EQ(onlooker->watch("/local/domain/0/backend", "t"), 0);
  bool complete = true;
  onlooker->next_event();
  const DevicePaths vif = toolstack_.attach_vif(guest.id());
  while (onlooker->next_event()) complete &= onlooker->exists(vif.backend + "/hotplug-status");
  EXPECT_TRUE(complete);
}

TEST_F(ToolstackTest, DetachingWaitsForTheBackEnd) {
  Domain& guest = toolstack_.create_domain();
  const DevicePaths vif = toolstack_.attach_vif(guest.id());
  toolstack_.begin_detach(vif);
  EXPECT_EQ(toolstack_.read(vif.backend + "/online"), "0");
  EXPECT_EQ(toolstack_.read(vif.backend + "/state"), "5");
  EXPECT_FALSE(toolstack_.finish_detach(vif));
  toolstack_.write(vif.backend + "/state", "6");
  EXPECT_TRUE(toolstack_.finish_detach(vif));
  EXPECT_EQ(toolstack_.read(vif.frontend), std::nullopt);
  EXPECT_EQ(toolstack_.read(vif.backend), std::nullopt);
}

TEST_F(ToolstackTest, NothingIsLeftOfADomain) {
  auto onlooker = xenstored_.connect();
  onlooker->watch("@releaseDomain", "t");
  onlooker->next_event();
  Domain& guest = toolstack_.create_domain();
  const uint16_t domid = guest.id();
  const DevicePaths vbd = toolstack_.attach_vbd(domid);
  toolstack_.destroy_domain(domid);
  EXPECT_TRUE(onlooker->next_event().has_value());
  EXPECT_EQ(machine_.find(domid), nullptr);
  EXPECT_EQ(toolstack_.read("/local/domain/1"), std::nullopt);
  EXPECT_EQ(toolstack_.read("/libxl/1"), std::nullopt);
  EXPECT_EQ(toolstack_.read(vbd.backend), std::nullopt);
  EXPECT_EQ(xenstored_.server().nodes_owned_by(domid), 0u);
  EXPECT_EQ(machine_.dom0().grants().map_count(), 0u);
}

TEST_F(ToolstackTest, XenstoredNoticesADeath) {
  Domain& guest = toolstack_.create_domain();
  const uint16_t domid = guest.id();
  auto onlooker = xenstored_.connect();
  onlooker->watch("@releaseDomain", "t");
  onlooker->next_event();
  machine_.destroy_domain(domid);
  EXPECT_TRUE(
      world_->run_until([&] { return !xenstored_.server().is_introduced(domid); }, kSecond));
  EXPECT_TRUE(onlooker->next_event().has_value());
  EXPECT_EQ(machine_.dom0().grants().map_count(), 0u);
}

TEST_F(ToolstackTest, AHostileRingHarmsOnlyItsDomain) {
  Domain& rogue = toolstack_.create_domain();
  Domain& guest = toolstack_.create_domain({.name = "good"});
  auto& page = *reinterpret_cast<xenstore_domain_interface*>(
      rogue.page_address(rogue.hvm_param(HVM_PARAM_STORE_PFN)));
  page.req_prod += 5000;
  rogue.events().send(static_cast<Port>(rogue.hvm_param(HVM_PARAM_STORE_EVTCHN)));
  world_->run_until([&] { return page.error != 0; }, kSecond);
  EXPECT_EQ(page.error, uint32_t{XENSTORE_ERROR_RINGIDX});
  EXPECT_EQ(ask(guest, XS_READ, std::string("name\0", 5)), "good");
}

std::string digest_of(uint64_t seed, const char* name) {
  const auto world = World::deterministic(seed);
  world->trace().enable(true);
  Machine machine(*world);
  Xenstored xenstored(machine);
  Toolstack toolstack(machine, xenstored);
  toolstack.attach_vif(toolstack.create_domain({.name = name}).id());
  return world->trace().digest();
}

TEST(StoreTraceTest, EveryActionCountsForTheDigest) {
  EXPECT_EQ(digest_of(1, "a"), digest_of(1, "a"));
  EXPECT_NE(digest_of(1, "a"), digest_of(1, "b"));
}

class OldToolstackTest : public ToolstackTest {
 protected:
  OldToolstackTest() : ToolstackTest("3.4") {}
};

TEST_F(OldToolstackTest, AGuestHasAStoreWithoutAGrantAndNoConsole) {
  Domain& guest = toolstack_.create_domain({.name = "old"});
  EXPECT_EQ(ask(guest, XS_READ, std::string("name\0", 5)), "old");
  guest.grants().grow(1);
  EXPECT_EQ(guest.grants().entry(GNTTAB_RESERVED_XENSTORE).flags, 0);
  EXPECT_EQ(guest.grants().entry(GNTTAB_RESERVED_CONSOLE).flags, 0);
  EXPECT_EQ(guest.hvm_param(HVM_PARAM_CONSOLE_PFN), 0u);
  EXPECT_FALSE(toolstack_.read("/local/domain/1/console/port"));
  EXPECT_TRUE(toolstack_.read("/local/domain/1/store/port"));
  const uint32_t used = machine_.frames().used();
  toolstack_.destroy_domain(guest.id());
  EXPECT_LT(machine_.frames().used(), used) << "the daemon has let go of its page";
  EXPECT_EQ(machine_.audit().size(), 1u) << "the daemon's own port";
}

TEST_F(ToolstackTest, TheHandleIsTheUuidInTheStore) {
  Domain& guest = toolstack_.create_domain();
  std::string text;
  for (const uint8_t byte : guest.handle()) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  std::string uuid = toolstack_.read("/local/domain/1/vm").value_or("").substr(4);
  std::erase(uuid, '-');
  EXPECT_EQ(text, uuid);
}

TEST_F(ToolstackTest, ARebootedDomainHasItsDevicesAgain) {
  Domain& guest = toolstack_.create_domain({.name = "one", .vcpus = 2});
  const uint16_t before = guest.id();
  toolstack_.attach_vif(before, {.handle = 0, .mac = "00:16:3e:00:00:0a"});
  const DevicePaths gone = toolstack_.attach_vif(before, {.handle = 1});
  VbdConfig disk;
  disk.vdev = 51728;
  toolstack_.attach_vbd(before, disk);
  toolstack_.force_detach(gone);
  EXPECT_THROW(toolstack_.reboot(before), std::runtime_error) << "it runs";
  guest.set_shutdown(SHUTDOWN_reboot);
  const Domain& next = toolstack_.reboot(before);
  EXPECT_NE(next.id(), before);
  EXPECT_EQ(next.vcpus(), 2u);
  const std::string home = "/local/domain/" + std::to_string(next.id());
  EXPECT_EQ(toolstack_.read(home + "/name"), "one");
  EXPECT_EQ(toolstack_.read(home + "/device/vif/0/mac"), "00:16:3e:00:00:0a");
  EXPECT_FALSE(toolstack_.read(home + "/device/vif/1/mac").has_value());
  EXPECT_EQ(toolstack_.read(home + "/device/vbd/51728/virtual-device"), "51728");
  EXPECT_FALSE(toolstack_.read("/local/domain/" + std::to_string(before)).has_value());
  EXPECT_THROW(toolstack_.reboot(before), std::runtime_error) << "it is no more";
}

TEST_F(ToolstackTest, APausedDomainIsCounted) {
  const Domain& guest = toolstack_.create_domain();
  toolstack_.pause(guest.id());
  toolstack_.pause(guest.id());
  toolstack_.unpause(guest.id());
  EXPECT_TRUE(guest.paused());
  toolstack_.unpause(guest.id());
  EXPECT_FALSE(guest.paused());
  EXPECT_THROW(toolstack_.pause(99), std::runtime_error);
}

TEST_F(ToolstackTest, AnImageThatIsNeverRestoredFreesTheMemory) {
  constexpr uint32_t kPages = 1000;
  Domain& guest = toolstack_.create_domain({.memory_kib = kPages * 4});
  guest.page_address(guest.allocate_pages(1).at(0))[0] = std::byte{1};
  guest.set_shutdown(SHUTDOWN_suspend);
  uint32_t unreserved = 0;
  {
    const DomainImage image = toolstack_.save(guest.id());
    EXPECT_EQ(machine_.find(guest.id()), nullptr);
    unreserved = machine_.frames().unreserved();
  }
  EXPECT_EQ(machine_.frames().unreserved(), unreserved + kPages);
}

}  // namespace
}  // namespace ringside::sim
