#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/balloon.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xenbus {

/// Keeps the balloon as large as memory/target asks for, and says so in control/feature-balloon
/// and control/balloon-active. Must be gone before the bus. Source:
/// docs/misc/xenstore-paths.pandoc, ~/memory. [MEMORY-001, MEMORY-003, MEMORY-005, MEMORY-007]
class BalloonAgent {
 public:
  /// `services` must have SUSPEND.
  static Result<platform::Box<BalloonAgent>> create(const Services& services, PageBalloon& balloon);
  BalloonAgent(const Services& services, PageBalloon& balloon)  ///< see create()
      : services_(services), balloon_(balloon) {}
  BalloonAgent(const BalloonAgent&) = delete;
  BalloonAgent& operator=(const BalloonAgent&) = delete;
  /// Passive level. Withdraws the feature; what is in the balloon stays there.
  ~BalloonAgent();

 private:
  static constexpr uint32_t kFirstPause = 1;  ///< seconds
  static constexpr uint32_t kLastPause = 32;

  Status start();
  void look() { work_->queue(); }
  void asked();
  void resumed();
  void run();
  Status go_on();
  /// Writes `value` unless that was `said` already. kNoMemory when that is to be tried again.
  Status say(bool& said, std::string_view node, bool value);
  /// Pages that belong into the balloon; an error where the toolstack does not say.
  Result<uint64_t> wanted();
  Result<uint64_t> read_kib(std::string_view path);

  Services services_;
  PageBalloon& balloon_;
  Owned<platform::Work> work_;
  Owned<platform::Timer> timer_;
  Owned<Watch> watch_;
  Owned<SuspendCallback> late_;
  bool able_ = false;    ///< what control/feature-balloon says
  bool active_ = false;  ///< what control/balloon-active says
  std::atomic<bool> resumed_ = false;
  std::atomic<uint32_t> pause_ = kFirstPause;  ///< before the next try
};

}  // namespace ringside::xenbus
