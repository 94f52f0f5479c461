#include "conformance/report/catalogue.hpp"

#include <gtest/gtest.h>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

Catalogue parse(std::string_view text) {
  const RuleFile file{"ring", text};
  return Catalogue::parse({&file, 1});
}

TEST(CatalogueTest, ReadsRules) {
  const Catalogue catalogue = parse(
      R"([{"id":"NETIF-TX-017","statement":"s","source":"xen/io/netif.h","status":"covered"}])");
  const Rule* rule = catalogue.find("NETIF-TX-017");
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->family(), "NETIF");
  EXPECT_EQ(rule->status, RuleStatus::kCovered);
  EXPECT_EQ(catalogue.similar("netif-tx-1").front(), "NETIF-TX-017");
}

TEST(CatalogueTest, RefusesWhatIsNoCatalogue) {
  EXPECT_THROW(parse("{}"), Problem);
  EXPECT_THROW(parse("not json"), Problem);
  EXPECT_THROW(parse(R"([{"id":"RING-001"}])"), Problem);
  const std::string rule = R"({"id":"RING-001","statement":"","source":"","status":"open"})";
  EXPECT_THROW(parse("[" + rule + "," + rule + "]"), Problem);
  EXPECT_THROW(parse(R"([{"id":"ring-1","statement":"","source":"","status":"open"}])"), Problem);
  EXPECT_THROW(parse(R"([{"id":"RING-001","statement":"","source":"","status":"done"}])"), Problem);
}

TEST(CatalogueTest, FindsTheIdsInTestNames) {
  using Ids = std::vector<std::string>;
  EXPECT_EQ(rule_ids_of_test("RING_008_OverflowClosesTheRing"), Ids{"RING-008"});
  EXPECT_EQ(rule_ids_of_test("NETIF_TX_017_TotalFirst/3"), Ids{"NETIF-TX-017"});
  EXPECT_EQ(rule_ids_of_test("RING_004_RING_006_Publishes"), (Ids{"RING-004", "RING-006"}));
  EXPECT_EQ(rule_ids_of_test("HandlesReset"), Ids{});
  EXPECT_EQ(rule_ids_of_test("RING_Overflow"), Ids{});
}

}  // namespace
}  // namespace ringside::conformance
