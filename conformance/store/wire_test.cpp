#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/store/played_store.hpp"

namespace ringside::conformance {
namespace {

using xenbus::kNoTransaction;

/// What goes over the ring, seen from xenstored's side.
class StoreWireTest : public PlayedStore {
 public:
  void fired() { ++fires_; }

 protected:
  int fires_ = 0;
};

TEST_F(StoreWireTest, STORE_001_FullPayloadsArePassedBothWays) {
  ASSERT_EQ(start(), Status::kOk);
  const std::string value(4096 - 4, 'v');
  const std::string answer(4096, 'a');
  std::string seen;
  on_request = [&](const Request& request) {
    EXPECT_EQ(request.header.tx_id, 0u);
    if (request.header.type == XS_READ) return reply(request, answer);
    seen = request.payload;
    serve(request);
  };
  run([&] {
    EXPECT_EQ(store().write(kNoTransaction, "key", value), Status::kOk);
    EXPECT_EQ(store().write(kNoTransaction, "key", value + "v"), Status::kTooLarge);
    EXPECT_EQ(store().read(kNoTransaction, "key")->view(), answer);
  });
  EXPECT_EQ(seen, std::string("key\0", 4) + value);
}

TEST_F(StoreWireTest, STORE_003_RepliesMayComeInAnyOrder) {
  ASSERT_EQ(start(), Status::kOk);
  std::vector<Request> waiting;
  on_request = [&](const Request& request) {
    waiting.push_back(request);
    if (waiting.size() < 3) return;
    for (size_t i = waiting.size(); i > 0; --i) serve(waiting[i - 1]);
  };
  int done = 0;
  for (const char* key : {"a", "b", "c"}) {
    guest_->post(0, [&, key] {
      EXPECT_EQ(store().read(kNoTransaction, key)->view(), std::string("value of ") + key);
      ++done;
    });
  }
  EXPECT_TRUE(run_until([&] { return done == 3; }));
}

TEST_F(StoreWireTest, STORE_004_WatchEventsMayComeBetweenARequestAndItsReply) {
  ASSERT_EQ(start(), Status::kOk);
  std::string token;
  on_request = [&](const Request& request) {
    if (request.header.type == XS_WATCH) {
      token = request.payload.substr(request.payload.find('\0') + 1);
      token.pop_back();
      fire("key", token);
    }
    if (request.header.type == XS_READ) {
      fire("key", token);
      fire("key", "4711");
      fire("key", "no number");
    }
    serve(request);
  };
  run([&] {
    auto watch = *store().watch("key", Delegate::to<&StoreWireTest::fired>(*this));
    EXPECT_EQ(fires_, 1);
    EXPECT_EQ(store().read(kNoTransaction, "key")->view(), "value of key");
    EXPECT_EQ(fires_, 2) << "events of other tokens are nobody's";
  });
}

TEST_F(StoreWireTest, STORE_005_TheIndicesDoNotBeginAtZero) {
  page_->req_prod = page_->req_cons = 0xfffffff0u;
  page_->rsp_prod = page_->rsp_cons = 0xffffff01u;
  std::memset(page_->req, 0x5a, sizeof(page_->req));
  std::memset(page_->rsp, 0xa5, sizeof(page_->rsp));
  ASSERT_EQ(start(), Status::kOk);
  run([&] {
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(store().read(kNoTransaction, "key")->view(), "value of key");
    }
  });
}

TEST_F(StoreWireTest, STORE_006_MessagesMayBeCutAnywhere) {
  ASSERT_EQ(start(), Status::kOk);
  for (const size_t piece : {1, 2, 3, 5, 15, 16, 17, 1000}) {
    piece_ = piece;
    run([&] {
      for (int i = 0; i < 30; ++i) {
        ASSERT_EQ(store().read(kNoTransaction, "a-key")->view(), "value of a-key");
      }
    });
  }
}

TEST_F(StoreWireTest, STORE_007_RequestsAndReadRepliesAreAnnounced) {
  ASSERT_EQ(start(), Status::kOk);
  const unsigned before = announced_;
  on_request = [&](const Request& request) {
    EXPECT_GT(announced_, before) << "nobody told of the request";
    announced_ = before;
    serve(request);
  };
  run([&] { EXPECT_TRUE(store().read(kNoTransaction, "key").ok()); });
  EXPECT_TRUE(run_until([&] { return announced_ > before; })) << "nor of the room it left";
}

TEST_F(StoreWireTest, STORE_008_ARequestLargerThanTheRingGoesInPieces) {
  ASSERT_EQ(start(), Status::kOk);
  piece_ = 100;
  std::string value;
  for (int i = 0; i < 3000; ++i) value += static_cast<char>('a' + i % 23);
  std::string seen;
  on_request = [&](const Request& request) {
    seen = request.payload;
    serve(request);
  };
  run([&] { EXPECT_EQ(store().write(kNoTransaction, "key", value), Status::kOk); });
  EXPECT_EQ(seen, std::string("key\0", 4) + value);
}

TEST_F(StoreWireTest, STORE_011_AListingThatChangesMeanwhileIsReadAgain) {
  ASSERT_EQ(start(), Status::kOk);
  int parts = 0;
  on_request = [&](const Request& request) {
    if (request.header.type == XS_DIRECTORY) return fail(request, "E2BIG");
    ASSERT_EQ(request.header.type, unsigned{XS_DIRECTORY_PART});
    const std::string offset = request.payload.substr(request.payload.find('\0') + 1);
    switch (++parts) {
      case 1: EXPECT_EQ(offset, std::string("0\0", 2)); return reply(request, {"7\0old\0", 6});
      case 2: EXPECT_EQ(offset, std::string("4\0", 2)); return reply(request, {"8\0b\0\0", 5});
      case 3: EXPECT_EQ(offset, std::string("0\0", 2)); return reply(request, {"8\0a\0", 4});
      default: return reply(request, {"8\0b\0\0", 5});
    }
  };
  run([&] {
    const auto names = store().directory(kNoTransaction, "key");
    ASSERT_TRUE(names.ok());
    EXPECT_EQ(names->raw(), std::string_view("a\0b\0", 4));
  });
}

TEST_F(StoreWireTest, STORE_014_ATokenIsANumberOfItsOwn) {
  ASSERT_EQ(start(), Status::kOk);
  std::vector<std::string> tokens;
  on_request = [&](const Request& request) {
    if (request.header.type == XS_WATCH || request.header.type == XS_UNWATCH) {
      tokens.push_back(request.payload);
    }
    serve(request);
  };
  run([&] {
    for (int i = 0; i < 2; ++i) {
      (void)*store().watch("key", Delegate::to<&StoreWireTest::fired>(*this));
    }
  });
  ASSERT_EQ(tokens.size(), 4u);
  EXPECT_EQ(tokens[0], tokens[1]) << "UNWATCH names path and token of its WATCH";
  EXPECT_NE(tokens[0], tokens[2]) << "a token is not used twice";
  EXPECT_EQ(tokens[0], std::string("key\0"
                                   "1\0",
                                   6))
      << "and tells nothing of the guest's memory";
}

TEST_F(StoreWireTest, STORE_022_ErrorsWithoutAMeaningForUsAreOnlyErrors) {
  ASSERT_EQ(start(), Status::kOk);
  const char* error = "ENOSYS";
  on_request = [&](const Request& request) { fail(request, error); };
  run([&] {
    EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kNotSupported);
    error = "EWHATEVER";
    EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kIoError);
    error = "ENOENT";
    EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kNotFound);
  });
}

TEST_F(StoreWireTest, STORE_023_WithoutAPageOrAPortThereIsNoStore) {
  domain_.set_hvm_param(HVM_PARAM_STORE_PFN, 0);
  EXPECT_EQ(start(), Status::kNotFound);
}

}  // namespace
}  // namespace ringside::conformance
