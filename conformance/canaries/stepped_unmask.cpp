// The driver's accesses to event bits without the lock prefix: what Xen changes between a read
// and the write behind it is overwritten.
// Caught by: EVTCHN-001: lost event.*EVTCHN-001: lost event

#include <gtest/gtest.h>

#include "conformance/stepped/unmask_model.hpp"

namespace ringside::conformance {
namespace {

TEST(UnmaskCanary, TearsBitmapsApart) {
  const auto outcome =
      Interleaver("upcall").check(UnmaskModel::scenario({.fifo = false, .ports = 2, .events = 1}));
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
}

TEST(UnmaskCanary, TearsEventWordsApart) {
  const auto outcome = Interleaver("worker").check(UnmaskModel::scenario({.fifo = true}));
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
}

}  // namespace
}  // namespace ringside::conformance
