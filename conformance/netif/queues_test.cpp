#include <map>
#include <set>

#include "backends/netback/port.hpp"
#include "conformance/netif/vif_fixture.hpp"
#include "conformance/rig/xen.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kQueues = 2;

/// A vif of several queues on the reference netback.
class NetifQueuesTest : public VifFixture {
 protected:
  void SetUp() override {
    host_.emplace();
    guest_.emplace(*host_, sim::GuestConfig{.vcpus = kQueues}, nullptr,
                   std::map<std::string, uint32_t>{{"FrontendMaxQueues", kQueues}});
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port_; },
        *backends::find_netback_profile("linux"));
    attach();
    ASSERT_TRUE(device_->connect());
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
    ASSERT_EQ(vif().queue_count(), kQueues);
  }
  void stop_backend() override { netback_.reset(); }

  backends::MemoryPort port_;
  std::unique_ptr<NetbackActor> netback_;
};

// Packets of one flow on two queues would overtake each other.
TEST_F(NetifQueuesTest, NETIF_NEG_006_EachFlowStaysOnOneQueueAndAllQueuesReceive) {
  constexpr unsigned kFlows = 12;
  constexpr unsigned kPackets = 6;
  for (const unsigned version : {4u, 6u}) {
    std::map<uint32_t, std::set<unsigned>> queues_of;  // by the last four bytes of the address
    client_.on_received = [&](xenvif::Queue& queue, const xenvif::RxPacket& packet) {
      const size_t address = version == 4 ? 30 : 50;
      queues_of[xenvif::read_be32(packet.fragments[0].address + address)].insert(queue.index());
    };
    for (unsigned i = 0; i < kFlows * kPackets; ++i) {
      Bytes frame = ip_frame({.version = version, .seed = i % kFlows});
      const size_t transport = version == 4 ? 34 : 54;
      xenvif::write_be32(&frame[transport + 4], 7919 * i);  // the sequence number
      xenvif::write_be32(&frame[transport + 8], 104729 * i);
      port_.inject({.bytes = std::move(frame)});
    }
    client_.frames.clear();
    host_->require("frames", [&] { return client_.frames.size() == kFlows * kPackets; });
    std::set<unsigned> used;
    for (const auto& [flow, queues] : queues_of) {
      EXPECT_EQ(queues.size(), 1u) << "flow " << flow << " of IPv" << version;
      used.insert(queues.begin(), queues.end());
    }
    EXPECT_EQ(queues_of.size(), kFlows);
    EXPECT_EQ(used.size(), kQueues) << "IPv" << version;
  }
  client_.on_received = nullptr;
}

}  // namespace
}  // namespace ringside::conformance
