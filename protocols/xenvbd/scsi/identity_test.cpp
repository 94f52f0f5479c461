#include "protocols/xenvbd/scsi/identity.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "protocols/xenvbd/scsi/bytes_test.hpp"

namespace ringside::xenvbd {
namespace {

/// What `text` stands for, or the name of the error.
std::string decoded(std::string_view text, size_t room = 64) {
  std::vector<std::byte> into(room);
  const auto length = decode_base64(text, into);
  if (!length) return to_string(length.status());
  return {reinterpret_cast<const char*>(into.data()), *length};
}

// The examples of RFC 4648.
TEST(Base64Test, DecodesEveryLength) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("Zg=="), "f");
  EXPECT_EQ(decoded("Zm8="), "fo");
  EXPECT_EQ(decoded("Zm9v"), "foo");
  EXPECT_EQ(decoded("Zm9vYg=="), "foob");
  EXPECT_EQ(decoded("Zm9vYmE="), "fooba");
  EXPECT_EQ(decoded("Zm9v\nYmFy\n"), "foobar");
  EXPECT_EQ(decoded("+/+/"), "\xfb\xff\xbf");
}

TEST(Base64Test, RefusesWhatIsNone) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zm9vYg", "Zg=a", "=", "====", "Z===", "Zm9*", "Zm-_", "Zg==Zg=="}) {
    EXPECT_EQ(decoded(text), "InvalidArgument") << text;
  }
  EXPECT_EQ(decoded("Zm9vYmFy", 5), "TooLarge");
  EXPECT_EQ(decoded("Zm9vYmFy", 6), "foobar");
}

TEST(DiskIdentityTest, IsMadeOfTheTargetsNumber) {
  const DiskIdentity identity(7);
  EXPECT_EQ(hex(identity.serial_number()), "00 80 00 04 30 30 30 37");
  EXPECT_EQ(hex(identity.designators()),
            "00 83 00 14 02 01 00 10 58 45 4e 53 52 43 20 20 30 30 30 30 30 30 30 37");
}

}  // namespace
}  // namespace ringside::xenvbd
