// Every order in which the driver's and Xen's accesses to an event's bits can come.

#include <gtest/gtest.h>

#include "conformance/stepped/unmask_model.hpp"

namespace ringside::conformance {
namespace {

using Shape = UnmaskModel::Shape;

struct Case {
  const char* name;
  UnmaskModel::Plan plan;
};

class UnmaskTest : public testing::TestWithParam<Case> {};

TEST_P(UnmaskTest, EVTCHN_001_NoEventIsLostInAnyOrder) {
  const auto outcome = Interleaver().check(UnmaskModel::scenario(GetParam().plan));
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
  EXPECT_GT(outcome.executions, 100u) << "the accesses are not seen";
  RecordProperty("executions", std::to_string(outcome.executions));
  RecordProperty("states", std::to_string(outcome.states));
}

INSTANTIATE_TEST_SUITE_P(
    Abis, UnmaskTest,
    testing::Values(Case{"BitmapOwnCpu", {.fifo = false}},
                    Case{"BitmapOtherCpu", {.fifo = false, .worker_cpu = 1, .events = 1}},
                    Case{"BitmapMask", {.fifo = false, .shape = Shape::kMask, .events = 1}},
                    Case{"BitmapTrigger", {.fifo = false, .shape = Shape::kTrigger, .events = 1}},
                    Case{"BitmapMove", {.fifo = false, .shape = Shape::kMove, .events = 1}},
                    Case{"FifoOwnCpu", {.fifo = true}},
                    Case{"FifoOtherCpu", {.fifo = true, .worker_cpu = 1, .events = 1}},
                    Case{"FifoMask", {.fifo = true, .shape = Shape::kMask, .events = 1}}),
    [](const testing::TestParamInfo<Case>& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace ringside::conformance
