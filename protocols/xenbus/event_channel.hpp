#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/xenbus/event_channels.hpp"

namespace ringside::xenbus {

/// One open port.
class EventChannels::Channel final : public EventChannel {
 public:
  Channel(EventChannels& owner, Port port, Delegate handler, unsigned cpu, Closing closing)
      : owner_(owner), port_(port), handler_(handler), cpu_(cpu), closing_(closing) {}
  Status start();

  Port port() const override { return port_; }
  void notify() override {
    if (!lost()) (void)owner_.xen_.send(port_);
  }
  void set_auto_mask(bool on) override { auto_mask_.store(on); }
  void mask() override {
    wanted_masked_.store(true);
    if (!lost()) owner_.abi_->mask(port_);
  }
  bool unmask() override;
  void found_nothing() override { idle_ = true; }
  void trigger() override;
  Status bind(unsigned cpu) override { return owner_.move(*this, cpu); }
  uint32_t count() const override { return count_.load(); }
  Status wait(uint32_t seen, platform::Nanoseconds deadline) override;
  void destroy() override;

  /// Acknowledges: false when there is no event after all. Under the lock of its CPU.
  bool take();
  void handle() const { handler_(); }
  /// The handler has returned.
  void handled();

  unsigned cpu() const { return cpu_.load(); }
  void set_cpu(unsigned cpu) { cpu_.store(cpu); }
  Closing closing() const { return closing_; }
  bool lost() const { return lost_.load(); }
  void lose() {
    lost_.store(true);
    counted_->signal();  // nobody waits for it in vain
  }
  void stop_resting() { rest_->cancel(); }
  void keep(platform::Box<Channel> self) { self_ = std::move(self); }

 private:
  /// So many events in a row may announce nothing: they come late by nature, not by intent.
  static constexpr unsigned kPatience = 16;
  static constexpr platform::Nanoseconds kFirstRest = platform::kMillisecond / 8;
  static constexpr unsigned kMaxShift = 13;

  void rested();

  EventChannels& owner_;
  Port port_;
  Delegate handler_;
  std::atomic<unsigned> cpu_;
  Closing closing_;
  std::atomic<bool> lost_ = false;  ///< its port is of the domain before the last resume
  std::atomic<bool> auto_mask_ = false;
  std::atomic<bool> resting_ = false;
  std::atomic<bool> wanted_masked_ = false;  ///< by its owner, or by auto-mask for it
  std::atomic<uint32_t> count_ = 0;
  std::atomic<bool> waiting_ = false;  ///< somebody is in wait()
  bool idle_ = false;                  ///< of the handler that runs
  unsigned idle_events_ = 0;           ///< in a row; of its CPU
  Owned<platform::Event> counted_;
  Owned<platform::Timer> rest_;
  platform::Box<Channel> self_;
};

}  // namespace ringside::xenbus
