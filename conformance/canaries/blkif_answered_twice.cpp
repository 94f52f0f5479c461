// A back end that answers one request twice.
// Caught by: responses without a request: answered twice or made up

#include "conformance/blkif/queue_rig.hpp"

namespace ringside::conformance {
namespace {

class BlkifAnsweredTwiceCanary : public QueueRig {};

TEST_F(BlkifAnsweredTwiceCanary, AnswersARequestTwice) {
  connect();
  for (unsigned i = 0; i < 8; ++i) submitted(Operation::kRead, i * 8u);
  std::optional<blkif_request_t> first;
  unsigned left = 8;
  while (const auto request = take()) {
    if (!first) first = request;
    // The last answer goes to the first request once more.
    put(--left == 0 ? first->id : request->id);
  }
  publish();
  expect_settled();
}

}  // namespace
}  // namespace ringside::conformance
