#include "backends/netback/pcap_port.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace ringside::backends {
namespace {

Frame frame_of(size_t size) {
  Frame frame;
  for (size_t i = 0; i < size; ++i) frame.bytes.push_back(static_cast<std::byte>(i * 13));
  return frame;
}

class PcapPortTest : public testing::Test {
 protected:
  std::string path(const char* name) { return testing::TempDir() + name; }
  std::string error_;
};

TEST_F(PcapPortTest, ReadsBackWhatItWrote) {
  const std::string file = path("ringside_port.pcap");
  {
    auto port = PcapPort::open("", file, error_);
    ASSERT_NE(port, nullptr) << error_;
    port->sent(frame_of(60));
    port->sent(frame_of(65000));
    Frame none;
    EXPECT_FALSE(port->receive(none));
  }
  auto port = PcapPort::open(file, "", error_);
  ASSERT_NE(port, nullptr) << error_;
  Frame frame;
  ASSERT_TRUE(port->receive(frame));
  EXPECT_EQ(frame, frame_of(60));
  ASSERT_TRUE(port->receive(frame));
  EXPECT_EQ(frame, frame_of(65000));
  EXPECT_FALSE(port->receive(frame));
  EXPECT_EQ(port->frames_read(), 2u);
  std::filesystem::remove(file);
}

TEST_F(PcapPortTest, SaysWhyItCannotOpen) {
  EXPECT_EQ(PcapPort::open(path("no_such_file.pcap"), "", error_), nullptr);
  EXPECT_FALSE(error_.empty());
  const std::string text = path("ringside_text.pcap");
  std::ofstream(text) << "this is no capture";
  error_.clear();
  EXPECT_EQ(PcapPort::open(text, "", error_), nullptr);
  EXPECT_FALSE(error_.empty());
  std::filesystem::remove(text);
}

}  // namespace
}  // namespace ringside::backends
