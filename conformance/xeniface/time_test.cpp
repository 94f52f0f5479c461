#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

using IfaceTimeTest = IfaceTest;

TEST_F(IfaceTimeTest, TIME_003_TheTimeIsAFileTime) {
  const auto out =
      call(*one_, Ioctl::kSharedInfoGetTime, {}, 12).as<xeniface::SharedInfoGetTimeOut>();
  const uint64_t time = uint64_t{out.time_high} << 32 | out.time_low;
  // Seconds from 1601 to 1970: 369 years, 89 of them leap years.
  constexpr uint64_t kEpoch = (369 * 365 + 89) * uint64_t{86'400};
  const uint64_t expected =
      (kEpoch + host_.machine().config().clock.started) * 10'000'000 + host_.world().now() / 100;
  EXPECT_LE(time, expected + 100);
  EXPECT_GE(time + 100, expected);
  EXPECT_EQ(out.local, 1);
}

TEST_F(IfaceTimeTest, IFACE_003_OtherLengthsAreRefused) {
  for (const auto& [input, output] : {std::pair{0, 0}, {0, 8}, {0, 11}, {0, 13}, {1, 12}}) {
    EXPECT_EQ(call(*one_, Ioctl::kSharedInfoGetTime, Input().resize(static_cast<size_t>(input)),
                   static_cast<size_t>(output))
                  .status,
              NtStatus::kInvalidBufferSize);
  }
}

}  // namespace
}  // namespace ringside::conformance
