#include "protocols/xennet/receiver.hpp"

#include "protocols/xennet/packet_info.hpp"
#include "protocols/xennet/world_test.hpp"
#include "protocols/xenvif/checksum.hpp"

namespace ringside::xennet {
namespace {

/// A vif that lends packets and NDIS that keeps lists, both played by the test.
class ReceiverTest : public testing::Test, protected Port, protected Receiver::Owner {
 protected:
  ReceiverTest() : receiver_(platform_, 0, *this, *this) {
    EXPECT_EQ(receiver_.create_parts(), Status::kOk);
    configuration_.filter = kFilterPromiscuous;
    receiver_.configure(configuration_);
    receiver_.open();
  }

  // --- the vif ----------------------------------------------------------------------------
  Status transmit(const xenvif::TxPacket&) override { return Status::kNotSupported; }
  void flush() override {}
  void give_back(const xenvif::RxPacket& packet) override {
    EXPECT_EQ(platform_.on_cpu, 0u);
    ++given_back_[packet.handle];
  }
  /// One packet in runs of `chunk` bytes, valid until the test ends.
  void receive(const Bytes& frame, size_t chunk, xenvif::Gso gso = {}) {
    const Bytes& bytes = storage_.emplace_back(frame);
    std::vector<xenvif::Fragment>& fragments = fragments_.emplace_back();
    for (size_t at = 0; at < bytes.size(); at += chunk) {
      fragments.push_back(
          {&bytes[at], 1, 0, static_cast<uint16_t>(std::min(chunk, bytes.size() - at))});
    }
    receiver_.received({.fragments = fragments,
                        .length = static_cast<uint32_t>(frame.size()),
                        .checksum = xenvif::Checksum::kUnknown,
                        .gso = gso,
                        .handle = lent_++});
  }

  // --- NDIS -------------------------------------------------------------------------------
  void received(NetBufferList* chain, uint32_t count, uint32_t flags) override {
    for (NetBufferList* list = chain; list != nullptr; list = list->next) {
      --count;
      frames_.push_back(bytes_of(*list));
      if ((flags & kReceiveResources) == 0) up_.push_back(list);
    }
    EXPECT_EQ(count, 0u);
  }
  void drained() override { ++drains_; }
  void give(size_t which) {
    NetBufferList* list = up_[which];
    up_.erase(up_.begin() + static_cast<long>(which));
    receiver_.give_back(*list);
  }

  TestPlatform platform_;
  Configuration configuration_;
  std::deque<Bytes> storage_;
  std::deque<std::vector<xenvif::Fragment>> fragments_;
  std::map<uint16_t, int> given_back_;
  uint16_t lent_ = 0;
  std::vector<NetBufferList*> up_;
  std::vector<Bytes> frames_;
  int drains_ = 0;
  Receiver receiver_;
};

/// A TCP packet over IPv4 with so many bytes.
Bytes tcp_frame(size_t payload) {
  Bytes frame(54 + payload);
  xenvif::write_be16(&frame[12], 0x0800);
  frame[14] = std::byte{0x45};
  xenvif::write_be16(&frame[16], static_cast<uint16_t>(40 + payload));
  frame[23] = std::byte{xenvif::kProtocolTcp};
  frame[46] = std::byte{0x50};
  for (size_t i = 54; i < frame.size(); ++i) frame[i] = static_cast<std::byte>(i);
  return frame;
}

TEST_F(ReceiverTest, FramesInAnyPiecesComeUpWhole) {
  for (const size_t size : {14, 15, 60, 255, 256, 257, 1514, 9000}) {
    for (const size_t chunk : {size_t{1 + size / 18}, size_t{4096}}) {
      frames_.clear();
      receive(plain_frame(size), chunk);
      receiver_.served();
      ASSERT_EQ(frames_.size(), 1u);
      EXPECT_EQ(frames_[0], plain_frame(size));
    }
  }
}

TEST_F(ReceiverTest, ASmallPacketGivesItsPagesBackAtOnce) {
  receive(plain_frame(256), 100);
  EXPECT_EQ(given_back_[0], 1);
  receive(plain_frame(257), 100);
  EXPECT_EQ(given_back_[1], 0);
  receiver_.served();
  give(1);
  give(0);
  EXPECT_EQ(given_back_[0], 1);
  EXPECT_EQ(given_back_[1], 1);
}

TEST_F(ReceiverTest, ALargePacketThatIsNoneIsBad) {
  receive(plain_frame(3000), 1000, {xenvif::GsoType::kTcpV4, 1000});
  receive(tcp_frame(3000), 1000, {xenvif::GsoType::kTcpV6, 1000});
  receive(tcp_frame(0), 1000, {xenvif::GsoType::kTcpV4, 1000});
  receiver_.served();
  EXPECT_TRUE(frames_.empty());
  EXPECT_EQ(receiver_.statistics().errors, 3u);
  for (uint16_t i = 0; i < 3; ++i) EXPECT_EQ(given_back_[i], 1);
}

TEST_F(ReceiverTest, MoreSegmentsThanThereAreBuffersAreNotBegun) {
  configuration_.offloads.coalesce_v4 = false;
  receiver_.configure(configuration_);
  receive(tcp_frame(513), 4096, {xenvif::GsoType::kTcpV4, 1});
  receiver_.served();
  EXPECT_TRUE(frames_.empty());
  EXPECT_EQ(given_back_[0], 1);
  EXPECT_EQ(receiver_.statistics().no_buffer, 1u);
  receive(tcp_frame(512), 4096, {xenvif::GsoType::kTcpV4, 1});
  receiver_.served();
  EXPECT_EQ(frames_.size(), 512u);
  EXPECT_EQ(given_back_[1], 1) << "lent for the length of the call";
}

TEST_F(ReceiverTest, EveryPageComesBackOnceInAnyOrderOfEvents) {
  configuration_.offloads.coalesce_v4 = false;
  receiver_.configure(configuration_);
  Choices choices;
  size_t runs = 0;
  do {
    receiver_.open();
    drains_ = 0;
    lent_ = 0;
    given_back_.clear();
    uint16_t segmented = 0;
    // A packet in two segments, one in a piece, and a pause somewhere in between.
    std::vector<int> left{0, 1, 2};
    while (!left.empty() || !up_.empty()) {
      const size_t choice = choices.choose(left.size() + 2 * up_.size());
      if (choice < left.size()) {
        const int event = left[choice];
        left.erase(left.begin() + static_cast<long>(choice));
        if (event == 0) segmented = lent_;
        if (event == 0) receive(tcp_frame(600), 400, {xenvif::GsoType::kTcpV4, 300});
        if (event == 1) receive(plain_frame(1000), 600);
        if (event == 2) receiver_.drain();
        receiver_.served();
      } else {
        platform_.on_cpu = (choice - left.size()) % 2;
        const bool elsewhere = platform_.on_cpu != 0;
        give((choice - left.size()) / 2);
        platform_.on_cpu = 0;
        if (elsewhere && choices.choose(2) == 0) platform_.fire();
      }
      ASSERT_LE(drains_, up_.empty() ? 1 : 0);
      size_t segments = 0;
      for (const NetBufferList* list : up_) segments += list->first->length != 1000 ? 1 : 0;
      ASSERT_TRUE(segments == 0 || given_back_[segmented] == 0) << "one still shows its pages";
    }
    platform_.fire();
    EXPECT_EQ(drains_, 1);
    for (uint16_t i = 0; i < 2; ++i) EXPECT_EQ(given_back_[i], 1) << i;
    storage_.clear();
    fragments_.clear();
    ++runs;
  } while (!HasFailure() && choices.next());
  EXPECT_GT(runs, 1000u);
}

TEST(ReceiverMemoryTest, WhatThereIsNoMemoryForIsGivenUpWhole) {
  struct Nobody final : Port, Receiver::Owner {
    Status transmit(const xenvif::TxPacket&) override { return Status::kClosed; }
    void flush() override {}
    void give_back(const xenvif::RxPacket&) override {}
    void received(NetBufferList*, uint32_t, uint32_t) override {}
    void drained() override {}
  } nobody;
  TestPlatform platform;
  Status status = Status::kNoMemory;
  for (uint64_t allocations = 0; status != Status::kOk; ++allocations) {
    platform.allocations_left = allocations;
    Receiver receiver(platform, 0, nobody, nobody);
    status = receiver.create_parts();
    ASSERT_TRUE(status == Status::kOk || status == Status::kNoMemory);
    ASSERT_LT(allocations, 10u);
  }
  EXPECT_EQ(platform.pages, 0);
}

}  // namespace
}  // namespace ringside::xennet
