#include <array>
#include <atomic>
#include <set>
#include <vector>

#include "conformance/xeniface/iface_rig.hpp"
#include "sim/world/random.hpp"

namespace ringside::conformance {
namespace {

/// What the programs on two CPUs know of each other's doings.
struct Shared {
  std::array<std::atomic<uint64_t>, 4> addresses{};
  std::array<std::atomic<uint64_t>, 4> contexts{};
  std::array<std::atomic<uint32_t>, 4> ports{};
};

/// One thread of a program, with a request of its own for each step.
class Worker {
 public:
  Worker(xeniface::Handle& handle, Process& process, Shared& shared, uint64_t seed, size_t steps,
         uint16_t peer)
      : handle_(handle),
        process_(process),
        shared_(shared),
        random_(seed),
        peer_(peer),
        irps_(steps) {}

  void run() {
    const uint32_t event = process_.create_event();
    const UserAddress path = process_.place(std::string_view("data\0", 5));
    for (Irp& irp : irps_) step(irp, event, path);
    done = true;
  }
  /// All requests that stayed pending have been completed, once, and no others.
  void expect_settled() const {
    for (size_t i = 0; i < irps_.size(); ++i) {
      EXPECT_EQ(irps_[i].completions, pending_.contains(i) ? 1 : 0) << i;
    }
  }

  std::atomic<bool> done = false;

 private:
  size_t slot() { return random_.below(4); }

  template <typename T>
  Answer send(Ioctl code, T in, size_t output, Irp* irp, std::vector<std::byte>* answer = nullptr) {
    std::vector<std::byte> buffer = Input(in).resize(std::max(sizeof(in), output)).bytes();
    const Answer result = handle_.dispatch({.code = static_cast<uint32_t>(code),
                                            .buffer = buffer,
                                            .input_length = sizeof(in),
                                            .output_length = static_cast<uint32_t>(output),
                                            .pending = irp});
    if (answer != nullptr) *answer = buffer;
    return result;
  }
  void step(Irp& irp, uint32_t event, UserAddress path) {
    std::vector<std::byte> out;
    switch (random_.below(7)) {
      case 0: {
        const xeniface::StoreAddWatchIn<uint64_t> in{path, 5, event};
        if (send(Ioctl::kStoreAddWatch, in, 8, nullptr, &out).status != NtStatus::kSuccess) return;
        uint64_t context;
        std::memcpy(&context, out.data(), sizeof(context));
        shared_.contexts[slot()] = context;
        return;
      }
      case 1: send(Ioctl::kStoreRemoveWatch, shared_.contexts[slot()].load(), 0, nullptr); return;
      case 2: {
        const xeniface::EvtchnBindUnboundIn<uint64_t> in{peer_, 0, event};
        if (send(Ioctl::kEvtchnBindUnbound, in, 4, nullptr, &out).status != NtStatus::kSuccess) {
          return;
        }
        uint32_t port;
        std::memcpy(&port, out.data(), sizeof(port));
        shared_.ports[slot()] = port;
        return;
      }
      case 3: {
        constexpr Ioctl kCodes[] = {Ioctl::kEvtchnClose, Ioctl::kEvtchnNotify,
                                    Ioctl::kEvtchnUnmask};
        send(kCodes[random_.below(3)], shared_.ports[slot()].load(), 0, nullptr);
        return;
      }
      case 4: {
        const xeniface::GnttabPermitInV2<uint64_t> in{peer_, 0, 2, 0, 0, 0};
        if (send(Ioctl::kGnttabPermitV2, in, 16, &irp).status != NtStatus::kPending) return;
        pending_.insert(static_cast<size_t>(&irp - irps_.data()));
        shared_.addresses[slot()] = irp.at<uint64_t>(0);
        return;
      }
      case 5: send(Ioctl::kGnttabRevokeV2, shared_.addresses[slot()].load(), 0, nullptr); return;
      case 6:
        if (!pending_.empty()) handle_.cancel(irps_[*pending_.begin()]);
        return;
    }
  }

  xeniface::Handle& handle_;
  Process& process_;
  Shared& shared_;
  sim::Random random_;
  uint16_t peer_;
  std::vector<Irp> irps_;
  std::set<size_t> pending_;
};

class IfaceConcurrencyTest : public IfaceTest, public testing::WithParamInterface<bool> {
 protected:
  IfaceConcurrencyTest() : IfaceTest(world_of(GetParam())) {}
  static HostConfig world_of(bool threaded) {
    HostConfig config;
    config.threaded = threaded;
    return config;
  }
};

TEST_P(IfaceConcurrencyTest, IFACE_041_TwoCpusOnOneHandleLoseNothingAndEndNothingTwice) {
  Shared shared;
  const size_t steps = 300;
  Worker first(*one_, process_, shared, options().seed, steps, peer_.id());
  Worker second(*one_, process_, shared, options().seed + 1, steps, peer_.id());
  bool closed = false;
  guest_.guest().post(0, [&] { first.run(); });
  guest_.guest().post(1, [&] { second.run(); });
  host_.require("both done", [&] { return first.done && second.done; });
  guest_.run([&] {
    one_.reset();
    closed = true;
  });
  EXPECT_TRUE(closed);
  first.expect_settled();
  second.expect_settled();
}

TEST_P(IfaceConcurrencyTest, IFACE_041_AHandleMayCloseUnderRequestsOfAnotherCpu) {
  Shared shared;
  Worker worker(*one_, process_, shared, options().seed, 300, peer_.id());
  std::atomic<bool> closed = false;
  guest_.guest().post(0, [&] { worker.run(); });
  guest_.guest().post(1, [&] {
    for (int i = 0; i < 50; ++i) guest_.platform().yield();
    one_->cleanup();
    closed = true;
  });
  host_.require("both done", [&] { return worker.done && closed; });
  worker.expect_settled();
  EXPECT_EQ(process_.mapped_regions(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Worlds, IfaceConcurrencyTest, testing::Bool(),
                         [](const auto& world) { return world.param ? "Threaded" : "Seeded"; });

}  // namespace
}  // namespace ringside::conformance
