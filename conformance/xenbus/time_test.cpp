#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/interfaces/shared_info.hpp"
#include "protocols/xenbus/shared_info_page.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

using platform::kSecond;
using xenbus::WallClock;

/// A host whose clock runs at the given rate, and a guest that asks for the time.
class TimeTest : public testing::TestWithParam<uint64_t> {
 protected:
  static HostConfig host_of(uint64_t khz) {
    HostConfig config;
    config.machine.clock = {.tsc_khz = khz, .tsc_at_start = 77, .started = 1'764'000'000};
    return config;
  }
  Result<WallClock> ask(unsigned cpu = 0) {
    Result<WallClock> clock = Status::kTimedOut;
    guest_.run(
        [&] {
          auto info = xenbus::acquire<xenbus::SharedInfo>(guest_.bus().directory(), {2, 4}, "test");
          clock = (*info)->time();
        },
        cpu);
    return clock;
  }
  /// That of the host, read off its clock without any scaling.
  uint64_t host_time() { return 1'764'000'000 * kSecond + host_.world().now(); }
  /// What one tick and the rounding of the multiplier can make.
  static constexpr uint64_t kTolerance = 2'000;
  /// Just asked; `offset` in seconds is the domain's own.
  void expect_right_time(const Result<WallClock>& clock, int64_t offset = 0) {
    ASSERT_TRUE(clock);
    const uint64_t expected = host_time() + static_cast<uint64_t>(offset) * kSecond;
    EXPECT_LE(clock->nanoseconds, expected + kTolerance);
    EXPECT_GE(clock->nanoseconds + kTolerance, expected);
  }
  vcpu_time_info_t& told(unsigned vcpu = 0) { return guest_.domain().vcpu_info(vcpu).time; }

  Host host_{host_of(GetParam())};
  DriverGuest guest_{host_, {.vcpus = 2}};
};

TEST_P(TimeTest, TIME_002_TheTimeIsTheHostsAtEveryRateOfTheCounter) {
  for (const uint64_t span : {uint64_t{1}, kSecond, 3600 * kSecond, 86'400 * kSecond}) {
    host_.pass(span);
    guest_.domain().tell_time();  // as Xen does about each second, so that errors don't add up
    host_.pass(kSecond);
    const auto clock = ask();
    expect_right_time(clock);
    EXPECT_TRUE(clock->local);
  }
  expect_right_time(ask(1));
}

INSTANTIATE_TEST_SUITE_P(Rates, TimeTest,
                         testing::Values(800'000, 1'000'000, 1'000'001, 2'400'000, 5'999'999));

using OneTimeTest = TimeTest;
INSTANTIATE_TEST_SUITE_P(Rates, OneTimeTest, testing::Values(2'400'000));

TEST_P(OneTimeTest, TIME_001_AMixtureIsNeverAnswered) {
  // Changed all the time, by somebody who is never done: the guest gives up with an error.
  told().version |= 1;
  EXPECT_EQ(ask().status(), Status::kAgain);
  told().version += 1;
  EXPECT_TRUE(ask());
  guest_.domain().shared_info().wc_version |= 1;
  EXPECT_EQ(ask().status(), Status::kAgain);
  // Done while the guest is still trying.
  std::optional<Result<WallClock>> clock;
  guest_.guest().post(0, [&] { clock = guest_.bus().shared_info().time(); });
  guest_.guest().post(1, [&] { guest_.domain().shared_info().wc_version += 1; });
  host_.require("the time", [&] { return clock.has_value(); });
  expect_right_time(*clock);
}

TEST_P(OneTimeTest, TIME_003_SecondsHave64BitsAndTheDomainsOffset) {
  guest_.domain().tell_time(-3600);
  expect_right_time(ask(), -3600);
  constexpr int64_t kCentury = 3'153'600'000;
  guest_.domain().tell_time(kCentury);  // beyond 2106, where 32 bits end
  expect_right_time(ask(), kCentury);
}

TEST_P(OneTimeTest, TheSettingTellsWhetherTheTimeIsLocal) {
  guest_.guest().set_setting("RealTimeIsUniversal", 1);
  EXPECT_FALSE(ask()->local);
}

TEST_P(OneTimeTest, TIME_002_ACounterThatIsBehindDoesNotTurnTimeBack) {
  const uint64_t before = ask()->nanoseconds;
  told().tsc_timestamp = ~uint64_t{0};
  told().system_time = host_.world().now();
  EXPECT_GE(ask()->nanoseconds + kTolerance, before);
  EXPECT_LE(ask()->nanoseconds, host_time());
}

TEST_P(OneTimeTest, TIME_001_TheTimeGoesOnInTheNewDomain) {
  platform::Box<xenbus::SuspendAgent> agent;
  guest_.run([&] { agent = *xenbus::SuspendAgent::create(guest_.services()); });
  suspend(guest_);
  host_.pass(10 * kSecond);
  restore(guest_, {}, [](uint16_t) {});
  expect_right_time(ask());
  guest_.run([&] { agent = {}; });
}

TEST(TimeScale, TIME_002_NoHighBitsAreLost) {
  constexpr uint32_t kHalf = 1u << 31;
  EXPECT_EQ(xenbus::scale_ticks(1'000, kHalf, 1), 1'000u);
  EXPECT_EQ(xenbus::scale_ticks(1'000, kHalf, 0), 500u);
  EXPECT_EQ(xenbus::scale_ticks(1'000, kHalf, -1), 250u);
  constexpr uint64_t kYears = uint64_t{1} << 62;
  EXPECT_EQ(xenbus::scale_ticks(kYears, kHalf, 0), kYears / 2);
  __extension__ using Wide = unsigned __int128;
  EXPECT_EQ(xenbus::scale_ticks(kYears + 7, 0xffffffff, 0),
            static_cast<uint64_t>(static_cast<Wide>(kYears + 7) * 0xffffffff >> 32));
  for (const int shift : {-128, -64, 64, 127}) {
    EXPECT_EQ(xenbus::scale_ticks(kYears, kHalf, static_cast<int8_t>(shift)), 0u);
  }
}

}  // namespace
}  // namespace ringside::conformance
