// Unmodified programs in processes of their own beside a simulated host: Xen's store daemon and
// QEMU's back ends, serving our front ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <system_error>

#include "conformance/blkif/accounting.hpp"
#include "conformance/blkif/test_request.hpp"
#include "conformance/daemons/qemu.hpp"
#include "conformance/daemons/store_host.hpp"
#include "conformance/netif/recording_client.hpp"
#include "conformance/replay/blk_replay.hpp"
#include "conformance/rig/vbd_device.hpp"
#include "conformance/rig/vif_device.hpp"
#include "protocols/xenbus/interfaces/console.hpp"
#include "sim/xenstore/remote_store.hpp"

namespace ringside::conformance {
namespace {

constexpr int kMostTurns = 60'000;
constexpr uint64_t kDiskBytes = uint64_t{16} << 20;

class DropinTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kReservedGrants)) GTEST_SKIP() << *why;
    try {
      beside_ = std::make_unique<DropinHost>(kXenstored);
    } catch (const NotInstalled& e) {
      GTEST_SKIP() << e.what();
    }
  }
  void TearDown() override {
    if (!beside_) return;
    guest_.reset();
    qemu_.reset();
    EXPECT_EQ(beside_->audit(), std::vector<std::string>());
  }

  Host& host() { return beside_->host(); }
  sim::Machine& machine() { return host().machine(); }

  /// False, and the test skipped, where there is no QEMU.
  bool start_guest_and_qemu() {
    guest_ = std::make_unique<DriverGuest>(host());
    try {
      qemu_ = start_qemu(*beside_, guest_->domid());
    } catch (const NotInstalled& e) {
      skip(e.what());
      return false;
    }
    return true;
  }
  static void skip(const std::string& why) { GTEST_SKIP() << why; }

  sim::VbdConfig raw_disk() const {
    const std::string path = beside_->folder() + "/disk.img";
    EXPECT_EQ(truncate_to(path, kDiskBytes), 0);
    sim::VbdConfig config;
    config.type = "qdisk";
    config.params = "raw:" + path;
    return config;
  }
  static int truncate_to(const std::string& path, uint64_t bytes) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const int result = ftruncate(fd, static_cast<off_t>(bytes));
    close(fd);
    return result;
  }

  std::unique_ptr<DropinHost> beside_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<ChildProcess> qemu_;
};

TEST_F(DropinTest, XenstoredLearnsOfDeadDomains) {
  sim::Toolstack& toolstack = host().toolstack();
  const uint16_t domid = toolstack.create_domain().id();
  const auto store = toolstack.read("/local/domain/1/store/port");
  EXPECT_TRUE(store.has_value());
  const auto watcher = std::make_unique<sim::RemoteStore>(machine(), beside_->folder() + "/socket");
  const auto client = watcher->connect();
  std::atomic<int> events = 0;
  client->on_event([&] { ++events; });
  ASSERT_EQ(client->watch("@releaseDomain", "t"), 0);
  host().require("the first event", [&] { return events >= 1; });
  machine().find(domid)->set_shutdown(SHUTDOWN_crash);
  host().require("the crash to be told", [&] { return events >= 2; });
  toolstack.destroy_domain(domid);
}

TEST_F(DropinTest, AKilledXenstoredLeavesNothingMappedAndTheHostUp) {
  sim::Domain& domain = host().toolstack().create_domain();
  EXPECT_EQ(domain.grants().use_count(GNTTAB_RESERVED_XENSTORE), 1u);
  beside_->xenstored()->kill();
  host().require("its connections to end", [&] { return beside_->server().clients() == 0; });
  EXPECT_EQ(domain.grants().use_count(GNTTAB_RESERVED_XENSTORE), 0u);
  EXPECT_THROW(host().toolstack().write("/a", "1"), std::system_error);
  machine().destroy_domain(domain.id());
}

// CONSOLE-002, with the daemon of a real dom0 at the other end.
TEST_F(DropinTest, CONSOLE_002_XenconsoledCarriesTextBothWays) {
  constexpr const char* kXenconsoled = "/usr/lib/xen-4.17/bin/xenconsoled";
  if (access(kXenconsoled, X_OK) != 0) GTEST_SKIP() << kXenconsoled << " is not there";
  guest_ = std::make_unique<DriverGuest>(host());
  const auto daemon = beside_->start(
      "xenconsoled",
      {kXenconsoled, "-i", "--log=none", "--pid-file=" + beside_->folder() + "/console.pid"});
  const std::string node = "/local/domain/" + std::to_string(guest_->domid()) + "/console/tty";
  std::string name;
  host().require("the guest's terminal", [&] {
    name = host().toolstack().read(node).value_or("");
    return !name.empty();
  });
  const int terminal = open(name.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(terminal, 0) << name;
  guest_->run([&] { EXPECT_EQ(*guest_->bus().console().write("from the guest\r\n"), 16u); });
  std::array<char, 64> bytes;
  std::string seen;
  host().require("the guest's text", [&] {
    const ssize_t count = ::read(terminal, bytes.data(), bytes.size());
    if (count > 0) seen.append(bytes.data(), static_cast<size_t>(count));
    return seen.find("from the guest") != std::string::npos;
  });
  EXPECT_EQ(::write(terminal, "to it\r", 6), 6);
  std::string heard;
  for (int turns = 0; heard.size() < 6 && turns < kMostTurns; ++turns) {
    host().pass(platform::kMillisecond);
    guest_->run([&] {
      const auto count = guest_->bus().console().read(std::as_writable_bytes(std::span(bytes)));
      heard.append(bytes.data(), count.value_or(0));
    });
  }
  EXPECT_EQ(heard, "to it\r");
  close(terminal);
}

TEST_F(DropinTest, QdiskNegotiatesAndKeepsWhatItIsGiven) {
  if (!start_guest_and_qemu()) return;
  Accounting client;
  VbdDevice vbd(*guest_, client, raw_disk());
  ASSERT_TRUE(vbd.connect()) << qemu_->output();
  EXPECT_EQ(client.disk().sectors, kDiskBytes / 512);
  EXPECT_TRUE(client.disk().flush_cache);
  EXPECT_EQ(vbd.vbd().queue(0).ring_size(), 32u << 4) << "it offers rings of 16 pages";

  const auto bytes = pattern(64 * 4096, 5);
  for (const auto operation : {xenvbd::Operation::kWrite, xenvbd::Operation::kRead}) {
    std::unique_ptr<TestRequest> test;
    guest_->run([&] {
      test = std::make_unique<TestRequest>(guest_->platform(), operation, 64);
      test->add_pages(64);
      if (operation == xenvbd::Operation::kWrite) test->set_bytes(bytes);
      client.expect(test->request);
      ASSERT_EQ(vbd.vbd().queue(0).submit(test->request), Status::kOk);
      vbd.vbd().queue(0).kick();
    });
    bool done = false;
    for (int turns = 0; !done && turns < kMostTurns; ++turns) {
      host().pass(platform::kMillisecond);
      guest_->run([&] { done = client.status(test->request.cookie).has_value(); });
    }
    guest_->run([&] {
      EXPECT_EQ(client.status(test->request.cookie), Status::kOk);
      if (operation == xenvbd::Operation::kRead) {
        EXPECT_EQ(test->bytes(), bytes);
      }
      test.reset();
    });
  }
  EXPECT_TRUE(vbd.close());
  EXPECT_EQ(client.faults(vbd.vbd().queue(0)), "");
}

TEST_F(DropinTest, QnicTakesEveryFrame) {
  constexpr unsigned kFrames = 600;  // more than a ring holds
  if (!start_guest_and_qemu()) return;
  RecordingClient client;
  sim::VifConfig config;
  config.type = "qnic";
  VifDevice vif(*guest_, client, config);
  ASSERT_TRUE(vif.connect()) << qemu_->output();
  const Bytes frame = plain_frame(1000);
  unsigned sent = 0;
  platform::Page page{};
  guest_->run([&] {
    page = *guest_->platform().allocate_page();
    std::memcpy(page.address, frame.data(), frame.size());
  });
  const xenvif::Fragment fragment{page.address, page.frame, 0, 1000};
  size_t done = 0;
  for (int turns = 0; done < kFrames && turns < kMostTurns; ++turns) {
    guest_->run([&] {
      xenvif::Queue& queue = vif.vif().queue(0);
      while (sent < kFrames &&
             ok(queue.transmit({.fragments = {&fragment, 1}, .cookie = sent + 1}))) {
        ++sent;
      }
      queue.flush();
      done = client.completed(xenvif::TxStatus::kSent);
    });
    host().pass(platform::kMillisecond);
  }
  EXPECT_EQ(done, kFrames);
  EXPECT_FALSE(client.any_completed_twice());
  EXPECT_TRUE(vif.close());
  guest_->run([&] { guest_->platform().release_page(page); });
}

TEST_F(DropinTest, AKilledQemuLeavesNothingMapped) {
  if (!start_guest_and_qemu()) return;
  Accounting client;
  VbdDevice vbd(*guest_, client, raw_disk());
  ASSERT_TRUE(vbd.connect()) << qemu_->output();
  const auto mapped = [&] {
    uint32_t count = 0;
    for (sim::GrantRef ref = 8; ref < guest_->domain().grants().entries(); ++ref) {
      count += guest_->domain().grants().use_count(ref);
    }
    return count;
  };
  EXPECT_EQ(mapped(), 16u) << "its ring";
  qemu_->kill();
  host().require("the maps to go", [&] { return mapped() == 0; });
  host().toolstack().force_detach(vbd.paths());
}

TEST(DropinReplayTest, EveryByteOfAFileSystemsTrafficCrossesQdisk) {
  const IoLog log = IoLog::read(RINGSIDE_SAMPLES "/blk-ext4.iolog");
  const Image image = Image::temporary(uint64_t{64} << 20);
  ReplayOptions options;
  options.backend = kQemuQdisk;
  try {
    const BlkReplayReport report = replay_blk(log, Payload(1), image, options);
    EXPECT_EQ(report.findings.kept(), std::vector<std::string>());
    EXPECT_EQ(report.done, log.requests.size());
    EXPECT_GT(report.trims, 0u);
    EXPECT_EQ(report.device_bytes, image.size());
  } catch (const NotInstalled& e) {
    GTEST_SKIP() << e.what();
  }
}

}  // namespace
}  // namespace ringside::conformance
