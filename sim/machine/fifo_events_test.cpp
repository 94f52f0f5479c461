#include "sim/machine/fifo_events.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr event_word_t kPending = 1u << EVTCHN_FIFO_PENDING;
constexpr event_word_t kMasked = 1u << EVTCHN_FIFO_MASKED;
constexpr event_word_t kLinked = 1u << EVTCHN_FIFO_LINKED;
constexpr unsigned kDefault = EVTCHN_FIFO_PRIORITY_DEFAULT;

/// A guest of two vCPUs whose pages the test reads and writes as the header says.
class FifoEventsTest : public testing::Test {
 protected:
  template <typename T>
  int64_t op(unsigned command, T& argument) {
    return machine_.hypercall(guest_, 0, __HYPERVISOR_event_channel_op, command,
                              reinterpret_cast<uint64_t>(&argument));
  }
  int64_t init(unsigned vcpu, uint64_t gfn, uint32_t offset = 0) {
    evtchn_init_control_t argument{};
    argument.control_gfn = gfn;
    argument.offset = offset;
    argument.vcpu = vcpu;
    const int64_t result = op(EVTCHNOP_init_control, argument);
    if (result == 0) {
      EXPECT_EQ(argument.link_bits, EVTCHN_FIFO_LINK_BITS);
    }
    return result;
  }
  int64_t expand(uint64_t gfn) {
    evtchn_expand_array_t argument{.array_gfn = gfn};
    return op(EVTCHNOP_expand_array, argument);
  }
  int64_t prioritise(Port port, uint32_t priority) {
    evtchn_set_priority_t argument{.port = port, .priority = priority};
    return op(EVTCHNOP_set_priority, argument);
  }
  void start() {
    ASSERT_EQ(init(0, pages_[0]), 0);
    ASSERT_EQ(init(1, pages_[1], 64), 0);
    ASSERT_EQ(expand(pages_[2]), 0);
  }
  Port open() { return static_cast<Port>(guest_.events().bind_ipi(0)); }
  void send(Port port) { ASSERT_EQ(guest_.events().send(port), 0); }
  evtchn_fifo_control_block_t& block(unsigned vcpu) {
    std::byte* page = guest_.page_address(pages_[vcpu]) + (vcpu == 0 ? 0 : 64);
    return *reinterpret_cast<evtchn_fifo_control_block_t*>(page);
  }
  event_word_t& word(Port port) {
    return reinterpret_cast<event_word_t*>(guest_.page_address(pages_[2]))[port];
  }
  /// What a guest does with a queue: takes it from its head to its end.
  std::vector<Port> drain(unsigned vcpu, unsigned priority) {
    std::vector<Port> ports;
    block(vcpu).ready &= ~(1u << priority);
    for (Port port = block(vcpu).head[priority]; port != 0;) {
      ports.push_back(port);
      const event_word_t seen = word(port);
      word(port) = seen & ~(kLinked | kPending | EVTCHN_FIFO_LINK_MASK);
      port = seen & EVTCHN_FIFO_LINK_MASK;
    }
    block(vcpu).head[priority] = 0;
    return ports;
  }

  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_{*world_, {.frames = 4096}};
  Domain& guest_ = machine_.create_domain({.name = "guest", .vcpus = 2, .max_pages = 256});
  std::vector<uint64_t> pages_ = guest_.allocate_pages(3);
};

TEST_F(FifoEventsTest, WrongControlBlocksAreRefused) {
  constexpr uint32_t kLast = kPageSize - sizeof(evtchn_fifo_control_block_t);
  EXPECT_EQ(expand(pages_[2]), -XEN_EOPNOTSUPP);
  EXPECT_EQ(prioritise(open(), 1), -XEN_ENOSYS);
  EXPECT_EQ(init(2, pages_[0]), -XEN_ENOENT);
  EXPECT_EQ(init(0, pages_[0], kLast + 8), -XEN_EINVAL);
  EXPECT_EQ(init(0, pages_[0], 4), -XEN_EINVAL);
  EXPECT_EQ(init(0, guest_.max_gfn() - 1), -XEN_EINVAL);
  EXPECT_EQ(expand(pages_[2]), -XEN_EOPNOTSUPP) << "none of these put the FIFO in force";
  EXPECT_EQ(init(0, pages_[0], kLast), 0);
  EXPECT_EQ(init(0, pages_[1]), -XEN_EINVAL) << "once for each vCPU";
  EXPECT_EQ(expand(guest_.max_gfn() - 1), -XEN_EINVAL);
}

TEST_F(FifoEventsTest, AXenWithoutFifoSaysSo) {
  Machine old(*world_, {.frames = 4096, .fifo_events = false});
  Domain& guest = old.create_domain({.max_pages = 256});
  EXPECT_EQ(guest.events().init_control(0, guest.allocate_pages()[0], 0), -XEN_ENOSYS);
  EXPECT_EQ(guest.events().expand_array(guest.allocate_pages()[0]), -XEN_ENOSYS);
  EXPECT_EQ(guest.events().set_priority(1, 1), -XEN_ENOSYS);
}

TEST_F(FifoEventsTest, TheArrayGrowsToItsLastPort) {
  ASSERT_EQ(init(0, pages_[0]), 0);
  const Port words_of_page = kPageSize / sizeof(event_word_t);
  for (Port first = 0; first < EVTCHN_FIFO_NR_CHANNELS; first += words_of_page) {
    ASSERT_EQ(expand(pages_[2]), 0) << first;
  }
  EXPECT_EQ(expand(pages_[2]), -XEN_ENOSPC);
}

TEST_F(FifoEventsTest, EventsQueueAtTheTailAndTellTheVcpuOnce) {
  start();
  const std::vector<Port> ports{open(), open(), open()};
  send(ports[1]);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 1);
  guest_.vcpu_info(0).evtchn_upcall_pending = 0;
  send(ports[0]);
  send(ports[2]);
  send(ports[0]);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 0) << "the queue was not empty";
  EXPECT_EQ(block(0).ready, 1u << kDefault);
  EXPECT_EQ(word(ports[1]), kPending | kLinked | ports[0]);
  EXPECT_EQ(word(ports[2]), kPending | kLinked);
  EXPECT_EQ(drain(0, kDefault), (std::vector<Port>{ports[1], ports[0], ports[2]}));
  send(ports[2]);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 1);
  EXPECT_EQ(drain(0, kDefault), std::vector<Port>{ports[2]});
}

TEST_F(FifoEventsTest, AMaskedEventIsLinkedAtUnmask) {
  start();
  const Port port = open();
  word(port) = kMasked;
  send(port);
  EXPECT_EQ(word(port), kMasked | kPending);
  EXPECT_EQ(block(0).ready, 0u);
  EXPECT_EQ(guest_.events().unmask(port), 0);
  EXPECT_EQ(word(port), kPending | kLinked);
  EXPECT_EQ(drain(0, kDefault), std::vector<Port>{port});
}

TEST_F(FifoEventsTest, ATailTheGuestHasTakenStartsTheQueueAnew) {
  start();
  const Port first = open();
  const Port second = open();
  send(first);
  block(0).ready = 0;
  word(first) &= ~(kLinked | kPending);  // taken, its vCPU has not looked at the link yet
  send(second);
  EXPECT_EQ(word(first), 0u) << "nothing is hung onto an event that is out of the queue";
  EXPECT_EQ(block(0).head[kDefault], second);
  EXPECT_EQ(block(0).ready, 1u << kDefault);
}

TEST_F(FifoEventsTest, APriorityIsAQueueOfItsOwn) {
  start();
  const Port urgent = open();
  const Port other = open();
  EXPECT_EQ(prioritise(urgent, EVTCHN_FIFO_PRIORITY_MIN + 1), -XEN_EINVAL);
  EXPECT_EQ(prioritise(0, 0), -XEN_EINVAL);
  send(urgent);
  EXPECT_EQ(drain(0, kDefault), std::vector<Port>{urgent});
  ASSERT_EQ(prioritise(urgent, EVTCHN_FIFO_PRIORITY_MAX), 0);
  send(urgent);
  send(other);
  EXPECT_EQ(block(0).ready, 1u << EVTCHN_FIFO_PRIORITY_MAX | 1u << kDefault);
  EXPECT_EQ(drain(0, EVTCHN_FIFO_PRIORITY_MAX), std::vector<Port>{urgent});
  EXPECT_EQ(drain(0, kDefault), std::vector<Port>{other}) << "not hung onto the one that moved";
}

TEST_F(FifoEventsTest, EventsGoToTheBlockOfTheirVcpu) {
  start();
  const auto port = static_cast<Port>(guest_.events().bind_ipi(1));
  send(port);
  EXPECT_EQ(block(0).ready, 0u);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 0);
  EXPECT_EQ(guest_.vcpu_info(1).evtchn_upcall_pending, 1);
  EXPECT_EQ(drain(1, kDefault), std::vector<Port>{port});
}

TEST_F(FifoEventsTest, WhatIsPendingWaitsForItsWord) {
  const Port before = open();
  send(before);
  ASSERT_EQ(init(0, pages_[0]), 0);
  const Port after = open();
  send(after);
  EXPECT_TRUE(guest_.events().pending(before));
  EXPECT_EQ(block(0).ready, 0u);
  ASSERT_EQ(expand(pages_[2]), 0);
  EXPECT_EQ(drain(0, kDefault), (std::vector<Port>{before, after}));
}

TEST_F(FifoEventsTest, ALinkedPortIsNotGivenOutAgain) {
  start();
  const Port port = open();
  send(port);
  ASSERT_EQ(guest_.events().close(port), 0);
  EXPECT_EQ(word(port), kLinked) << "the guest unlinks it and finds nothing pending";
  EXPECT_NE(open(), port);
  drain(0, kDefault);
  EXPECT_EQ(open(), port);
}

TEST_F(FifoEventsTest, ResetGoesBackToTwoLevelAndLetsGoOfThePages) {
  start();
  send(open());
  evtchn_reset_t argument{.dom = DOMID_SELF};
  ASSERT_EQ(op(EVTCHNOP_reset, argument), 0);
  for (const uint64_t gfn : pages_) {
    EXPECT_EQ(machine_.frames().pins(*guest_.machine_frame(gfn)), 0u);
  }
  EXPECT_EQ(expand(pages_[2]), -XEN_EOPNOTSUPP);
  const Port port = open();
  send(port);
  EXPECT_EQ(guest_.shared_info().evtchn_pending[0], 1u << port);
  for (const uint64_t gfn : pages_) std::fill_n(guest_.page_address(gfn), kPageSize, std::byte{0});
  start();
  EXPECT_EQ(drain(0, kDefault), std::vector<Port>{port}) << "and to the FIFO again";
}

TEST_F(FifoEventsTest, SpoiltWordsHarmOnlyTheirGuest) {
  start();
  const std::vector<Port> ports{open(), open(), open()};
  for (const event_word_t rubbish : {~event_word_t{0}, kLinked | EVTCHN_FIFO_LINK_MASK, 0u}) {
    std::fill_n(&word(0), kPageSize / sizeof(event_word_t), rubbish);
    std::fill_n(block(0).head, EVTCHN_FIFO_MAX_QUEUES, ~0u);
    for (const Port port : ports) send(port);
    for (const Port port : ports) EXPECT_EQ(guest_.events().unmask(port), 0);
  }
  EXPECT_EQ(word(ports[0]), kPending | kLinked | ports[1]) << "sound words, a sound queue";
}

}  // namespace
}  // namespace ringside::sim
