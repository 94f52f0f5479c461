#pragma once

#include <memory>
#include <string>

#include "conformance/stepped/interleaver.hpp"
#include "conformance/stepped/model_platform.hpp"
#include "protocols/xenbus/event_channels.hpp"

namespace ringside::conformance {

/// A back end that sends while the front end's worker goes to sleep: the driver's real event code
/// against the simulated Xen's.
///
/// Work counts as done when a worker that was told of it looks for it; at the end none may be left.
class UnmaskModel {
 public:
  enum class Shape : uint8_t {
    kAutoMask,  ///< an event masks its port; the worker looks for work and unmasks
    kMask,      ///< the handler looks for work; a thread masks and unmasks meanwhile
    kTrigger,   ///< the handler looks for work; a thread raises the event by itself
    kMove,      ///< the handler looks for work; a thread moves the port to another CPU
  };
  struct Plan {
    bool fifo = false;
    Shape shape = Shape::kAutoMask;
    unsigned worker_cpu = 0;  ///< the port is bound to CPU 0
    unsigned ports = 1;       ///< each has a back end of its own
    unsigned events = 2;      ///< of each back end
  };

  explicit UnmaskModel(const Plan& plan);
  ~UnmaskModel();
  UnmaskModel(const UnmaskModel&) = delete;
  UnmaskModel& operator=(const UnmaskModel&) = delete;

  static Interleaver::Scenario scenario(const Plan& plan);

 private:
  static constexpr unsigned kCpus = 2;
  /// A port and what is to be done behind it.
  struct Line {
    void handle() { model->handle(*this); }

    UnmaskModel* model = nullptr;
    Owned<xenbus::EventChannel> channel;
    sim::Port back_port = 0;
    unsigned work = 0;
    bool called = false;  ///< the worker is to look
  };

  Interleaver::Execution execution();
  void send(Line& line);
  void handle(Line& line);
  void look_for_work(Line& line);
  void work(Line& line);
  void upcalls(unsigned cpu);
  std::optional<std::string> verdict() const;

  Plan plan_;
  ModelPlatform platform_;
  xenbus::Hypercalls xen_;
  std::unique_ptr<xenbus::EventChannels> events_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace ringside::conformance
