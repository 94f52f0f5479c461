#include <gtest/gtest.h>

#include <array>
#include <string>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/migration.hpp"
#include "conformance/rig/xen.hpp"
#include "protocols/xenbus/interfaces/console.hpp"
#include "protocols/xenbus/suspend_agent.hpp"
#include "sim/toolstack/console_end.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Console;

/// A guest's console, and its daemon's end.
class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kConsole)) GTEST_SKIP() << *why;
  }
  ~ConsoleTest() override {
    guest_.run([this] {
      wakeup_ = {};
      agent_ = {};
    });
  }

  Console& console() { return guest_.bus().console(); }
  /// What is there for the guest, up to 4 KiB.
  std::string read() {
    std::string text(4096, '\0');
    guest_.run([&] {
      const auto count = console().read(std::as_writable_bytes(std::span(text)));
      text.resize(count.value_or(0));
      status_ = count.status();
    });
    return text;
  }
  size_t write(const std::string& text) {
    size_t taken = 0;
    guest_.run([&] {
      const auto count = console().write(text);
      taken = count.value_or(0);
      status_ = count.status();
    });
    return taken;
  }
  xencons_interface& page() {
    sim::Domain& domain = guest_.domain();
    return *reinterpret_cast<xencons_interface*>(
        domain.page_address(domain.hvm_param(HVM_PARAM_CONSOLE_PFN)));
  }
  void listen() {
    guest_.run(
        [this] { wakeup_ = *console().add_wakeup(Delegate::to<&ConsoleTest::woken>(*this)); });
  }

 public:
  void woken() { ++wakes_; }

 protected:
  Host host_;
  DriverGuest guest_{host_};
  Owned<xenbus::Callback> wakeup_;
  platform::Box<xenbus::SuspendAgent> agent_;
  Status status_ = Status::kOk;
  int wakes_ = 0;
};

TEST_F(ConsoleTest, CONSOLE_002_TextGoesBothWaysAndEachSideIsTold) {
  sim::ConsoleEnd daemon(guest_.domain());
  listen();
  (void)daemon.told();
  EXPECT_EQ(write("Windows is starting\n"), 20u);
  EXPECT_TRUE(daemon.told());
  EXPECT_EQ(daemon.read(), "Windows is starting\n");
  host_.require("word of the room", [&] { return wakes_ == 1; });
  EXPECT_EQ(daemon.type("help\r"), 5u);
  host_.require("word of the text", [&] { return wakes_ == 2; });
  EXPECT_EQ(read(), "help\r");
  EXPECT_TRUE(daemon.told()) << "there is room again";
  EXPECT_EQ(read(), "");
  EXPECT_FALSE(daemon.told()) << "nothing happened";
}

TEST_F(ConsoleTest, CONSOLE_002_WhatDoesNotFitIsNotTaken) {
  sim::ConsoleEnd daemon(guest_.domain());
  const std::string much(3000, 'x');
  EXPECT_EQ(write(much), 2048u);
  EXPECT_EQ(write(much), 0u);
  EXPECT_EQ(status_, Status::kOk);
  EXPECT_EQ(daemon.read(), std::string(2048, 'x'));
  // Many times around, in pieces that do not divide the ring.
  std::string sent;
  std::string got;
  for (unsigned i = 0; i < 400; ++i) {
    const std::string piece(37, static_cast<char>('a' + i % 26));
    ASSERT_EQ(write(piece), piece.size());
    sent += piece;
    if (i % 50 == 49) got += daemon.read();
  }
  EXPECT_EQ(got, sent);
  EXPECT_EQ(daemon.type(much), 1024u);
  EXPECT_EQ(read().size(), 1024u);
}

TEST_F(ConsoleTest, CONSOLE_001_AnIndexOutOfBoundsClosesTheConsole) {
  page().out_cons = page().out_prod + 1;  // has read what was never written
  EXPECT_EQ(write("x"), 0u);
  EXPECT_EQ(status_, Status::kPeerViolation);
  page().out_cons = page().out_prod;
  EXPECT_EQ(write("x"), 0u) << "it stays closed";
  EXPECT_EQ(read(), "");
  EXPECT_EQ(status_, Status::kPeerViolation);
}

TEST_F(ConsoleTest, CONSOLE_001_MoreThanTheRingHoldsIsNotRead) {
  page().in_prod = page().in_cons + 1025;
  EXPECT_EQ(read(), "");
  EXPECT_EQ(status_, Status::kPeerViolation);
}

TEST_F(ConsoleTest, CONSOLE_001_OurOwnIndicesAreNotReadAgain) {
  sim::ConsoleEnd daemon(guest_.domain());
  EXPECT_EQ(write("first"), 5u);
  page().out_prod = 4711;  // not ours to look at any more
  EXPECT_EQ(write(" second"), 7u);
  EXPECT_EQ(page().out_prod, 12u);
  EXPECT_EQ(daemon.read(), "first second");
}

TEST_F(ConsoleTest, CONSOLE_003_TheConsoleIsFoundAgainAfterAResume) {
  guest_.run([this] { agent_ = *xenbus::SuspendAgent::create(guest_.services()); });
  listen();
  {
    sim::ConsoleEnd daemon(guest_.domain());
    EXPECT_EQ(write("before"), 6u);
    EXPECT_EQ(daemon.read(), "before");
  }
  suspend(guest_);
  restore(guest_, {}, [](uint16_t) {});
  EXPECT_GE(wakes_, 1);
  sim::ConsoleEnd daemon(guest_.domain());
  EXPECT_EQ(write("after"), 5u);
  EXPECT_EQ(daemon.read(), "after");
  const int woken = wakes_;
  EXPECT_EQ(daemon.type("x"), 1u);
  host_.require("word of the text", [&] { return wakes_ > woken; });
  EXPECT_EQ(read(), "x");
}

TEST_F(ConsoleTest, ADomainWithoutAConsoleRunsAllTheSame) {
  sim::Domain& domain = host_.toolstack().create_domain();
  domain.set_hvm_param(HVM_PARAM_CONSOLE_PFN, 0);
  {
    sim::Guest guest(host_.machine(), domain);
    EXPECT_TRUE(guest.run(
        0,
        [&] {
          auto bus = xenbus::Bus::create(guest.platform(), guest.hypercall());
          ASSERT_TRUE(bus);
          EXPECT_EQ((*bus)->console().write("x").status(), Status::kNotFound);
          EXPECT_EQ((*bus)->console().readable().status(), Status::kNotFound);
        },
        Host::kPatience));
    EXPECT_EQ(guest.audit(), std::vector<std::string>{});
  }
  host_.toolstack().destroy_domain(domain.id());
}

}  // namespace
}  // namespace ringside::conformance
