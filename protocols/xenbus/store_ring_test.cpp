#include "protocols/xenbus/store_ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace ringside::xenbus {
namespace {

class StoreRingTest : public testing::Test {
 protected:
  StoreRing ring_at(uint32_t start) {
    interface().req_prod = interface().req_cons = start;
    interface().rsp_prod = interface().rsp_cons = start;
    return StoreRing(page_.data());
  }
  xenstore_domain_interface& interface() {
    return *reinterpret_cast<xenstore_domain_interface*>(page_.data());
  }
  void answer(std::string_view bytes) {
    for (const char byte : bytes) interface().rsp[MASK_XENSTORE_IDX(interface().rsp_prod++)] = byte;
  }
  std::string take_requests() {
    std::string all;
    while (interface().req_cons != interface().req_prod) {
      all += interface().req[MASK_XENSTORE_IDX(interface().req_cons++)];
    }
    return all;
  }
  static Result<size_t> write(StoreRing& ring, std::string_view bytes) {
    return ring.write(std::as_bytes(std::span(bytes)));
  }
  static std::string read(StoreRing& ring, size_t room) {
    std::string text(room, '\0');
    const auto count = ring.read(std::as_writable_bytes(std::span(text)));
    text.resize(count.value_or(0));
    return text;
  }

 private:
  alignas(64) std::array<std::byte, 4096> page_{};
};

TEST_F(StoreRingTest, STORE_005_GoesOnWhereThePageStandsAlsoOverTheEndOfTheNumbers) {
  StoreRing ring = ring_at(0xffffffffu - 100);
  const std::string message(300, 'm');
  EXPECT_EQ(write(ring, message).value_or(0), 300u);
  EXPECT_EQ(take_requests(), message);
  answer(message);
  EXPECT_EQ(read(ring, 1000), message);
  EXPECT_EQ(interface().rsp_cons, interface().rsp_prod);
}

TEST_F(StoreRingTest, STORE_006_BytesWrapAroundTheRing) {
  StoreRing ring = ring_at(1000);
  std::string message;
  for (int i = 0; i < 200; ++i) message += static_cast<char>('a' + i % 26);
  EXPECT_EQ(write(ring, message).value_or(0), 200u);
  EXPECT_EQ(take_requests(), message);
  answer(message);
  EXPECT_EQ(read(ring, 50), message.substr(0, 50));
  EXPECT_EQ(read(ring, 1000), message.substr(50));
}

TEST_F(StoreRingTest, STORE_008_OnlyWhatWasConsumedIsOverwritten) {
  StoreRing ring = ring_at(7);
  EXPECT_EQ(write(ring, std::string(1500, 'a')).value_or(0), 1024u);
  EXPECT_EQ(write(ring, "b").value_or(1), 0u);
  interface().req_cons += 3;
  EXPECT_EQ(write(ring, "bcde").value_or(0), 3u);
}

TEST_F(StoreRingTest, STORE_025_IndicesOutOfBoundsAreAViolation) {
  StoreRing ring = ring_at(0);
  interface().req_cons = 1;
  EXPECT_EQ(write(ring, "a").status(), Status::kPeerViolation);
  interface().rsp_prod = 1025;
  std::array<std::byte, 16> room;
  EXPECT_EQ(ring.read(room).status(), Status::kPeerViolation);
  interface().rsp_prod = 0xffffffffu;
  EXPECT_EQ(ring.read(room).status(), Status::kPeerViolation);
}

TEST_F(StoreRingTest, STORE_021_TheErrorFieldCountsOnlyWithItsFeatureBit) {
  StoreRing ring = ring_at(0);
  interface().error = XENSTORE_ERROR_PROTO;
  EXPECT_EQ(ring.health(), Status::kOk);
  interface().server_features = XENSTORE_SERVER_FEATURE_ERROR;
  EXPECT_EQ(ring.health(), Status::kClosed);
}

}  // namespace
}  // namespace ringside::xenbus
