#include "protocols/xennet/sender.hpp"

#include "protocols/xennet/world_test.hpp"

namespace ringside::xennet {
namespace {

using xenvif::TxStatus;

/// A vif's queue with a few slots, and NDIS above the sender, each played by the test.
class SenderTest : public testing::Test, protected Port, protected Sender::Owner {
 protected:
  SenderTest() : sender_(platform_, 0, *this, *this) {
    EXPECT_EQ(sender_.create_parts(), Status::kOk);
    sender_.gate_changed();
  }

  // --- the vif ----------------------------------------------------------------------------
  Status transmit(const xenvif::TxPacket& packet) override {
    if (closed_) return Status::kClosed;
    if (at_once_ &&
        (at_once_length_ == 0 || bytes_of(packet.fragments).size() == at_once_length_)) {
      sender_.transmitted(packet.cookie, *at_once_);
      return Status::kOk;
    }
    if (outstanding_.size() == slots_) {
      blocked_ = true;
      return Status::kNoResources;
    }
    outstanding_.push_back(packet.cookie);
    sent_.push_back(bytes_of(packet.fragments));
    return Status::kOk;
  }
  void flush() override { ++flushes_; }
  void give_back(const xenvif::RxPacket&) override { FAIL(); }

  void complete(size_t which, TxStatus status = TxStatus::kSent) {
    const uint64_t cookie = outstanding_[which];
    outstanding_.erase(outstanding_.begin() + static_cast<long>(which));
    sender_.transmitted(cookie, status);
    if (std::exchange(blocked_, false)) sender_.room();
    sender_.served();
  }
  /// The connection is gone, with all that was under way.
  void disconnect() {
    closed_ = true;
    blocked_ = false;
    refusal_ = NdisStatus::kMediaDisconnected;
    sender_.gate_changed();
    while (!outstanding_.empty()) complete(0, TxStatus::kDisconnected);
  }

  // --- NDIS -------------------------------------------------------------------------------
  NdisStatus refusal() override { return refusal_; }
  void sent(NetBufferList* chain) override {
    while (chain != nullptr) {
      NetBufferList* list = chain;
      chain = chain->next;
      ++completed_[list];
      if (again_ == list) {
        again_ = nullptr;
        --completed_[list];
        sender_.send(single(*list));
      }
    }
  }
  void drained() override { ++drains_; }
  static NetBufferList* single(NetBufferList& list) {
    list.next = nullptr;
    return &list;
  }
  void pause() {
    refusal_ = NdisStatus::kPaused;
    sender_.gate_changed();
    sender_.drain();
  }

  TestPlatform platform_;
  NdisStatus refusal_ = NdisStatus::kSuccess;
  size_t slots_ = 2;
  bool closed_ = false;
  bool blocked_ = false;
  std::optional<TxStatus> at_once_;  ///< how packets end before transmit() returns
  size_t at_once_length_ = 0;        ///< only those of this length, unless 0
  std::vector<uint64_t> outstanding_;
  std::vector<Bytes> sent_;
  std::map<NetBufferList*, int> completed_;
  NetBufferList* again_ = nullptr;
  int drains_ = 0;
  int flushes_ = 0;
  Sender sender_;
};

TEST_F(SenderTest, AListCompletesWhenTheLastOfItsPacketsHasEnded) {
  slots_ = 8;
  TestList list;
  for (unsigned i = 0; i < 3; ++i) list.add(plain_frame(100 + i, i), 40, 7);
  sender_.send(&list);
  ASSERT_EQ(sent_.size(), 3u);
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(sent_[i], plain_frame(100 + i, i));
  complete(1);
  complete(1, TxStatus::kDroppedByPeer);
  EXPECT_EQ(completed_[&list], 0);
  complete(0);
  EXPECT_EQ(completed_[&list], 1);
  EXPECT_EQ(list.status, NdisStatus::kResources);
  EXPECT_EQ(sender_.statistics().all_frames(), 2u);
}

TEST_F(SenderTest, WhatEndsInsideTransmitIsCompletedOnce) {
  at_once_ = TxStatus::kOverMtu;
  TestList list;
  list.add(plain_frame(100));
  list.add(plain_frame(100));
  sender_.send(&list);
  EXPECT_EQ(completed_[&list], 1);
  EXPECT_EQ(list.status, NdisStatus::kInvalidLength);
}

TEST_F(SenderTest, AnotherCpusListsGoOutOnTheQueuesOwn) {
  TestList list;
  list.add(plain_frame(100));
  platform_.on_cpu = 1;
  sender_.send(&list);
  EXPECT_TRUE(sent_.empty());
  EXPECT_TRUE(platform_.fire());
  EXPECT_EQ(sent_.size(), 1u);
  complete(0);
  EXPECT_EQ(completed_[&list], 1);
}

TEST_F(SenderTest, AListThatSaysMoreThanItHasIsRefused) {
  TestList list;
  list.add(plain_frame(100));
  list.first->length = 101;
  sender_.send(&list);
  EXPECT_EQ(list.status, NdisStatus::kInvalidPacket);
  EXPECT_EQ(completed_[&list], 1);
}

TEST_F(SenderTest, AChainOfManyPiecesFindsRoom) {
  TestList list;
  const Bytes frame = plain_frame(1400);
  list.add(frame, 10);
  sender_.send(&list);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0], frame);
  complete(0);
  EXPECT_EQ(list.status, NdisStatus::kSuccess);
  platform_.allocations_left = 0;
  sender_.send(single(list));
  EXPECT_EQ(list.status, NdisStatus::kResources);
  EXPECT_EQ(completed_[&list], 2);
}

/// What can happen at most once in each run of the test below; answers come besides.
enum class Event { kSendFirst, kSendSecond, kCancel, kPause, kDisconnect };

class SenderOrderTest : public SenderTest {
 protected:
  void happen(Event event, TestList& first, TestList& second) {
    switch (event) {
      case Event::kSendFirst: return sender_.send(single(first));
      case Event::kSendSecond: return sender_.send(single(second));
      case Event::kCancel: return sender_.cancel(7);
      case Event::kPause: return pause();
      case Event::kDisconnect: return disconnect();
    }
  }
  void check(const TestList& list, const char* which) {
    EXPECT_EQ(completed_[const_cast<TestList*>(&list)], 1) << which;
    EXPECT_EQ(list.parts, 0u) << which;
  }
  /// One run: events in the chosen order, answers for the chosen packets between them.
  void run(Choices& choices, TestList& first, TestList& second) {
    std::vector<Event> left{Event::kSendFirst, Event::kSendSecond, Event::kCancel, Event::kPause,
                            Event::kDisconnect};
    while (!left.empty()) {
      const size_t choice = choices.choose(left.size() + outstanding_.size());
      if (choice < left.size()) {
        const Event event = left[choice];
        left.erase(left.begin() + static_cast<long>(choice));
        happen(event, first, second);
      } else {
        complete(choice - left.size());
      }
      if (drains_ > 0) {
        ASSERT_EQ(drains_, 1);
        ASSERT_EQ(sender_.outstanding(), 0u);
      }
    }
    while (!outstanding_.empty()) complete(0);
    check(first, "first");
    check(second, "second");
    EXPECT_EQ(drains_, 1);
    EXPECT_EQ(sender_.outstanding(), 0u);
  }
  void begin() {
    completed_.clear();
    sent_.clear();
    drains_ = 0;
    closed_ = blocked_ = false;
    refusal_ = NdisStatus::kSuccess;
    sender_.gate_changed();
  }
};

TEST_F(SenderOrderTest, EveryListCompletesOnceInAnyOrderOfEvents) {
  TestList first;
  first.cancel_id = 7;
  for (unsigned i = 0; i < 3; ++i) first.add(plain_frame(60 + i));
  TestList second;
  second.add(plain_frame(70));
  Choices choices;
  size_t runs = 0;
  do {
    begin();
    // Half of the runs send the first list anew from within its completion.
    again_ = choices.choose(2) == 1 ? &first : nullptr;
    // In some a packet, the first or second of its list, ends inside transmit().
    at_once_ = TxStatus::kOverMtu;
    at_once_length_ = std::array{size_t{1}, size_t{60}, size_t{61}}[choices.choose(3)];
    run(choices, first, second);
    ++runs;
  } while (!HasFailure() && choices.next());
  EXPECT_GT(runs, 1000u);
}

}  // namespace
}  // namespace ringside::xennet
