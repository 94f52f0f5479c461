#include "protocols/xenbus/store_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "protocols/xenbus/node.hpp"

namespace ringside::xenbus {
namespace {

std::string wire(uint32_t type, uint32_t length, std::string_view payload) {
  const xsd_sockmsg header{.type = type, .req_id = 1, .tx_id = 2, .len = length};
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + std::string(payload);
}

/// Feeds at most `piece` bytes at a time; the status of the last.
Status feed(StoreMessage& message, std::string_view bytes, size_t piece) {
  while (!bytes.empty() && !message.full()) {
    const auto room = message.room();
    const size_t count = std::min({room.size(), piece, bytes.size()});
    std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), count, room.begin());
    bytes.remove_prefix(count);
    if (const Status status = message.filled(count); !ok(status)) return status;
  }
  return Status::kOk;
}

TEST(StoreMessageTest, STORE_006_MayArriveInPiecesOfAnySize) {
  const std::string payload = "a value";
  const std::string bytes = wire(XS_READ, static_cast<uint32_t>(payload.size()), payload);
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    StoreMessage message;
    ASSERT_EQ(feed(message, bytes, piece), Status::kOk);
    ASSERT_TRUE(message.full());
    EXPECT_EQ(message.payload(), payload);
    EXPECT_EQ(message.header().tx_id, 2u);
  }
}

TEST(StoreMessageTest, STORE_001_APayloadOf4096BytesIsLegal) {
  const std::string payload(4096, 'x');
  StoreMessage message;
  EXPECT_EQ(feed(message, wire(XS_READ, 4096, payload), 1000), Status::kOk);
  EXPECT_TRUE(message.full());
  EXPECT_EQ(message.payload(), payload);
}

TEST(StoreMessageTest, STORE_025_OneByteMoreIsAViolation) {
  StoreMessage message;
  EXPECT_EQ(feed(message, wire(XS_READ, 4097, ""), 16), Status::kPeerViolation);
  StoreMessage huge;
  EXPECT_EQ(feed(huge, wire(XS_READ, 0xffffffffu, ""), 3), Status::kPeerViolation);
}

TEST(StoreMessageTest, STORE_022_ErrorsGoByTheirNames) {
  EXPECT_EQ(status_of_error({"ENOENT\0", 7}), Status::kNotFound);
  EXPECT_EQ(status_of_error("EAGAIN"), Status::kAgain);
  EXPECT_EQ(status_of_error("EQUOTA"), Status::kNoResources);
  EXPECT_EQ(status_of_error("ENOENTX"), Status::kIoError);
  EXPECT_EQ(status_of_error(""), Status::kIoError);
}

TEST(StorePathTest, STORE_009_CharactersSlashesAndLengths) {
  EXPECT_EQ(check_path("/local/domain/1/device/vif/0"), Status::kOk);
  EXPECT_EQ(check_path("device/a-b_c@d+e"), Status::kOk);
  EXPECT_EQ(check_path("/"), Status::kOk);
  EXPECT_EQ(check_path("@releaseDomain"), Status::kOk);
  for (const char* bad : {"", "a//b", "a/", "a b", "a:b", "/a//"}) {
    EXPECT_EQ(check_path(bad), Status::kInvalidArgument) << bad;
  }
  EXPECT_EQ(check_path(std::string("a\0b", 3)), Status::kInvalidArgument);
  EXPECT_EQ(check_path(std::string(2048, 'r')), Status::kOk);
  EXPECT_EQ(check_path(std::string(2049, 'r')), Status::kInvalidArgument);
  EXPECT_EQ(check_path("/" + std::string(3071, 'a')), Status::kOk);
  EXPECT_EQ(check_path("/" + std::string(3072, 'a')), Status::kInvalidArgument);
}

TEST(NumberTest, TakesDecimalDigitsAndNothingElse) {
  EXPECT_EQ(parse_number("0").value_or(9), 0u);
  EXPECT_EQ(parse_number("18446744073709551615").value_or(0), ~uint64_t{0});
  EXPECT_EQ(parse_number({"42\0", 3}).value_or(0), 42u);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x10", "18446744073709551616", "1a"}) {
    EXPECT_FALSE(parse_number(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace ringside::xenbus
