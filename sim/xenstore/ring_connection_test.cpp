#include "sim/xenstore/ring_connection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace ringside::sim::xenstore {
namespace {

constexpr uint32_t kStart = 0xfffffe00;  // wraps soon

/// The domain's side of the page, as careless or as hostile as a test wants it.
class RingConnectionTest : public testing::Test {
 protected:
  RingConnectionTest() {
    page().req_cons = page().req_prod = page().rsp_cons = page().rsp_prod = kStart;
    ring_ = std::make_unique<RingConnection>(server_, 5, memory_.data());
    dom0_ = server_.connect(0);
    ask_dom0(XS_MKDIR, std::string("/local/domain/5\0", 16));
    ask_dom0(XS_SET_PERMS, std::string("/local/domain/5\0n5\0", 19));
  }
  ~RingConnectionTest() override { server_.disconnect(*dom0_); }

  xenstore_domain_interface& page() {
    return *reinterpret_cast<xenstore_domain_interface*>(memory_.data());
  }
  void ask_dom0(uint32_t type, const std::string& payload) {
    server_.exchange(*dom0_, {{type, 0, 0, static_cast<uint32_t>(payload.size())}, payload});
  }
  static std::string bytes_of(uint32_t type, const std::string& payload) {
    const xsd_sockmsg header{type, 1, 0, static_cast<uint32_t>(payload.size())};
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + payload;
  }
  void put(const std::string& bytes) {
    for (const char c : bytes) page().req[MASK_XENSTORE_IDX(page().req_prod++)] = c;
  }
  std::string drain() {
    std::string bytes;
    while (page().rsp_cons != page().rsp_prod) {
      bytes += page().rsp[MASK_XENSTORE_IDX(page().rsp_cons++)];
    }
    return bytes;
  }

  Server server_{{.outstanding = 4}};
  alignas(8) std::array<std::byte, 4096> memory_{};
  std::unique_ptr<RingConnection> ring_;
  std::shared_ptr<Connection> dom0_;
};

TEST_F(RingConnectionTest, ServesMessagesSplitAtAnyByte) {
  const std::string request = bytes_of(XS_WRITE, std::string("key\0value", 9));
  for (const char c : request) {
    put(std::string(1, c));
    EXPECT_TRUE(ring_->serve().notify);
  }
  EXPECT_EQ(drain(), bytes_of(XS_WRITE, std::string("OK\0", 3)));
  EXPECT_FALSE(ring_->serve().notify);
}

TEST_F(RingConnectionTest, CarriesMessagesLongerThanTheRing) {
  const std::string value(2000, 'v');
  const std::string request = bytes_of(XS_WRITE, std::string("key\0", 4) + value);
  for (size_t at = 0; at < request.size(); at += XENSTORE_RING_SIZE) {
    put(request.substr(at, XENSTORE_RING_SIZE));
    ring_->serve();
  }
  EXPECT_EQ(drain(), bytes_of(XS_WRITE, std::string("OK\0", 3)));

  put(bytes_of(XS_READ, std::string("key\0", 4)));
  std::string reply;
  while (ring_->serve().notify) reply += drain();
  EXPECT_EQ(reply, bytes_of(XS_READ, value));
}

TEST_F(RingConnectionTest, AnnouncesWhatItCanDo) {
  EXPECT_EQ(page().server_features,
            uint32_t{XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR});
  EXPECT_EQ(page().connection, uint32_t{XENSTORE_CONNECTED});
}

TEST_F(RingConnectionTest, UnreadRepliesMakeRequestsWait) {
  const std::string request = bytes_of(XS_READ, std::string("none\0", 5));
  for (int sent = 0; sent < 400; ++sent) {
    if (page().req_prod - page().req_cons > XENSTORE_RING_SIZE - request.size()) break;
    put(request);
    ring_->serve();
  }
  EXPECT_GT(page().req_prod, page().req_cons) << "the server would buffer without end";
  std::string replies;
  while (ring_->serve().notify || page().rsp_cons != page().rsp_prod) replies += drain();
  EXPECT_EQ(page().req_prod, page().req_cons);
  EXPECT_EQ(replies.size() % bytes_of(XS_ERROR, std::string("ENOENT\0", 7)).size(), 0u);
}

TEST_F(RingConnectionTest, ImpossibleIndicesEndTheService) {
  put(bytes_of(XS_WATCH, std::string("a\0t\0", 4)));
  ring_->serve();
  EXPECT_EQ(server_.watch_count(*ring_->connection()), 1u);

  page().req_prod += XENSTORE_RING_SIZE + 1;
  EXPECT_TRUE(ring_->serve().notify);
  EXPECT_TRUE(ring_->ignored());
  EXPECT_EQ(page().error, uint32_t{XENSTORE_ERROR_RINGIDX});
  EXPECT_EQ(server_.watch_count(*ring_->connection()), 0u);
  EXPECT_FALSE(ring_->serve().notify);
}

TEST_F(RingConnectionTest, ImpossibleResponseIndicesEndTheService) {
  page().rsp_cons = kStart + 1;
  put(bytes_of(XS_READ, std::string("a\0", 2)));
  ring_->serve();
  EXPECT_TRUE(ring_->ignored());
  EXPECT_EQ(page().error, uint32_t{XENSTORE_ERROR_RINGIDX});
}

TEST_F(RingConnectionTest, AnOversizedMessageEndsTheService) {
  const xsd_sockmsg header{XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1};
  put(std::string(reinterpret_cast<const char*>(&header), sizeof(header)));
  ring_->serve();
  EXPECT_TRUE(ring_->ignored());
  EXPECT_EQ(page().error, uint32_t{XENSTORE_ERROR_PROTO});
}

TEST_F(RingConnectionTest, OverwrittenServerIndicesAreOfNoInterest) {
  page().req_cons = 12345;
  page().rsp_prod = 54321;
  put(bytes_of(XS_WRITE, std::string("key\0value", 9)));
  ring_->serve();
  EXPECT_FALSE(ring_->ignored());
  EXPECT_EQ(drain(), bytes_of(XS_WRITE, std::string("OK\0", 3)));
}

TEST_F(RingConnectionTest, ReconnectsOnRequest) {
  put(bytes_of(XS_WATCH, std::string("a\0t\0", 4)).substr(0, 10));
  page().req_prod += XENSTORE_RING_SIZE + 1;
  ring_->serve();
  ASSERT_TRUE(ring_->ignored());

  page().connection = XENSTORE_RECONNECT;
  EXPECT_TRUE(ring_->serve().notify);
  EXPECT_EQ(page().connection, uint32_t{XENSTORE_CONNECTED});
  EXPECT_EQ(page().error, uint32_t{XENSTORE_ERROR_NONE});
  EXPECT_EQ(page().req_prod, 0u);
  put(bytes_of(XS_WRITE, std::string("key\0value", 9)));
  ring_->serve();
  EXPECT_EQ(drain(), bytes_of(XS_WRITE, std::string("OK\0", 3)));
}

}  // namespace
}  // namespace ringside::sim::xenstore
