#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "conformance/blkif/disk_stack.hpp"
#include "conformance/netif/recording_client.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::conformance {
namespace {

/// All nodes below `path`, relative to it.
void collect(sim::xenstore::Client& store, const std::string& path, const std::string& prefix,
             std::set<std::string>& found) {
  for (const std::string& name : store.directory(path)) {
    found.insert(prefix + name);
    collect(store, path + "/" + name, prefix + name + "/", found);
  }
}

std::set<std::string> nodes_below(Host& host, const std::string& path) {
  std::set<std::string> found;
  collect(host.toolstack().store(), path, "", found);
  return found;
}

void leave_behind(Host& host, const std::string& frontend, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) host.toolstack().write(frontend + "/" + key, "7");
}

TEST(StaleKeysTest, XENBUS_017_AVifPublishesNothingOfAnEarlierDriversConnection) {
  Host host;
  backends::Link wire;
  const auto netback = start_netback(host, [&wire](uint16_t, unsigned handle) {
    return handle == 0 ? &wire.left() : &wire.right();
  });
  DriverGuest guest(host);
  RecordingClient client;
  VifDevice clean(guest, client, {.handle = 0});
  ASSERT_TRUE(clean.connect());
  VifDevice late(guest, client, {.handle = 1});
  // A driver with eleven queues, split channels, a control ring and multicast was here.
  std::vector<std::string> keys{"ctrl-ring-ref",
                                "event-channel-ctrl",
                                "event-channel",
                                "event-channel-tx",
                                "event-channel-rx",
                                "tx-ring-ref",
                                "rx-ring-ref",
                                "request-multicast-control",
                                "feature-multicast-control",
                                "feature-gso-tcpv4-prefix",
                                "feature-gso-tcpv6-prefix",
                                "multi-queue-num-queues"};
  for (int i = 0; i <= 10; ++i) {
    const std::string queue = "queue-" + std::to_string(i) + "/";
    for (const char* key : {"tx-ring-ref", "rx-ring-ref", "event-channel"}) {
      keys.push_back(queue + key);
    }
  }
  leave_behind(host, late.paths().frontend, keys);
  ASSERT_TRUE(late.connect());
  EXPECT_EQ(nodes_below(host, late.paths().frontend), nodes_below(host, clean.paths().frontend));
  EXPECT_NE(host.toolstack().read(late.paths().frontend + "/tx-ring-ref"), "7");
}

TEST(StaleKeysTest, XENBUS_017_AVbdPublishesNothingOfAnEarlierDriversConnection) {
  for (const uint32_t order : {0u, 2u}) {
    const std::vector<std::pair<std::string, uint32_t>> settings{
        {"FrontendMaxRingPageOrder", order}};
    std::set<std::string> wanted;
    {
      DiskStack clean(chosen_blkback_profile());
      clean.settings = settings;
      clean.connect();
      wanted = nodes_below(clean.host, clean.vbd->paths().frontend);
    }
    DiskStack late(chosen_blkback_profile());
    late.settings = settings;
    late.attach();
    std::vector<std::string> keys{"ring-ref",           "event-channel",
                                  "ring-page-order",    "num-ring-pages",
                                  "feature-persistent", "feature-large-sector-size",
                                  "protocol",           "multi-queue-num-queues"};
    for (int i = 0; i < 16; ++i) keys.push_back("ring-ref" + std::to_string(i));
    for (int i = 0; i < 9; ++i) {
      const std::string queue = "queue-" + std::to_string(i) + "/";
      keys.push_back(queue + "ring-ref0");
      keys.push_back(queue + "event-channel");
    }
    leave_behind(late.host, late.vbd->paths().frontend, keys);
    ASSERT_TRUE(late.vbd->connect());
    EXPECT_EQ(nodes_below(late.host, late.vbd->paths().frontend), wanted);
    EXPECT_NE(late.frontend_node("event-channel"), "7");
  }
}

}  // namespace
}  // namespace ringside::conformance
