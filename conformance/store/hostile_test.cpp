#include <gtest/gtest.h>

#include <string>

#include "conformance/store/played_store.hpp"

namespace ringside::conformance {
namespace {

using xenbus::kNoTransaction;

/// A xenstored that breaks the rules, has died, or answers nothing.
class HostileStoreTest : public PlayedStore {
 public:
  void fired() { ++fires_; }

 protected:
  /// The connection is gone: every later call says so at once and the ring is left alone.
  void expect_dead() {
    const uint32_t produced = page_->req_prod;
    run([&] {
      EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kClosed);
      EXPECT_EQ(store().begin().status(), Status::kClosed);
    });
    EXPECT_EQ(page_->req_prod, produced);
  }
  /// What a read gets when the player answers by `answer`.
  Status read_when(std::function<void(const Request&)> answer) {
    EXPECT_EQ(start(), Status::kOk);
    on_request = std::move(answer);
    Status status = Status::kOk;
    run([&] { status = store().read(kNoTransaction, "key").status(); });
    return status;
  }
  int fires_ = 0;
};

TEST_F(HostileStoreTest, STORE_002_AReplyOfAnotherTypeIsAViolation) {
  EXPECT_EQ(
      read_when([&](const Request& request) { send(XS_WRITE, request.header.req_id, 0, "OK"); }),
      Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_002_AReplyOfAnotherTransactionIsAViolation) {
  EXPECT_EQ(
      read_when([&](const Request& request) { send(XS_READ, request.header.req_id, 99, "value"); }),
      Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_003_AReplyNobodyAskedForIsDropped) {
  EXPECT_EQ(read_when([&](const Request& request) {
              send(XS_READ, request.header.req_id + 1000, 0, "not yours");
              serve(request);
            }),
            Status::kOk);
}

TEST_F(HostileStoreTest, STORE_025_AnOversizedReplyIsAViolation) {
  EXPECT_EQ(read_when([&](const Request& request) {
              send_header({XS_READ, request.header.req_id, 0, 4097});
              out_ += std::string(8000, 'x');
            }),
            Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_AnAbsurdLengthIsAViolation) {
  EXPECT_EQ(read_when([&](const Request& request) {
              send_header({XS_READ, request.header.req_id, 0, 0xfffffff0u});
            }),
            Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_AProducerOutOfBoundsIsAViolation) {
  EXPECT_EQ(read_when([&](const Request&) {
              page_->rsp_prod = page_->rsp_cons + 1025;
              notify();
            }),
            Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_AConsumerAheadOfUsIsAViolation) {
  EXPECT_EQ(read_when([&](const Request&) { page_->req_cons = page_->req_prod + 1; }),
            Status::kTimedOut)
      << "nothing more is to be sent, so that nobody looks";
  Status status = Status::kOk;
  run([&] { status = store().read(kNoTransaction, "key").status(); });
  EXPECT_EQ(status, Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_AWatchEventWithoutTokenIsAViolation) {
  EXPECT_EQ(read_when([&](const Request&) { send(XS_WATCH_EVENT, 0, 0, "key"); }),
            Status::kPeerViolation);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_ATransactionWithoutANumberIsAViolation) {
  ASSERT_EQ(start(), Status::kOk);
  on_request = [&](const Request& request) { reply(request, "zero"); };
  run([&] { EXPECT_EQ(store().begin().status(), Status::kPeerViolation); });
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_025_EveryWaiterIsToldOfTheEnd) {
  ASSERT_EQ(start(), Status::kOk);
  int asked = 0;
  on_request = [&](const Request& request) {
    if (++asked == 3) send_header({XS_READ, request.header.req_id, 0, 5000});
  };
  int told = 0;
  for (int i = 0; i < 3; ++i) {
    guest_->post(0, [&] {
      EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kPeerViolation);
      ++told;
    });
  }
  EXPECT_TRUE(run_until([&] { return told == 3; }));
}

TEST_F(HostileStoreTest, STORE_025_NoiseInTheRingNeverHarmsTheClient) {
  ASSERT_EQ(start(), Status::kOk);
  on_request = [&](const Request& request) {
    for (int i = 0; i < 600; ++i) out_ += static_cast<char>(world_->random().next());
    serve(request);
  };
  run([&] {
    const Status status = store().read(kNoTransaction, "key").status();
    EXPECT_TRUE(status == Status::kPeerViolation || status == Status::kTimedOut)
        << to_string(status);
  });
}

TEST_F(HostileStoreTest, STORE_021_TheErrorFieldEndsTheConnection) {
  page_->server_features = XENSTORE_SERVER_FEATURE_ERROR;
  EXPECT_EQ(read_when([&](const Request&) {
              page_->error = XENSTORE_ERROR_COMM;
              notify();
            }),
            Status::kClosed);
  expect_dead();
}

TEST_F(HostileStoreTest, STORE_019_UnknownFeatureBitsMeanNothing) {
  page_->server_features = 0xfffffffcu;
  page_->connection = XENSTORE_RECONNECT;
  page_->error = 0xffffffffu;
  EXPECT_EQ(read_when([&](const Request& request) { serve(request); }), Status::kOk);
  EXPECT_EQ(page_->server_features, 0xfffffffcu);
}

TEST_F(HostileStoreTest, STORE_020_AReconnectionUnderWayIsWaitedFor) {
  page_->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
  page_->connection = XENSTORE_RECONNECT;
  page_->rsp_prod = 700;  // of the time before
  deaf_ = true;
  world_->spawn("reconnection", [this] {
    sim::Actor::current()->sleep(world_->now() + platform::kSecond);
    EXPECT_EQ(page_->req_prod, 0u) << "all else is ignored meanwhile";
    page_->rsp_prod = 0;
    std::atomic_ref(page_->connection).store(XENSTORE_CONNECTED);
    deaf_ = false;
  });
  EXPECT_EQ(read_when([&](const Request& request) { serve(request); }), Status::kOk);
}

TEST_F(HostileStoreTest, STORE_020_ARingLeftHalfDoneIsStartedAfresh) {
  page_->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
  page_->req_prod = 5;  // five bytes of a request that its driver never ended
  deaf_ = true;
  world_->spawn("reconnection", [this] {
    while (std::atomic_ref(page_->connection).load() != XENSTORE_RECONNECT) {
      sim::Actor::current()->sleep(world_->now() + platform::kMillisecond);
    }
    page_->req_prod = page_->req_cons = page_->rsp_prod = page_->rsp_cons = 0;
    std::atomic_ref(page_->connection).store(XENSTORE_CONNECTED);
    deaf_ = false;
  });
  EXPECT_EQ(read_when([&](const Request& request) { serve(request); }), Status::kOk);
}

TEST_F(HostileStoreTest, ASilentXenstoredTimesOutAndALateReplyFindsNobody) {
  ASSERT_EQ(start(), Status::kOk);
  std::vector<Request> late;
  on_request = [&](const Request& request) { late.push_back(request); };
  run([&] { EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kTimedOut); });
  ASSERT_EQ(late.size(), 1u);
  serve(late[0]);
  on_request = [&](const Request& request) { serve(request); };
  run([&] { EXPECT_EQ(store().read(kNoTransaction, "b")->view(), "value of b"); });
}

TEST_F(HostileStoreTest, ADeafXenstoredTimesOutAndTheStreamStaysWhole) {
  ASSERT_EQ(start(), Status::kOk);
  deaf_ = true;
  const std::string large(3000, 'x');
  run([&] {
    EXPECT_EQ(store().write(kNoTransaction, "large", large), Status::kTimedOut);
    EXPECT_EQ(store().read(kNoTransaction, "never sent").status(), Status::kInvalidArgument);
    EXPECT_EQ(store().read(kNoTransaction, "never-sent").status(), Status::kTimedOut);
  });
  deaf_ = false;
  unsigned writes = 0;
  on_request = [&](const Request& request) {
    if (request.header.type == XS_WRITE) {
      ++writes;
      EXPECT_EQ(request.payload.size(), 6 + large.size());
    }
    serve(request);
  };
  run([&] { EXPECT_EQ(store().read(kNoTransaction, "b")->view(), "value of b"); });
  EXPECT_EQ(writes, 1u);
}

TEST_F(HostileStoreTest, ATransactionThatStartedTooLateIsEnded) {
  ASSERT_EQ(start(), Status::kOk);
  std::vector<Request> seen;
  on_request = [&](const Request& request) { seen.push_back(request); };
  run([&] { EXPECT_EQ(store().begin().status(), Status::kTimedOut); });
  serve(seen.at(0));
  EXPECT_TRUE(run_until([&] { return seen.size() == 2; }));
  EXPECT_EQ(seen.at(1).header.type, unsigned{XS_TRANSACTION_END});
  EXPECT_EQ(seen.at(1).header.tx_id, 17u);
  EXPECT_EQ(seen.at(1).payload, std::string("F\0", 2));
}

TEST_F(HostileStoreTest, AStormOfWatchEventsLeavesRoomForTheReply) {
  ASSERT_EQ(start(), Status::kOk);
  on_request = [&](const Request& request) {
    if (request.header.type == XS_READ) {
      for (int i = 0; i < 2000; ++i) fire("key", "1");
    }
    serve(request);
  };
  run([&] {
    auto watch = *store().watch("key", Delegate::to<&HostileStoreTest::fired>(*this));
    EXPECT_TRUE(store().read(kNoTransaction, "key").ok());
    EXPECT_EQ(fires_, 2000);
  });
}

}  // namespace
}  // namespace ringside::conformance
