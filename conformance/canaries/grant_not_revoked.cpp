// A driver that forgets to revoke one grant: the peer could read the page for ever, whatever
// it is used for next.
// Caught by: is still permitted to domain 0

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

TEST(GrantNotRevokedCanary, IsSeenAtTheEndOfTheWorld) {
  Host host;
  DriverGuest guest(host);
  guest.run([&] {
    const auto page = *guest.platform().allocate_page();
    auto cache = *guest.services().grants.create_cache("canary", 1, 1);
    EXPECT_TRUE(cache->permit(0, page.frame, xenbus::Access::kReadWrite).ok());
    guest.platform().release_page(page);
  });
  EXPECT_EQ(guest.shut_down(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
